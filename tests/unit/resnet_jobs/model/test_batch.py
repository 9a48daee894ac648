"""N is opened where the file fixes it, and only a model that really takes batches gets through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.unit.resnet_jobs import models

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.formats.onnx_file import check
from resnet_jobs.model.batch import fixed_batch, needs_opening, open_batch, prove
from resnet_jobs.model.inspect import ModelInput, Tensor, read_inputs

PICTURE = Tensor("input", "FP32", (3, 8, 8))

OPENING = [
    ("an open batch stays open", None, (1, 2, 4), False, False),
    ("a chip's static batch that the file has", 24, (24,), False, False),
    ("a chip's static batch that the file has not", 1, (24,), False, True),
    ("profiles need an open batch", 1, (1, 2), False, True),
    ("a CPU always needs one", 4, (4,), True, True),
    ("an open one does for the CPU", None, (4,), True, False),
]


@pytest.mark.parametrize(
    ("reason", "batch", "sizes", "cpu", "want"), OPENING, ids=[o[0] for o in OPENING]
)
def test_when_the_batch_is_opened(
    reason: str, batch: int | None, sizes: tuple[int, ...], cpu: bool, want: bool
) -> None:
    found = [ModelInput(PICTURE, batch)]
    assert needs_opening(found, batch_sizes=sizes, cpu=cpu) is want, reason


def test_inputs_that_disagree_about_the_batch() -> None:
    with pytest.raises(JobError, match=r"different first dimensions \(1, 4\)") as caught:
        fixed_batch([ModelInput(PICTURE, 1), ModelInput(PICTURE, 4)])
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL


def test_one_open_input_follows_the_fixed_one() -> None:
    assert fixed_batch([ModelInput(PICTURE, 1), ModelInput(PICTURE, None)]) == 1


OPENED: list[tuple[str, Callable[[], onnx.ModelProto], int]] = [
    ("a plain export of one picture", lambda: models.classifier(batch=1), 1),
    ("an export of four", lambda: models.classifier(batch=4), 4),
    ("half precision", lambda: models.classifier(batch=1, kind=TensorProto.FLOAT16), 1),
    (
        "a flattening baked into an initializer",
        lambda: models.classifier(batch=1, flatten="Reshape"),
        1,
    ),
    (
        "a flattening baked into a node",
        lambda: models.classifier(batch=4, flatten="ReshapeConstant", baked=4),
        4,
    ),
    (
        "a model of 2018 that lists its weights as inputs",
        lambda: models.classifier(batch=1, opset=9, flatten="Reshape", weights_as_inputs=True),
        1,
    ),
    ("two inputs, two outputs", lambda: models.two_inputs(batch=1), 1),
    ("only one of two inputs is fixed", lambda: models.two_inputs(batch="N", second_batch=1), 1),
]


@pytest.mark.parametrize(("reason", "build", "fixed"), OPENED, ids=[o[0] for o in OPENED])
def test_opened_models_take_every_batch(
    reason: str, build: Callable[[], onnx.ModelProto], fixed: int
) -> None:
    before, model = build(), build()
    notes = open_batch(model, fixed=fixed)
    assert notes[0] == f"opened the batch dimension, fixed to {fixed} in the file"
    inputs = read_inputs(model, {})
    assert fixed_batch(inputs) is None, reason
    outputs = prove(model, inputs)
    check(model)

    rng = np.random.default_rng(1)
    kind = {"FP32": np.float32, "FP16": np.float16}
    feed = {
        entry.tensor.name: rng.standard_normal((fixed, *entry.tensor.dims)).astype(
            kind[entry.tensor.data_type]
        )
        for entry in inputs
    }
    want, got = models.scores(before, feed), models.scores(model, feed)
    for expected, answer, output in zip(want, got, outputs, strict=True):
        np.testing.assert_allclose(answer, expected, rtol=1e-2)
        assert tuple(answer.shape[1:]) == output.dims


def test_outputs_are_described() -> None:
    model = models.two_inputs()
    assert prove(model, read_inputs(model, {})) == [
        Tensor("sum", "FP32", (4,)),
        Tensor("best", "INT64", ()),
    ]


def test_a_reshape_of_weights_keeps_its_target() -> None:
    weights = {"w": np.ones((1, 6), dtype=np.float32), "s": np.array([1, 3, 2], dtype=np.int64)}
    nodes = [
        helper.make_node("Reshape", ["w", "s"], ["v"]),
        helper.make_node("ReduceSum", ["v", "axis"], ["u"], keepdims=0),
        helper.make_node("Add", ["x", "u"], ["y"]),
    ]
    model = models.chain(nodes, weights={**weights, "axis": np.array([2])}, dims=[1, 3])
    notes = open_batch(model, fixed=1)
    assert prove(model, read_inputs(model, {}))[0].dims == (3,)
    assert len(notes) in (1, 2), "whatever was changed, the proof held"


def fixed_output() -> onnx.ModelProto:
    return models.classifier(batch=24, output_batch=24)


def test_a_fixed_batch_is_taken_as_it_is() -> None:
    model = fixed_output()
    assert prove(model, read_inputs(model, {})) == [Tensor("scores", "FP32", (5,))]


def test_a_fixed_batch_with_an_unknown_output_is_run() -> None:
    model = models.two_inputs(batch=3)
    model.graph.node.insert(2, helper.make_node("NonZero", ["f"], ["anything"]))
    assert [tensor.dims for tensor in prove(model, read_inputs(model, {}))] == [(4,), ()]


NOT_BATCHABLE: list[tuple[str, Callable[[], onnx.ModelProto], int | None, str]] = [
    (
        "the first picture cut out",
        lambda: models.chain(
            [helper.make_node("Slice", ["x", "zero", "one", "zero"], ["y"])],
            weights={"zero": np.array([0]), "one": np.array([1])},
            dims=[1, 3],
        ),
        1,
        'output "y" has shape [1, 3] for 2 pictures',
    ),
    (
        "an open batch in the file, but not in the graph",
        lambda: models.classifier(batch="N", flatten="Reshape"),
        None,
        'the model fails with 2 pictures at node "view" (Reshape): The input tensor cannot be',
    ),
    (
        "statistics over the batch: a model exported in training mode",
        lambda: models.chain(
            [
                helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
                helper.make_node("Sub", ["x", "m"], ["y"]),
            ]
        ),
        None,
        "changes with the other pictures in its batch",
    ),
    (
        "an integer answer that depends on the others",
        lambda: models.chain(
            [helper.make_node("ArgMax", ["x"], ["y"], axis=0, keepdims=0)],
            dims=["N", 2],
            out_kind=TensorProto.INT64,
        ),
        None,
        "its first dimension must be the batch",
    ),
    (
        "an answer for all pictures together",
        lambda: models.chain([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)]),
        None,
        'output "y" has shape [] for 1 picture:',
    ),
    (
        "the batch behind the classes",
        lambda: models.chain([helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0])]),
        None,
        'output "y" has shape [3, 1] for 1 picture:',
    ),
    (
        "the batch repeated",
        lambda: models.chain([helper.make_node("Concat", ["x", "x"], ["y"], axis=0)]),
        None,
        "its first dimension must be the batch",
    ),
    (
        "an operator ONNX Runtime does not have",
        lambda: _foreign(models.chain([helper.make_node("Nope", ["x"], ["y"], domain="my.ops")])),
        None,
        "cannot load the model",
    ),
]


def _foreign(model: onnx.ModelProto) -> onnx.ModelProto:
    model.opset_import.append(helper.make_opsetid("my.ops", 1))
    return model


@pytest.mark.parametrize(
    ("reason", "build", "fixed", "want"), NOT_BATCHABLE, ids=[n[0] for n in NOT_BATCHABLE]
)
def test_models_that_take_no_batches(
    reason: str, build: Callable[[], onnx.ModelProto], fixed: int | None, want: str
) -> None:
    model = build()
    if fixed is not None:
        open_batch(model, fixed=fixed)
    with pytest.raises(JobError) as caught:
        prove(model, read_inputs(model, {}))
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL, reason
    assert want in caught.value.message


def test_rows_that_are_swapped_are_noticed() -> None:
    indices: dict[str, Any] = {"back": np.array([-1, 0])}
    nodes = [
        helper.make_node("Shape", ["x"], ["n"]),
        helper.make_node("Gather", ["x", "back"], ["g"], axis=0),
        helper.make_node("Slice", ["g", "zero", "end", "zero"], ["y"]),
    ]
    weights = {**indices, "zero": np.array([0]), "end": np.array([2])}
    nodes[2] = helper.make_node("Slice", ["g", "zero", "count", "zero"], ["y"])
    nodes.insert(1, helper.make_node("Slice", ["n", "zero", "one", "zero"], ["count"]))
    weights["one"] = np.array([1])
    model = models.chain(nodes, weights=weights)
    with pytest.raises(JobError, match="changes with the other pictures"):
        prove(model, read_inputs(model, {}))
