"""`convert`: the Job's own driver over a folder of this machine, or the lines for it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.apiserver import ROOT

from resnet_cli.commands.convert import convert
from resnet_cli.exits import CliError, Exit
from resnet_cli.show import Screen

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
    [("digits-cpu.yaml", Exit.NOT_WELL), ("digits-quantized.yaml", Exit.MISSING_HERE)],
)
def test_what_is_not_converted_here(tmp_path: Path, sample: str, code: Exit) -> None:
    with pytest.raises(CliError) as caught:
        converted(tmp_path, sample=sample)
    assert caught.value.exit_code is code
