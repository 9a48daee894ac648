"""`check`: the sentences of admission, operator and Job, on this machine."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.apiserver import ROOT
from tests.unit.resnet_cli.recorded import Recorded

from resnet_cli.commands.check import check
from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import refusal
from resnet_cli.show import Output, Screen

SAMPLES = ROOT / "samples"
MODEL = SAMPLES / "digits" / "digits-resnet.onnx"
# A sample of each way that an ONNX file can go.
ONNX = ["digits-cpu.yaml", "digits-npu.yaml", "digits-pipeline.yaml", "digits-quantized.yaml",
        "digits-tuned.yaml"]  # fmt: skip


def answer(file: Path | str, model: Path | None = None, **more: Any) -> tuple[Exit, Any]:
    out = io.StringIO()
    options = {"settings": None, "namespace": "default", "server": None, **more}
    code = check(
        Screen(file=out),
        file=str(file),
        model=str(model) if model else None,
        output=Output.JSON,
        **options,
    )
    return code, json.loads(out.getvalue())


def written(folder: Path, **changes: Any) -> Path:
    """Return a file with the NPU sample, some of its spec changed."""
    body = yaml.safe_load((SAMPLES / "digits-npu.yaml").read_text())
    for key, value in changes.items():
        body["spec"][key] = {**(body["spec"].get(key) or {}), **value}
    path = folder / "in.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.glob("*.yaml")))
def test_every_sample_is_accepted(sample: str) -> None:
    code, found = answer(SAMPLES / sample)
    assert code is Exit.DONE, found
    assert all(one["accepted"] for one in found)


@pytest.mark.parametrize("sample", ONNX)
def test_the_model_of_the_samples_is_accepted(sample: str) -> None:
    code, (found,) = answer(SAMPLES / sample, MODEL)
    assert code is Exit.DONE, found
    assert found["inspection"]["outputs"] == [{"name": "logits", "dataType": "FP32", "dims": [10]}]


def test_the_compilers_lines_are_those_of_the_job() -> None:
    _, (found,) = answer(SAMPLES / "digits-quantized.yaml", MODEL)
    atc, amct = found["inspection"]["atc"], found["inspection"]["amct"]
    assert atc[:4] == [
        "atc",
        "--framework=5",
        "--model=/scratch/quant/model_deploy_model.onnx",
        "--output=/scratch/out/model",
    ]
    assert "--insert_op_conf=/scratch/conf/aipp.conf" in atc
    assert amct[:5] == [
        "amct_onnx",
        "calibration",
        "--model=/scratch/in/model.onnx",
        "--save_path=/scratch/quant/model",
        "--input_shape=input:24,3,32,32",
    ]
    assert found["inspection"]["files"]["aipp.conf"].startswith("aipp_op {")
    assert found["inspection"]["files"]["quant.cfg"].startswith("batch_num : ")


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"model": {"uri": "ftp://a/b.onnx"}}, "refusal", "spec.model.uri"),
        (
            {"accelerator": {"chip": "GPU"}},
            "refusal",
            "write chip GPU (or CPU) with model.format OneFlow",
        ),
        ({"model": {"sha256": "ab" * 32}}, "inspection", "correct spec.model.sha256"),
        (
            {"conversion": {"inputShapes": {"picture": [3, 32, 32]}}},
            "inspection",
            "picture",
        ),
    ],
    ids=["a scheme nobody knows", "another chip", "another file", "another input"],
)
def test_what_is_refused_and_why(
    tmp_path: Path, changes: dict[str, Any], key: str, says: str
) -> None:
    code, (found,) = answer(written(tmp_path, **changes), MODEL)
    assert code is Exit.NOT_WELL
    assert not found["accepted"]
    assert says in json.dumps(found[key])


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    picture = tmp_path / "model.onnx"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    code, (found,) = answer(written(tmp_path), picture)
    assert code is Exit.NOT_WELL
    assert found["inspection"]["reason"] == "UnsupportedModel"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("kind: Pod", Exit.BAD_FILE, "there is no ResNetService in it"),
        ("a: [", Exit.BAD_FILE, "is not YAML"),
        ("kind: ResNetService", Exit.BAD_FILE, "has no metadata.name"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, text: str, code: Exit, says: str) -> None:
    path = tmp_path / "in.yaml"
    path.write_text(text)
    with pytest.raises(CliError, match=says) as caught:
        answer(path)
    assert caught.value.exit_code is code


def test_a_missing_file() -> None:
    with pytest.raises(CliError, match="No such file"):
        answer("/nowhere.yaml")


def test_the_api_server_is_asked_by_a_dry_run(tmp_path: Path) -> None:
    class Refusing(Recorded):
        def write(self, method: str, where: str, body: object, *, content_type: str) -> Any:
            assert "dryRun=All" in where
            raise refusal(422, json.dumps({"message": "spec.serving: Invalid value"}), where)

    code, (found,) = answer(written(tmp_path), server=Refusing([]))
    assert code is Exit.NOT_WELL
    assert "spec.serving: Invalid value" in found["admission"]


def test_people_see_a_tree() -> None:
    out = io.StringIO()
    check(
        Screen(file=out, width=100),
        file=str(SAMPLES / "digits-npu.yaml"),
        model=str(MODEL),
        settings=None,
        namespace="default",
        server=None,
        output=Output.TEXT,
    )
    text = out.getvalue()
    assert "ResNetService digits is accepted" in text
    assert "--soc_version=Ascend310P3" in text
