"""The whole of `prepare`: from the fetched file to what the driver and `publish` read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import external_data_helper, helper
from tests.unit.resnet_jobs import models

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.prepare import prepare

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
        "opened the batch in 1 operator(s): view",
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


TWICE = models.chain([helper.make_node("Concat", ["x", "x"], ["y"], axis=0)])
REFUSED: list[tuple[str, dict[str, Any], Any, Reason]] = [
    ("no model", {}, b"<html>", Reason.UNSUPPORTED_MODEL),
    ("opset", {}, models.classifier(opset=6), Reason.UNSUPPORTED_MODEL),
    ("a shape too many", {"inputShapes": {"x": [3]}}, models.classifier(), Reason.INVALID_SPEC),
    ("precision", {"precisionMode": "MixedBFloat16"}, models.classifier(), Reason.INVALID_SPEC),
    ("unknown mode", {"opSelectImplMode": "Fast"}, models.classifier(), Reason.INVALID_SPEC),
    ("batches", {}, TWICE, Reason.UNSUPPORTED_MODEL),
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


# --- AIPP, quantization and what they change ----------------------------------------------------

RGB8 = {"pixelFormat": "RGB888", "source": {"height": 12, "width": 10}, "mean": [120, 110, 100]}
CALIBRATION = {"uri": "pvc://data/set.npy", "format": "Npy", "batches": 2}


def option(workspace: Workspace, name: str) -> str | None:
    words = [word for word in read(workspace.convert_plan)["argv"] if word.startswith(f"{name}=")]
    return words[0].partition("=")[2] if words else None


def test_aipp_changes_what_clients_send(order: Order, workspace: Workspace) -> None:
    """The chip takes bytes of the larger picture; ATC still hears of the model's own shape."""
    workspace.model.write_bytes(models.classifier().SerializeToString())
    result = prepare(order(preprocessing=RGB8, smallChannel=True), workspace)
    assert result["inputs"] == [
        {"name": "input", "dataType": "UINT8", "dims": [12, 10, 3], "layout": "NHWC"}
    ]
    assert option(workspace, "--insert_op_conf") == str(workspace.aipp_conf)
    assert option(workspace, "--input_shape") == "input:-1,3,8,8"
    assert option(workspace, "--enable_small_channel") == "1"
    text = workspace.aipp_conf.read_text()
    content = read(workspace.prepared)["contentInputs"]
    assert content["aipp"] == hashlib.sha256(text.encode()).hexdigest()
    assert not any("aipp" in word for word in content["options"])


def test_a_raw_text_reaches_atc_as_it_is(order: Order, workspace: Workspace) -> None:
    text = "aipp_op { aipp_mode: static input_format: YUV420SP_U8 csc_switch: true }"
    workspace.model.write_bytes(models.classifier().SerializeToString())
    result = prepare(order(preprocessing={"rawAIPP": text}), workspace)
    assert result["inputs"] == [{"name": "input", "dataType": "UINT8", "dims": [12, 8, 1]}]
    assert workspace.aipp_conf.read_text() == text + "\n"


def test_quantization_leaves_atc_the_deploy_model(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.classifier(batch=1).SerializeToString())
    workspace.calibration.mkdir()
    np.save(workspace.calibration / "set.npy", np.ones((8, 3, 8, 8), np.float32))
    spec = order(batchSizes=[4], quantization={"calibration": CALIBRATION})
    result = prepare(spec, workspace)
    assert option(workspace, "--model") == str(workspace.deploy_model)
    assert option(workspace, "--input_shape") == "input:4,3,8,8"
    content = read(workspace.prepared)["contentInputs"]
    assert sorted(content["quantization"]) == ["batch", "calibration", "config"]
    assert content["model"] == hashlib.sha256(workspace.model.read_bytes()).hexdigest()
    assert read(workspace.quant_plan)["argv"][0] == "amct_onnx"
    assert "calibrating with 2 batches of 4" in result["notes"]


def test_options_that_change_the_answers(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.classifier().SerializeToString())
    extra = {"--out_nodes": "r:0", "--input_fp16_nodes": "input"}
    declared = [{"name": "r:0", "dataType": "FP32", "dims": [4, 8, 8]}]
    spec = order(outputType="FP16", extraArgs=extra, declaredOutputs=declared)
    result = prepare(spec, workspace)
    assert result["inputs"][0]["dataType"] == "FP16"
    assert result["outputs"] == [{"name": "r:0", "dataType": "FP16", "dims": [4, 8, 8]}]


