"""The whole of `prepare`: from the fetched file to what the driver and `publish` read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import external_data_helper
from tests.unit.jobs import models

from resnet_jobs.errors import JobError, Reason
from resnet_jobs.prepare import prepare
from resnet_jobs.spec import JobSpec
from resnet_jobs.workspace import Workspace

Order = Callable[..., JobSpec]


def read(path: Any) -> Any:
    return json.loads(path.read_text())


def test_an_open_model_for_a_chip(order: Order, workspace: Workspace) -> None:
    data = models.classifier().SerializeToString()
    workspace.model.write_bytes(data)
    result = prepare(order(opSelectImplMode="HighPrecision"), workspace)
    assert result == {
        "ok": True,
        "opset": 13,
        "inputs": [{"name": "input", "dataType": "FP32", "dims": [3, 8, 8]}],
        "outputs": [{"name": "scores", "dataType": "FP32", "dims": [5]}],
        "batchSizes": [1, 2, 4, 8],
        "notes": [],
    }
    assert workspace.model.read_bytes() == data, "an untouched model keeps its bytes"
    plan = read(workspace.convert_plan)
    assert plan["argv"] == [
        "atc",
        "--framework=5",
        f"--model={workspace.model}",
        f"--output={workspace.scratch}/out/model",
        "--input_format=NCHW",
        "--input_shape=input:-1,3,8,8",
        "--dynamic_batch_size=1,2,4,8",
        "--op_select_implmode=high_precision",
        "--soc_version=Ascend310P3",
        "--log=error",
    ]
    assert plan["contentInputs"] == {
        "recipe": 1,
        "model": hashlib.sha256(data).hexdigest(),
        "chip": "Ascend310P3",
        "options": ["--framework=5", *plan["argv"][4:-1]],
    }
    assert read(workspace.prepared) == {**result, "contentInputs": plan["contentInputs"]}


def test_a_fixed_model_for_a_chip_is_rewritten(order: Order, workspace: Workspace) -> None:
    model = models.classifier(batch=1, flatten="Reshape", extra_domains=("ai.onnx.ml",))
    workspace.model.write_bytes(model.SerializeToString())
    result = prepare(order(batchSizes=[24]), workspace)
    assert result["notes"] == [
        "dropped the unused operator domain ai.onnx.ml",
        "opened the batch dimension, fixed to 1 in the file",
        "opened the batch in 1 constant Reshape target(s)",
    ]
    feed = {"input": np.zeros((24, 3, 8, 8), dtype=np.float32)}
    assert models.scores(onnx.load(workspace.model), feed)[0].shape == (24, 5)
    assert "--input_shape=input:24,3,8,8" in read(workspace.convert_plan)["argv"]


def test_the_same_model_is_rewritten_to_the_same_bytes(order: Order, workspace: Workspace) -> None:
    data = models.classifier(batch=1).SerializeToString()
    keys = []
    for _ in range(2):
        workspace.model.write_bytes(data)
        prepare(order(), workspace)
        keys.append(read(workspace.prepared)["contentInputs"])
    assert keys[0] == keys[1]


def test_the_batch_the_file_has_is_left_alone(order: Order, workspace: Workspace) -> None:
    data = models.classifier(batch=24, flatten="ReshapeConstant", baked=24).SerializeToString()
    workspace.model.write_bytes(data)
    assert prepare(order(batchSizes=[24]), workspace)["notes"] == []
    assert workspace.model.read_bytes() == data


def test_a_cpu_gets_an_open_batch_and_no_command(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.classifier(batch=4, opset=9).SerializeToString())
    result = prepare(order(chip="CPU", batchSizes=[4]), workspace)
    assert (result["opset"], len(result["notes"])) == (9, 1)
    assert not workspace.convert_plan.exists()
    feed = {"input": np.zeros((3, 3, 8, 8), dtype=np.float32)}
    assert models.scores(onnx.load(workspace.model), feed)[0].shape == (3, 5)


@pytest.mark.parametrize("open_mark", [-1, 0])
def test_odd_marks_of_an_open_batch(open_mark: int, order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.classifier(batch=open_mark).SerializeToString())
    assert prepare(order(), workspace)["outputs"][0]["dims"] == [5]


def test_open_height_and_width(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.classifier(size=("H", "W")).SerializeToString())
    result = prepare(order(inputShapes={"input": [3, 32, 16]}), workspace)
    assert result["inputs"][0]["dims"] == [3, 32, 16]


def test_two_inputs(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.two_inputs(batch=1).SerializeToString())
    result = prepare(order(), workspace)
    assert [entry["name"] for entry in result["inputs"]] == ["a", "b"]
    assert result["outputs"][1] == {"name": "best", "dataType": "INT64", "dims": []}
    assert "--input_shape=a:-1,4,8,8;b:-1,4" in read(workspace.convert_plan)["argv"]


def test_weights_in_other_files_are_merged(order: Order, workspace: Workspace) -> None:
    model = models.classifier()
    external_data_helper.convert_model_to_external_data(
        model, location="weights.bin", size_threshold=0
    )
    onnx.save(model, str(workspace.model))
    assert prepare(order(), workspace)["notes"] == [
        "merged the weights of weights.bin into the model"
    ]
    (workspace.model.parent / "weights.bin").unlink()
    feed = {"input": np.ones((1, 3, 8, 8), dtype=np.float32)}
    merged, plain = onnx.load(workspace.model), models.classifier()
    np.testing.assert_array_equal(models.scores(merged, feed)[0], models.scores(plain, feed)[0])


REFUSED: list[tuple[str, dict[str, Any], Any, Reason]] = [
    ("no model", {}, b"<html>", Reason.UNSUPPORTED_MODEL),
    ("opset", {}, models.classifier(opset=9), Reason.UNSUPPORTED_MODEL),
    ("a shape too many", {"inputShapes": {"x": [3]}}, models.classifier(), Reason.INVALID_SPEC),
    ("precision", {"precisionMode": "MixedBFloat16"}, models.classifier(), Reason.INVALID_SPEC),
    ("unknown mode", {"opSelectImplMode": "Fast"}, models.classifier(), Reason.INVALID_SPEC),
    ("batches", {}, models.classifier(flatten="Reshape"), Reason.UNSUPPORTED_MODEL),
]


@pytest.mark.parametrize(("why", "changes", "model", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refused(
    why: str, changes: dict[str, Any], model: Any, want: Reason, order: Order, workspace: Workspace
) -> None:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    workspace.model.write_bytes(data)
    with pytest.raises(JobError) as caught:
        prepare(order(**changes), workspace)
    assert caught.value.reason == want, why
    assert not workspace.convert_plan.exists()
