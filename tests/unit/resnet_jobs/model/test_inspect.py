"""What is found out about a model, and the sentence for each thing that will not do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from tests.unit.resnet_jobs import models

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.formats.onnx_file import load_model
from resnet_jobs.model.inspect import (
    ModelInput,
    Tensor,
    check_opset,
    graph_inputs,
    read_inputs,
    tidy_domains,
)

HEADS = [
    ("nothing at all", b"", "the file is empty"),
    ("a login page", b"<!DOCTYPE html><html><body>", "starts with <!DOCTYPE html>: a web page"),
    ("a page without doctype", b"\n <html lang=en>", "a web page, not an ONNX model"),
    ("an object store's error", b'<?xml version="1.0"?><Error>', "an XML document"),
    ("a pointer", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ("PyTorch since 1.6", b"PK\x03\x04" + b"\0" * 50, "as PyTorch saves weights"),
    ("PyTorch before 1.6", b"\x80\x02\x8a\nl\xfc\x9c", "a Python pickle"),
    ("a packed file", b"\x1f\x8b\x08\0\0", "unpack it first"),
    ("Keras", b"\x89HDF\r\n\x1a\n", "tf2onnx"),
    ("a converted model", b"IMOD\0\0\1\0", "an Ascend OM"),
    ("a phone's model", b"\x1c\0\0\0TFL3\0\0", "TensorFlow Lite"),
    ("an API's answer", b'{"error": "not found"}', "a JSON document"),
    ("noise", b"\xff\xfe\xfd\xfc" * 30, "ff fe fd fc and is not an ONNX model"),
    ("prose", b"hello there, this is a text file", "a text, not an ONNX model"),
]


@pytest.mark.parametrize(("reason", "head", "want"), HEADS, ids=[h[0] for h in HEADS])
def test_files_that_are_no_model(reason: str, head: bytes, want: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(head)
    with pytest.raises(JobError) as caught:
        load_model(path)
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL, reason
    assert want in caught.value.message
    assert caught.value.exit_code == 65


def test_a_model_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(models.classifier().SerializeToString()[:-30])
    with pytest.raises(JobError, match="is cut off"):
        load_model(path)


def test_an_empty_message_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.ModelProto(ir_version=8, producer_name="x").SerializeToString())
    with pytest.raises(JobError, match="is not an ONNX model"):
        load_model(path)


def test_the_checker_is_asked(tmp_path: Path) -> None:
    model = models.chain([helper.make_node("Relu", ["nowhere"], ["y"])])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(JobError, match="the ONNX checker refuses the model") as caught:
        load_model(path)
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL


OPSETS = [
    ("the safe one", 13, "Ascend310P3", None),
    ("the lowest", 11, "Ascend310P3", None),
    ("the highest", 18, "Ascend310P3", None),
    ("too old for ATC", 9, "Ascend310P3", "opset 9, but ATC reads 11 to 18: export it again"),
    ("too new for ATC", 21, "Ascend310P3", "export it again with opset 13"),
    ("old is fine for ONNX Runtime", 9, "CPU", None),
    ("new is fine for ONNX Runtime", 21, "CPU", None),
]


@pytest.mark.parametrize(("reason", "opset", "chip", "want"), OPSETS, ids=[o[0] for o in OPSETS])
def test_opset(reason: str, opset: int, chip: str, want: str | None) -> None:
    model = models.classifier(opset=opset)
    if want is None:
        assert check_opset(model, chip=chip) == opset, reason
        return
    with pytest.raises(JobError) as caught:
        check_opset(model, chip=chip)
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL
    assert want in caught.value.message


@pytest.mark.parametrize("opset", [8, 14, 18])
def test_amct_reads_older_models_than_atc(opset: int) -> None:
    model = models.classifier(opset=opset)
    assert check_opset(model, chip="Ascend310P3", quantized=True) == opset


@pytest.mark.parametrize("opset", [7, 19])
def test_what_amct_does_not_read(opset: int) -> None:
    model = models.classifier(opset=opset)
    with pytest.raises(JobError, match="but AMCT reads 8 to 18"):
        check_opset(model, chip="Ascend310P3", quantized=True)


def test_no_default_opset() -> None:
    model = models.classifier()
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    with pytest.raises(JobError, match="names no ONNX operator set"):
        check_opset(model, chip="CPU")


def test_unused_domains_are_dropped_and_noted() -> None:
    model = models.classifier(extra_domains=("ai.onnx.ml", "com.microsoft"))
    notes = tidy_domains(model, for_chip=True)
    assert [entry.domain for entry in model.opset_import] == [""]
    assert notes == [
        "dropped the unused operator domain ai.onnx.ml",
        "dropped the unused operator domain com.microsoft",
    ]
    assert tidy_domains(model, for_chip=True) == []


def test_foreign_operators_are_refused_for_a_chip_only() -> None:
    model = models.chain([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")])
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert tidy_domains(model, for_chip=False) == []
    with pytest.raises(JobError, match="Gelu of com") as caught:
        tidy_domains(model, for_chip=True)
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL


def test_local_functions_are_inlined() -> None:
    imports = [helper.make_opsetid("", 18)]
    body = helper.make_function(
        "pkg", "twice", ["v"], ["w"], [helper.make_node("Add", ["v", "v"], ["w"])], imports
    )
    model = models.chain([helper.make_node("twice", ["x"], ["y"], domain="pkg")], opset=18)
    model.opset_import.append(helper.make_opsetid("pkg", 1))
    model.functions.append(body)
    notes = tidy_domains(model, for_chip=True)
    assert notes[0] == "inlined the model's local functions"
    assert [node.op_type for node in model.graph.node] == ["Add"]
    assert [entry.domain for entry in model.opset_import] == [""]


def found(name: str, batch: int | None, *dims: int, kind: str = "FP32") -> ModelInput:
    return ModelInput(Tensor(name, kind, dims), batch)


INPUTS: list[tuple[str, Callable[[], Any], dict[str, list[int]], list[ModelInput]]] = [
    ("the batch is no part of the shape", models.classifier, {}, [found("input", None, 3, 8, 8)]),
    (
        "a fixed batch is read",
        lambda: models.classifier(batch=1),
        {},
        [found("input", 1, 3, 8, 8)],
    ),
    (
        "-1 leaves a dimension open",
        lambda: models.classifier(batch=-1),
        {},
        [found("input", None, 3, 8, 8)],
    ),
    (
        "0 leaves a dimension open",
        lambda: models.classifier(batch=0),
        {},
        [found("input", None, 3, 8, 8)],
    ),
    (
        "mmdeploy leaves N, H and W open",
        lambda: models.classifier(size=("H", "W")),
        {"input": [3, 32, 32]},
        [found("input", None, 3, 32, 32)],
    ),
    (
        "a shape that says what the file says",
        models.classifier,
        {"input": [3, 8, 8]},
        [found("input", None, 3, 8, 8)],
    ),
    (
        "half precision",
        lambda: models.classifier(kind=TensorProto.FLOAT16),
        {},
        [found("input", None, 3, 8, 8, kind="FP16")],
    ),
    (
        "weights that old exporters list as inputs are not asked for",
        lambda: models.classifier(weights_as_inputs=True),
        {},
        [found("input", None, 3, 8, 8)],
    ),
    (
        "several inputs",
        lambda: models.two_inputs(batch=1),
        {},
        [found("a", 1, 4, 8, 8), found("b", 1, 4)],
    ),
]


@pytest.mark.parametrize(("reason", "model", "shapes", "want"), INPUTS, ids=[i[0] for i in INPUTS])
def test_inputs(
    reason: str, model: Callable[[], Any], shapes: dict[str, list[int]], want: list[ModelInput]
) -> None:
    assert read_inputs(model(), shapes) == want, reason


def shapeless() -> onnx.ModelProto:
    model = models.classifier()
    graph_inputs(model)[0].type.tensor_type.ClearField("shape")
    return model


def test_an_input_without_any_shape_takes_it_from_the_spec() -> None:
    assert read_inputs(shapeless(), {"input": [3, 8, 8]}) == [found("input", None, 3, 8, 8)]


def without_inputs() -> onnx.ModelProto:
    model = models.classifier()
    del model.graph.input[:]
    return model


def sequence_input() -> onnx.ModelProto:
    model = models.classifier()
    sort = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    model.graph.input[0].type.CopyFrom(sort)
    return model


BAD_INPUTS: list[tuple[str, Callable[[], Any], dict[str, list[int]], Reason, str]] = [
    (
        "a shape for an input that is not there",
        models.classifier,
        {"x": [3, 8, 8]},
        Reason.INVALID_SPEC,
        'spec.conversion.inputShapes names "x"; the model\'s inputs are: input',
    ),
    (
        "open height and width, and no shape",
        lambda: models.classifier(size=("H", "W")),
        {},
        Reason.INVALID_SPEC,
        "2, 3 open: write the size, for example spec.conversion.inputShapes: {input: [3, 224, 224]",
    ),
    ("no shape anywhere", shapeless, {}, Reason.INVALID_SPEC, "its whole shape open"),
    (
        "another size than the file's",
        models.classifier,
        {"input": [3, 16, 16]},
        Reason.INVALID_SPEC,
        "[3, 16, 16] does not fit the model, which has [3, 8, 8]",
    ),
    (
        "a shape with the batch",
        lambda: models.classifier(size=("H", 8)),
        {"input": [1, 3, 8, 8]},
        Reason.INVALID_SPEC,
        "has [3, ?, 8] after the batch; write it without the batch dimension",
    ),
    (
        "integers in",
        lambda: _with_type(models.classifier(), TensorProto.INT64),
        {},
        Reason.UNSUPPORTED_MODEL,
        "has type INT64, but on a chip only FP32 and FP16",
    ),
    (
        "a type Triton does not know",
        lambda: _with_type(models.classifier(), TensorProto.COMPLEX64),
        {},
        Reason.UNSUPPORTED_MODEL,
        "that Triton lacks",
    ),
    (
        "a lone number",
        lambda: _scalar(models.classifier()),
        {},
        Reason.UNSUPPORTED_MODEL,
        "is a single number: its first dimension must be N",
    ),
    ("nothing to send", without_inputs, {}, Reason.UNSUPPORTED_MODEL, "the model has no inputs"),
    ("a list of tensors", sequence_input, {}, Reason.UNSUPPORTED_MODEL, "is not a tensor"),
]


def _with_type(model: onnx.ModelProto, kind: int) -> onnx.ModelProto:
    model.graph.input[0].type.tensor_type.elem_type = kind
    return model


def _scalar(model: onnx.ModelProto) -> onnx.ModelProto:
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    return model


@pytest.mark.parametrize(
    ("reason", "model", "shapes", "kind", "want"), BAD_INPUTS, ids=[b[0] for b in BAD_INPUTS]
)
def test_inputs_refused(
    reason: str, model: Callable[[], Any], shapes: dict[str, list[int]], kind: Reason, want: str
) -> None:
    with pytest.raises(JobError) as caught:
        read_inputs(model(), shapes)
    assert caught.value.reason == kind, reason
    assert want in caught.value.message