def test_files_for_atc(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.classifier().SerializeToString())
    prepare(order(configFiles={"fusionSwitch": "PassA:off"}), workspace)
    path = workspace.conf / "fusion_switch.cfg"
    assert option(workspace, "--fusion_switch_file") == str(path)
    assert path.read_text() == "PassA:off\n"


def test_the_format_is_part_of_what_was_made(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.classifier().SerializeToString())
    prepare(order(), workspace)
    assert "format" not in read(workspace.prepared)["contentInputs"]


# --- a model that AMCT has written --------------------------------------------------------------


def deployed(*, batch: int | str = 8, out: Any = (8, 5), domain: str = "") -> onnx.ModelProto:
    """What AMCT leaves: its operators between the others, which no schema knows."""
    model = models.classifier(batch=batch, opset=9)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for size in out:
        model.graph.output[0].type.tensor_type.shape.dim.add(dim_value=size)
    quantize = helper.make_node("AscendQuant", ["input"], ["q"], domain=domain, scale=0.1)
    model.graph.node[0].input[0] = "q"
    model.graph.node.insert(0, quantize)
    return model


@pytest.mark.parametrize("domain", ["", "amct.customop"])
def test_a_quantized_model(domain: str, order: Order, workspace: Workspace) -> None:
    model = deployed(domain=domain)
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    data = model.SerializeToString()
    workspace.model.write_bytes(data)
    result = prepare(order(quantized=True, batchSizes=[8], preprocessing=RGB8), workspace)
    assert result["opset"] == 9
    assert result["outputs"] == [{"name": "scores", "dataType": "FP32", "dims": [5]}]
    assert workspace.model.read_bytes() == data
    assert option(workspace, "--input_shape") == "input:8,3,8,8"


def test_an_open_output_of_a_quantized_model(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(deployed(out=(8, 0)).SerializeToString())
    declared = [{"name": "scores", "dataType": "FP32", "dims": [5]}]
    spec = order(quantized=True, batchSizes=[8], declaredOutputs=declared)
    assert prepare(spec, workspace)["outputs"][0]["dims"] == [5]


QUANTIZED_REFUSED: list[tuple[str, dict[str, Any], Any, str]] = [
    ("without saying so", {"batchSizes": [8]}, deployed(), "set spec.model.quantized: true"),
    (
        "once more",
        {"batchSizes": [8], "quantization": {"calibration": CALIBRATION}},
        deployed(),
        "and remove spec.conversion.quantization",
    ),
    ("not at all", {"quantized": True, "batchSizes": [8]}, models.classifier(), "no AscendQuant"),
    (
        "profiles",
        {"quantized": True, "batchSizes": [1, 8]},
        deployed(),
        "ATC compiles a quantized model for one batch size only",
    ),
    ("another batch", {"quantized": True, "batchSizes": [4]}, deployed(), "has batch 8"),
    (
        "an open output",
        {"quantized": True, "batchSizes": [8]},
        deployed(out=(8, 0)),
        "write it into spec.model.outputs",
    ),
    (
        "a wrong declaration",
        {
            "quantized": True,
            "batchSizes": [8],
            "declaredOutputs": [{"name": "scores", "dataType": "FP32", "dims": [6]}],
        },
        deployed(),
        "the model has FP32 [5]: correct it",
    ),
    ("a CPU", {"quantized": True, "chip": "CPU"}, deployed(), "choose an Ascend chip"),
    (
        "FP16 for AIPP's input",
        {"preprocessing": RGB8, "extraArgs": {"--input_fp16_nodes": "input"}},
        models.classifier(),
        "which AIPP makes UINT8",
    ),
    (
        "FP16 for nobody",
        {"extraArgs": {"--input_fp16_nodes": "x"}},
        models.classifier(),
        "the model's inputs are: input",
    ),
]


@pytest.mark.parametrize(
    ("why", "changes", "model", "want"), QUANTIZED_REFUSED, ids=[r[0] for r in QUANTIZED_REFUSED]
)
def test_quantized_refused(
    why: str, changes: dict[str, Any], model: Any, want: str, order: Order, workspace: Workspace
) -> None:
    workspace.model.write_bytes(model.SerializeToString())
    with pytest.raises(JobError) as caught:
        prepare(order(**changes), workspace)
    assert want in caught.value.message, why
    assert caught.value.exit_code in (64, 65)
    assert not workspace.convert_plan.exists()
