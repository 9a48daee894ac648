"""`convert`: the Job's own driver over a folder of this machine, or the lines for it."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.apiserver import ROOT

from resnet_cli.commands.convert import convert
from resnet_cli.exits import CliError, Exit
from resnet_cli.show import Output, Screen

SAMPLES = ROOT / "samples"
MODEL = SAMPLES / "digits" / "digits-resnet.onnx"


def converted(
    out: Path, *, sample: str = "digits-npu.yaml", engine: str | None = "podman", code: int = 0
) -> tuple[Exit, str, list[Sequence[str]]]:
    lines: list[Sequence[str]] = []

    def run(line: Sequence[str]) -> int:
        lines.append(line)
        return code

    text = io.StringIO()
    options: dict[str, Any] = {"image": "quay.io/ascend/cann:9", "settings": None}
    ended = convert(
        Screen(file=text),
        file=str(SAMPLES / sample),
        model=str(MODEL),
        out=out,
        find_engine=lambda name: f"/bin/{name}" if name == engine else None,
        run=run,
        **options,
    )
    return ended, text.getvalue(), lines


def test_an_engine_runs_the_driver_over_the_folder(tmp_path: Path) -> None:
    code, text, (line,) = converted(tmp_path)
    assert code is Exit.DONE
    assert list(line[:5]) == ["/bin/podman", "run", "--rm", "--volume", f"{tmp_path}:/scratch"]
    assert list(line[-4:]) == [
        "quay.io/ascend/cann:9",
        "python3",
        "-s",
        "/scratch/driver/convert.py",
    ]
    assert text.strip() == f"{tmp_path}/out/model.om"
    plan = json.loads((tmp_path / "conf" / "convert.json").read_text())
    assert "--model=/scratch/in/model.onnx" in plan["argv"]
    assert (tmp_path / "in" / "model.onnx").read_bytes() == MODEL.read_bytes()
    assert (tmp_path / "driver" / "convert.py").is_file()


def test_without_an_engine_the_lines_are_printed(tmp_path: Path) -> None:
    code, text, lines = converted(tmp_path, engine=None)
    assert code is Exit.MISSING_HERE
    assert lines == []
    assert f"atc --framework=5 --model={tmp_path}/in/model.onnx" in text
    assert f"docker run --rm --volume {tmp_path}:/scratch" in text


def test_a_conversion_that_fails_is_a_code(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="status 70") as caught:
        converted(tmp_path, code=70)
    assert caught.value.exit_code is Exit.NOT_WELL


@pytest.mark.parametrize(
    ("sample", "code"),
    [("digits-cpu.yaml", Exit.NOT_WELL), ("digits-quantized.yaml", Exit.USAGE)],
)
def test_what_is_not_converted_here(tmp_path: Path, sample: str, code: Exit) -> None:
    with pytest.raises(CliError) as caught:
        converted(tmp_path, sample=sample)
    assert caught.value.exit_code is code


CALIBRATION = SAMPLES / "digits" / "calibration.tar"
ENGINE = """\
#!{python}
import json, pathlib, sys
words = sys.argv[1:]
here = pathlib.Path(words[words.index("--volume") + 1].partition(":")[0])
with open({seen!r}, "a") as file:
    print(json.dumps(words), file=file)
if words[-1].endswith("quantize.py"):
    (here / "quant" / "model_deploy_model.onnx").write_bytes(b"quantized")
else:
    assert (here / "quant" / "model_deploy_model.onnx").exists()
    (here / "out" / "model.om").write_bytes(b"om")
"""


def test_an_engine_on_the_path_quantizes_and_converts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found and started as any other program; AMCT first, with batches that are there."""
    programs, seen, out = tmp_path / "bin", tmp_path / "seen", tmp_path / "out"
    programs.mkdir()
    engine = programs / "podman"
    engine.write_text(ENGINE.format(python=sys.executable, seen=str(seen)))
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    text = io.StringIO()
    code = convert(
        Screen(file=text),
        file=str(SAMPLES / "digits-quantized.yaml"),
        model=str(MODEL),
        out=out,
        image="registry.example/cann:9",
        settings=None,
        calibration=CALIBRATION,
        output=Output.JSON,
    )
    assert code is Exit.DONE
    lines = [json.loads(line) for line in seen.read_text().splitlines()]
    assert [line[-1].rpartition("/")[2] for line in lines] == ["quantize.py", "convert.py"]
    assert [line[line.index("--workdir") + 1] for line in lines] == [
        "/scratch/quant",
        "/scratch/work",
    ]
    answer = json.loads(text.getvalue())
    assert Path(answer["artifact"]).read_bytes() == b"om"
    assert answer["engine"] == str(engine)
    plan = json.loads((out / "conf" / "quantize.json").read_text())
    (data,) = [word for word in plan["argv"] if word.startswith("--data_dir=")]
    folder = out / data.removeprefix("--data_dir=").rstrip("/").removeprefix("/scratch/")
    assert len(list(folder.iterdir())) == 5, "the batches that the sample asks for"
    told = json.loads((out / "conf" / "convert.json").read_text())["argv"]
    assert "--model=/scratch/quant/model_deploy_model.onnx" in told
    assert os.environ["PATH"] == str(programs)


@pytest.mark.parametrize(
    ("sample", "calibration", "code", "says"),
    [
        ("digits-quantized.yaml", None, Exit.USAGE, "--calibration"),
        ("digits-npu.yaml", CALIBRATION, Exit.USAGE, "leave --calibration out"),
        ("digits-quantized.yaml", Path("/nowhere.tar"), Exit.BAD_FILE, "/nowhere.tar"),
        ("digits-quantized.yaml", MODEL.parent, Exit.NOT_WELL, "calibration"),
    ],
    ids=["missing", "not wanted", "not there", "no pictures in it"],
)
def test_a_calibration_that_does_not_fit(
    tmp_path: Path, sample: str, calibration: Path | None, code: Exit, says: str
) -> None:
    with pytest.raises(CliError, match=says) as caught:
        convert(
            Screen(file=io.StringIO()),
            file=str(SAMPLES / sample),
            model=str(MODEL),
            out=tmp_path,
            image=None,
            settings=None,
            calibration=calibration,
            find_engine=lambda _: None,
        )
    assert caught.value.exit_code is code
