"""ONNX files from all kinds of exporters, through the whole of `prepare`: served, or refused in a
sentence that names the node or the file and says what to do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper
from tests.unit.resnet_jobs import models

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.runtime_error import read_failure
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.prepare import prepare
from resnet_jobs.formats.onnx_file import load_model
from resnet_jobs.model.baked_batch import open_operators

Order = Callable[..., JobSpec]
Model: TypeAlias = "onnx.ModelProto"
C = models.CHANNELS


def flattened(
    *target: onnx.NodeProto,
    batch: int | str = 1,
    opset: int = 17,
    weights: dict[str, Any] | None = None,
    **attributes: Any,
) -> Model:
    """A small network whose flattening is a Reshape to the tensor "shape", which `target` makes."""
    nodes = [
        *target,
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Reshape", ["p", "shape"], ["f"], name="/flatten", **attributes),
        helper.make_node("Gemm", ["f", "fc"], ["y"], name="/fc"),
    ]
    fc = np.arange(C * 5, dtype=np.float32).reshape(C, 5)
    return models.chain(
        nodes, weights={"fc": fc, **(weights or {})}, dims=[batch, C, 8, 8], opset=opset
    )


def constant(name: str, *values: int) -> onnx.NodeProto:
    value = numpy_helper.from_array(np.array(values, dtype=np.int64))
    return helper.make_node("Constant", [], [name], value=value)


def ints(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


BAKED: list[tuple[str, Callable[[], Model]]] = [
    ("torch's newer exporter", lambda: flattened(constant("shape", 1, C), allowzero=1)),
    ("the same with -1", lambda: flattened(constant("shape", 1, -1), allowzero=1)),
    ("allowzero written as 0", lambda: flattened(constant("shape", 1, C), allowzero=0)),
    ("an initializer", lambda: flattened(weights={"shape": ints(1, C)}, allowzero=1)),
    (
        "value_ints",
        lambda: flattened(helper.make_node("Constant", [], ["shape"], value_ints=[1, C])),
    ),
    (
        "put together by Concat",
        lambda: flattened(
            constant("n", 1),
            constant("c", -1),
            helper.make_node("Concat", ["n", "c"], ["shape"], axis=0),
        ),
    ),
    (
        "numbers that become lists by Unsqueeze",
        lambda: flattened(
            helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.array(1))),
            constant("axes", 0),
            helper.make_node("Unsqueeze", ["one", "axes"], ["n"]),
            helper.make_node("Concat", ["n", "c"], ["shape"], axis=0),
            weights={"c": ints(-1)},
        ),
    ),
    (
        "cast from 32 bits",
        lambda: flattened(
            helper.make_node("Cast", ["small"], ["shape"], to=TensorProto.INT64),
            weights={"small": np.array([1, C], dtype=np.int32)},
        ),
    ),
    (
        "computed from a weight's shape",
        lambda: flattened(
            helper.make_node("Shape", ["fc"], ["s"]),
            helper.make_node("Gather", ["s", "first"], ["c"]),
            helper.make_node("Concat", ["n", "c"], ["shape"], axis=0),
            weights={"first": ints(0), "n": ints(1)},
        ),
    ),
    ("an identity in between", lambda: flattened(
        constant("s", 1, C), helper.make_node("Identity", ["s"], ["shape"]))),
    (
        "Squeeze without axes, before opset 13",
        lambda: models.chain(
            [
                helper.make_node("GlobalAveragePool", ["x"], ["p"]),
                helper.make_node("Squeeze", ["p"], ["f"], name="/squeeze"),
                helper.make_node("Flatten", ["f"], ["y"]),
            ],
            dims=[1, C, 8, 8],
            opset=11,
        ),
    ),
    (
        "Squeeze without axes, since opset 13",
        lambda: models.chain(
            [
                helper.make_node("GlobalAveragePool", ["x"], ["p"]),
                helper.make_node("Squeeze", ["p"], ["f"], name="/squeeze"),
                helper.make_node("Flatten", ["f"], ["y"]),
            ],
            dims=[1, C, 8, 8],
            opset=13,
        ),
    ),
]  # fmt: skip


def graph(name: str, *nodes: onnx.NodeProto, **weights: Any) -> onnx.GraphProto:
    """A branch of an If that answers "b"."""
    out = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
    kept = [numpy_helper.from_array(value, key) for key, value in weights.items()]
    return helper.make_graph(list(nodes), name, [], [out], kept)


def decided(*condition: onnx.NodeProto, taken: str = "then_branch", **weights: Any) -> Model:
    """As PyTorch writes a flattening by squeeze, whose dimension it did not look at."""
    baked = graph("baked", helper.make_node("Reshape", ["p", "t"], ["b"], name="in"), t=ints(1, C))
    other = graph("other", helper.make_node("Identity", ["p"], ["b"]))
    branches = {"then_branch": other, "else_branch": other, taken: baked}
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        *condition,
        helper.make_node("If", ["c"], ["f"], name="/if", **branches),
        helper.make_node("Gemm", ["f", "fc"], ["y"], name="/fc"),
    ]
    fc = np.arange(C * 5, dtype=np.float32).reshape(C, 5)
    return models.chain(nodes, weights={"fc": fc, **weights}, dims=[1, C, 8, 8], opset=17)


def size_of(name: str) -> list[onnx.NodeProto]:
    gather = helper.make_node("Gather", ["s", "i"], ["n"], axis=0)
    return [helper.make_node("Shape", [name], ["s"]), gather]


ONES = numpy_helper.from_array(ints(1))
BAKED += [
    (
        "one number baked in, the other asked for",
        lambda: flattened(
            *size_of("x"),
            helper.make_node("Concat", ["one", "n"], ["shape"], axis=0),
            weights={"one": ints(1), "i": ints(1)},
        ),
    ),
    (
        "the same since opset 15",
        lambda: flattened(
            helper.make_node("Shape", ["x"], ["n"], start=1, end=2),
            helper.make_node("Concat", ["one", "n"], ["shape"], axis=0),
            weights={"one": ints(1)},
        ),
    ),
    (
        "multiplied",
        lambda: flattened(
            helper.make_node(
                "ConstantOfShape", ["two"], ["z"], value=numpy_helper.from_array(ints(1))
            ),
            helper.make_node("Mul", ["z", "m"], ["shape"]),
            weights={"two": ints(2), "m": ints(1, C)},
        ),
    ),
    ("in a branch that is always taken", lambda: decided(c=np.array(True))),
    ("in the other branch", lambda: decided(taken="else_branch", c=np.array(False))),
    (
        "in a branch that a size decides",
        lambda: decided(
            *size_of("p"),
            helper.make_node("Equal", ["n", "one"], ["c"]),
            i=np.array(2),
            one=np.array(1),
        ),
    ),
]


def test_what_the_batch_decides_is_left_alone() -> None:
    """With one picture one branch is taken, with several the other."""
    equal = helper.make_node("Equal", ["n", "one"], ["c"])
    model = decided(*size_of("p"), equal, i=np.array(0), one=np.array(1))
    before = model.SerializeToString()
    assert open_operators(model, 1) == []
    assert model.SerializeToString() == before


@pytest.mark.parametrize(("reason", "build"), BAKED, ids=[row[0] for row in BAKED])
@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3"])
def test_a_baked_batch_is_opened(
    reason: str, build: Callable[[], Model], chip: str, order: Order, workspace: Workspace
) -> None:
    workspace.model.write_bytes(build().SerializeToString())
    told = prepare(order(chip=chip, batchSizes=[1, 4]), workspace)
    assert any("opened the batch" in note for note in told["notes"]), reason
    pictures = np.random.default_rng(3).standard_normal((4, C, 8, 8)).astype(np.float32)
    want = [models.scores(build(), {"x": one[None]})[0].ravel() for one in pictures]
    got = models.scores(onnx.load(workspace.model), {"x": pictures})[0]
    np.testing.assert_allclose(got, np.stack(want), rtol=1e-5)


OPEN_BUT_BAKED = [(reason, build) for reason, build in BAKED if "Squeeze" not in reason][:4]


@pytest.mark.parametrize(("reason", "build"), OPEN_BUT_BAKED, ids=[r[0] for r in OPEN_BUT_BAKED])
@pytest.mark.parametrize("sizes", [[1], [1, 2, 4, 8], [4]])
@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3"])
def test_an_open_input_with_a_baked_operator(
    reason: str,
    build: Callable[[], Model],
    sizes: list[int],
    chip: str,
    order: Order,
    workspace: Workspace,
) -> None:
    model = build()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    workspace.model.write_bytes(model.SerializeToString())
    told = prepare(order(chip=chip, batchSizes=sizes), workspace)
    assert told["outputs"][0]["dims"] == [5], reason
    if sizes == [1]:
        assert told["notes"] == [], "only the declared size is run, and it works as it is"


def test_a_size_that_is_not_declared_is_not_run(order: Order, workspace: Workspace) -> None:
    """A model that takes nothing but pairs is no worse for a chip that is asked for pairs."""
    halves = [
        helper.make_node("Reshape", ["x", "pairs"], ["p"]),
        helper.make_node("Reshape", ["p", "back"], ["y"]),
    ]
    weights = {"pairs": ints(-1, 2, 3), "back": ints(-1, 3)}
    workspace.model.write_bytes(models.chain(halves, weights=weights).SerializeToString())
    assert prepare(order(batchSizes=[2, 4]), workspace)["outputs"][0]["dims"] == [3]
    with pytest.raises(JobError, match="fails with 1 picture at a Reshape node"):
        prepare(order(batchSizes=[1, 2]), workspace)


@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3"])
def test_the_one_size_of_the_file_is_served(chip: str, order: Order, workspace: Workspace) -> None:
    """On a CPU, too: where the opened file does not answer, the one that came is served."""
    rows = [
        helper.make_node("Reshape", ["x", "column"], ["c"]),
        helper.make_node("Reshape", ["c", "back"], ["y"]),
    ]
    model = models.chain(rows, weights={"column": ints(12, 1), "back": ints(4, 3)}, dims=[4, 3])
    data = model.SerializeToString()
    workspace.model.write_bytes(data)
    assert prepare(order(chip=chip, batchSizes=[4]), workspace)["notes"] == []
    assert workspace.model.read_bytes() == data
    with pytest.raises(JobError, match=r"or set spec\.conversion\.batchSizes to the one number"):
        prepare(order(chip=chip, batchSizes=[2, 4]), workspace)


def test_no_advice_that_was_followed_already(order: Order, workspace: Workspace) -> None:
    broken = models.chain(
        [helper.make_node("Reshape", ["x", "shape"], ["y"], name="/broken")],
        weights={"shape": ints(7, 7)},
    )
    workspace.model.write_bytes(broken.SerializeToString())
    with pytest.raises(JobError) as caught:
        prepare(order(batchSizes=[1]), workspace)
    assert 'fails with 1 picture at node "/broken" (Reshape)' in caught.value.message
    assert "batchSizes" not in caught.value.message


def resized(opset: int, sizes: tuple[int, ...] = (1, C, 4, 4)) -> Model:
    """Pictures are made smaller inside the model, as exports of whole pipelines do it."""
    none = ["roi", "roi"] if opset < 13 else ["", ""]
    nodes = [
        helper.make_node("Resize", ["x", *none, "sizes"], ["r"], name="/resize", mode="nearest"),
        helper.make_node("Reshape", ["r", "shape"], ["f"], name="/flatten"),
    ]
    weights: dict[str, Any] = {"sizes": ints(*sizes), "shape": ints(1, -1)}
    if opset < 13:
        weights["roi"] = np.array([], dtype=np.float32)
    model = models.chain(nodes, weights=weights, dims=[1, C, 8, 8], opset=opset)
    model.graph.output[0].name = "f"
    return model


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3"])
def test_a_size_with_the_batch_baked_in_is_opened(
    opset: int, chip: str, order: Order, workspace: Workspace
) -> None:
    workspace.model.write_bytes(resized(opset).SerializeToString())
    told = prepare(order(chip=chip, batchSizes=[1, 4]), workspace)
    assert told["notes"][-1] == "opened the batch in 2 operator(s): /resize, /flatten"
    pictures = np.random.default_rng(3).standard_normal((4, C, 8, 8)).astype(np.float32)
    want = [models.scores(resized(opset), {"x": one[None]})[0].ravel() for one in pictures]
    got = models.scores(onnx.load(workspace.model), {"x": pictures})[0]
    np.testing.assert_array_equal(got, np.stack(want))


LOST: list[tuple[str, list[onnx.NodeProto], dict[str, Any], str]] = [
    ("the first row alone", [helper.make_node("Gather", ["x", "i"], ["g"], name="/first", axis=0)],
     {"i": ints(0)}, '"/first" (Gather)'),
    ("a slice of one", [helper.make_node("Slice", ["x", "i", "end", "i"], ["g"], name="/slice")],
     {"i": ints(0), "end": ints(1)}, '"/slice" (Slice)'),
    ("the mean of all pictures",
     [helper.make_node("ReduceMean", ["x"], ["g"], name="/mean", axes=[0], keepdims=1)], {},
     '"/mean" (ReduceMean)'),
    ("a node without a name", [helper.make_node("Gather", ["x", "i"], ["g"], axis=0)],
     {"i": ints(0)}, '"g" (Gather)'),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "nodes", "weights", "node"), LOST, ids=[r[0] for r in LOST])
@pytest.mark.parametrize("batch", [1, "N"])
def test_where_the_batch_is_lost_is_named(
    reason: str,
    nodes: list[onnx.NodeProto],
    weights: dict[str, Any],
    node: str,
    batch: Any,
    order: Order,
    workspace: Workspace,
) -> None:
    chain = [*nodes, helper.make_node("Relu", ["g"], ["y"])]
    model = models.chain(chain, weights=weights, dims=[batch, C, 8, 8])
    workspace.model.write_bytes(model.SerializeToString())
    with pytest.raises(JobError) as caught:
        prepare(order(batchSizes=[1, 4]), workspace)
    assert caught.value.message.startswith(f"the batch is lost at node {node}: output"), reason
    assert "export it with an open batch" in caught.value.message


NAMES = [
    ("TensorFlow", "input:0", "input:0"),
    ("a signature of TensorFlow", "serving_default_input_1:0", "serving_default_input_1:0"),
    ("a semicolon, at which ATC splits", "a;b", "a_b"),
    ("a comma", "a,b", "a_b"),
    ("quotes", 'a"b', "a_b"),
    ("a blank", "input image", "input_image"),
    ("characters that are not ASCII", "图像", "__"),
    ("what looks like a path", "/model/input", "/model/input"),
]


@pytest.mark.parametrize(("reason", "name", "inside"), NAMES, ids=[row[0] for row in NAMES])
def test_inputs_keep_their_names_for_clients(
    reason: str, name: str, inside: str, order: Order, workspace: Workspace
) -> None:
    workspace.model.write_bytes(models.classifier(name=name).SerializeToString())
    told = prepare(order(), workspace)
    assert told["inputs"][0]["name"] == name, reason
    argv = json.loads(workspace.convert_plan.read_text())["argv"]
    assert f"--input_shape={inside}:-1,3,8,8" in argv
    onnx.checker.check_model(onnx.load(workspace.model))
    assert onnx.load(workspace.model).graph.input[0].name == inside


def test_two_odd_names_stay_two(order: Order, workspace: Workspace) -> None:
    model = models.two_inputs()
    for old, new in (("a", "p;q"), ("b", "p,q")):
        for node in model.graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
        next(v for v in model.graph.input if v.name == old).name = new
    workspace.model.write_bytes(model.SerializeToString())
    told = prepare(order(), workspace)
    assert [one["name"] for one in told["inputs"]] == ["p;q", "p,q"]
    argv = json.loads(workspace.convert_plan.read_text())["argv"]
    assert "--input_shape=p_q:-1,4,8,8;p_q_2:-1,4" in argv


def typed(kind: int) -> Model:
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Identity", ["f"], ["y"]),
    ]
    model = models.chain(nodes, dims=["N", 3, 8, 8])
    model.graph.input[0].type.tensor_type.elem_type = kind
    return model


TYPES = [
    (TensorProto.UINT8, "UINT8"),
    (TensorProto.INT8, "INT8"),
    (TensorProto.INT32, "INT32"),
    (TensorProto.INT64, "INT64"),
    (TensorProto.DOUBLE, "FP64"),
    (TensorProto.FLOAT16, "FP16"),
    (TensorProto.BOOL, "BOOL"),
    (TensorProto.UINT16, "UINT16"),
    (TensorProto.BFLOAT16, "FP32"),
]


@pytest.mark.parametrize(("kind", "served"), TYPES)
def test_a_cpu_serves_what_onnx_runtime_takes(
    kind: int, served: str, order: Order, workspace: Workspace
) -> None:
    workspace.model.write_bytes(typed(kind).SerializeToString())
    told = prepare(order(chip="CPU"), workspace)
    assert told["inputs"][0]["dataType"] == served


def test_bfloat16_goes_in_and_out_as_floats(order: Order, workspace: Workspace) -> None:
    model = models.chain([helper.make_node("Identity", ["x"], ["y"])])
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.BFLOAT16
    workspace.model.write_bytes(model.SerializeToString())
    told = prepare(order(chip="CPU"), workspace)
    assert [told[k][0]["dataType"] for k in ("inputs", "outputs")] == ["FP32", "FP32"]
    feed = {"x": np.array([[1.0, 0.5, -2.0]], dtype=np.float32)}
    np.testing.assert_array_equal(models.scores(onnx.load(workspace.model), feed)[0], feed["x"])


def test_a_chip_keeps_its_limit_and_the_sentence_says_what_else(
    order: Order, workspace: Workspace
) -> None:
    workspace.model.write_bytes(typed(TensorProto.UINT8).SerializeToString())
    with pytest.raises(JobError, match=r"only FP32 and FP16 can be served.*accelerator\.chip: CPU"):
        prepare(order(), workspace)


def test_text_is_no_picture(order: Order, workspace: Workspace) -> None:
    model = typed(TensorProto.FLOAT)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    del model.graph.node[0]
    model.graph.node[0].input[0] = "x"
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.STRING
    workspace.model.write_bytes(model.SerializeToString())
    with pytest.raises(JobError, match="on a CPU only numbers can be served"):
        prepare(order(chip="CPU"), workspace)


SINGLE: list[tuple[str, list[Any], bool]] = [
    ("channels first", [3, 224, 224], True),
    ("channels first, not square", [3, 224, 160], True),
    ("channels last", [224, 224, 3], True),
    ("open height and width", [3, "H", "W"], True),
    ("named channels", ["channels", 224, 224], True),
    ("a batch of grey pictures", ["N", 224, 224], False),
    ("a batch of one grey picture", [1, 224, 224], False),
    ("a sequence of vectors", [1, 16, 64], False),
    ("a batch, three long", ["batch", 128, 3], False),
]


@pytest.mark.parametrize(("reason", "dims", "want"), SINGLE, ids=[row[0] for row in SINGLE])
def test_a_picture_without_a_batch(
    reason: str, dims: list[Any], want: bool, order: Order, workspace: Workspace
) -> None:
    model = models.chain([helper.make_node("Relu", ["x"], ["y"])], dims=dims)
    workspace.model.write_bytes(model.SerializeToString())
    shapes = {"x": [64, 64]} if "H" in dims else {}
    if not want:
        prepare(order(inputShapes=shapes), workspace)
        return
    with pytest.raises(JobError) as caught:
        prepare(order(inputShapes=shapes), workspace)
    assert "no batch dimension" in caught.value.message, reason
    assert "torch.zeros(1, " in caught.value.message


def external(folder: Path, content: bytes | None) -> Path:
    """A model whose weights lie in weights.bin, replaced by `content`; None takes it away."""
    model = models.classifier()
    external_data_helper.convert_model_to_external_data(
        model, location="weights.bin", size_threshold=0
    )
    path = folder / "model.onnx"
    onnx.save(model, str(path))
    weights = folder / "weights.bin"
    if content is None:
        weights.unlink()
    else:
        weights.write_bytes(content)
    return path


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 102\n"
WEIGHTS = [
    ("a Git LFS pointer", POINTER, f"a Git LFS pointer of {len(POINTER)} bytes"),
    ("empty", b"", "which is empty"),
    ("cut off", b"\0" * 10, "cut off: it has 10 of"),
    ("gone", None, "which is not beside it"),
]


@pytest.mark.parametrize(("reason", "content", "want"), WEIGHTS, ids=[row[0] for row in WEIGHTS])
def test_the_weights_file_is_named(
    reason: str, content: bytes | None, want: str, tmp_path: Path
) -> None:
    with pytest.raises(JobError) as caught:
        load_model(external(tmp_path, content))
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL
    assert '"weights.bin"' in caught.value.message, reason
    assert want in caught.value.message
    assert "spec.model.uri" not in caught.value.message, "the model itself is fine"


@pytest.mark.parametrize("value", ["-1", "many", "99999999999999999999999"])
def test_odd_places_of_weights(value: str, tmp_path: Path) -> None:
    path = external(tmp_path, b"\0" * 4000)
    model = onnx.load(str(path), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "offset":
            entry.value = value
    path.write_bytes(model.SerializeToString())
    with pytest.raises(JobError) as caught:
        load_model(path)
    assert "weights.bin" in caught.value.message


PLACES = [
    ("a NUL in it", "w\0.bin", "control characters"),
    ("a line feed in it", "w\n.bin", "control characters"),
    ("a link", "link.bin", 'in "link.bin", which is a link: upload the file itself'),
    ("a folder", "folder", 'in "folder", which is not beside it'),
    ("an address", "https://models.test/w.bin", "which is not beside it"),
    ("of Windows", "..\\weights.bin", "which is not beside it"),
    ("the model itself", "model.onnx", "which is cut off"),
    ("nothing", "", "outside its folder"),
    ("the folder", ".", "outside its folder"),
    ("a device", "/dev/zero", "outside its folder"),
    ("another way to the same", "a/../weights.bin", "outside its folder"),
]


@pytest.mark.parametrize(("reason", "name", "want"), PLACES, ids=[row[0] for row in PLACES])
def test_odd_names_of_weights(reason: str, name: str, want: str, tmp_path: Path) -> None:
    path = external(tmp_path, b"\0" * 4000)
    (tmp_path / "link.bin").symlink_to("/etc/hostname")
    (tmp_path / "folder").mkdir()
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = name
            elif entry.key == "offset" and name == "model.onnx":
                entry.value = "100000"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(JobError) as caught:
        load_model(path)
    assert want in caught.value.message, reason
    assert "is not an ONNX model" not in caught.value.message


HEADS = [
    ("PNG", b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    ("JPEG", b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
    ("GIF", b"GIF89a", "a GIF picture"),
    ("WebP", b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP picture"),
    ("TIFF", b"II*\0\x08\0\0\0", "a TIFF picture"),
    ("safetensors", (64).to_bytes(8, "little") + b'{"conv1.weight":{"dtype":"F32"', "safetensors"),
    ("safetensors, padded", (9000).to_bytes(8, "little") + b'{  "__metadata__":{}', "safetensors"),
    ("NumPy", b"\x93NUMPY\x01\0v\0{'descr'", "a NumPy array"),
    ("tar", b"resnet50/model.onnx".ljust(257, b"\0") + b"ustar\x0000", "a tar archive"),
    ("Zstandard", b"\x28\xb5\x2f\xfd\x24\0", "a Zstandard archive"),
    ("xz", b"\xfd7zXZ\0\0\x04", "an xz archive"),
    ("bzip2", b"BZh91AY&SY", "a bzip2 archive"),
    ("7-Zip", b"7z\xbc\xaf\x27\x1c\0\4", "a 7-Zip archive"),
    ("a program", b"\x7fELF\x02\x01\x01", "a program or library"),
    ("PDF", b"%PDF-1.7\n", "a PDF document"),
    ("GGUF", b"GGUF\x03\0\0\0", "a language model"),
    ("OpenVINO", b'<?xml version="1.0"?>\n<net name="resnet50" version="11">', "OpenVINO"),
    ("an OM", b"IMOD\0\0\1\0", "an Ascend OM"),
    ("MindIR", b"\n\x050.1.0\x12\tMindSpore\x1a\x052.3.0", "a MindIR of MindSpore"),
    ("MindSpore Lite", b"\x20\0\0\0MSL2\0\0", "a MindSpore Lite model"),
    (
        "MindSpore's ckpt",
        b"\n\xb7\x80\x04\n\x0cconv1.weight\x12\xa6\x80\x04\x08\x40\x08\3",
        "of MindSpore",
    ),
    (
        "the same, small",
        b"\n\x1d\n\x07bn1.eps\x12\x12\n\1\1\x12\7Float32",
        "a checkpoint of MindSpore",
    ),
    ("PaddlePaddle", b"\n\xb2\1\x08\0\x10" + b"\xff" * 9 + b"\1\x1a", "a PaddlePaddle model"),
    ("TensorFlow, frozen", b"\n\x1a\n\5input\x12\x0bPlaceholder*", "a frozen graph of TensorFlow"),
    (
        "TensorFlow, saved",
        b"\x08\1\x12\xc9\x97\x07\n\x9f\2\x12\5serve",
        "a SavedModel of TensorFlow",
    ),
    ("Caffe", b"\n\x0aResNet-50-\xa2\6\x95\1\n\4data", "a Caffe model"),
    ("Caffe, as text", b'name: "ResNet-50"\nlayer {\n  name: "data"\n', "a Caffe network as text"),
    ("Caffe, as text, without a name", b"layer {\n  type: Input", "a Caffe network as text"),
    ("ONNX as text", b'ir_version: 8\nproducer_name: "pytorch"\ngraph {', "an ONNX model as text"),
    ("Keras 3", b"PK\3\4" + b"\0" * 26 + b"metadata.json{", "a Keras model"),
    ("npz", b"PK\3\4" + b"\0" * 26 + b"arr_0.npy\x93NUMPY", "NumPy arrays"),
    (
        "a packed model",
        b"PK\3\4" + b"\0" * 26 + b"resnet50/model.onnx\x08\7",
        "with an ONNX model in it",
    ),
    (
        "TorchScript of an export",
        b"PK\3\4" + b"\0" * 26 + b"model.onnx/data.pkl",
        "as PyTorch saves",
    ),
    ("LZ4", b"\x04\x22\x4d\x18\x60\x40", "an LZ4 archive"),
    ("HEIC, of a telephone", b"\0\0\0\x1cftypheic", "in an MP4 container"),
    ("an RKNN model", b"RKNN\0\0\0\0", "an RKNN model"),
    ("a sparse file that was never filled", b"", "nothing but zeros"),
    ("a page with a mark", b"\xef\xbb\xbf<!DOCTYPE html>", "a web page"),
    ("a page that begins with a comment", b"<!-- saved from -->\n<html>", "a web page"),
    ("UTF-16", "<html>".encode("utf-16"), "a text in UTF-16"),
]


def test_a_short_answer_of_a_server_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"404: Not Found\r\n")
    with pytest.raises(JobError, match="a text, not an ONNX model; write the address of the file"):
        load_model(path)


@pytest.mark.parametrize(("reason", "head", "want"), HEADS, ids=[row[0] for row in HEADS])
def test_known_files_are_named(reason: str, head: bytes, want: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(head + b"\0" * 600)
    with pytest.raises(JobError) as caught:
        load_model(path)
    assert want in caught.value.message, reason


def test_a_model_is_not_taken_for_another_kind(tmp_path: Path) -> None:
    """ONNX files begin with the version of their format and the producer's name."""
    long = "\n\x05input\x12\x0bPlaceholder"
    producers = (
        "",
        "pytorch",
        '{"',
        "PK",
        "BM",
        "MZ" * 20,
        "MindSpore",
        long,
        long * 20,
        "name: x",
    )
    for number, producer in enumerate(producers):
        model = models.classifier()
        model.producer_name = producer
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(model.SerializeToString())
        load_model(path)


OPSETS = [
    ("the model zoo's", 9, True),
    ("of PyTorch 1.1", 10, True),
    ("of MXNet", 8, True),
    ("the oldest that is converted", 7, True),
    ("of today's exporters", 19, True),
    ("newer still", 21, True),
]


@pytest.mark.parametrize(("reason", "opset", "listed"), OPSETS, ids=[row[0] for row in OPSETS])
def test_a_chip_gets_an_opset_that_atc_reads(
    reason: str, opset: int, listed: bool, order: Order, workspace: Workspace
) -> None:
    model = models.classifier(batch=1, opset=opset, weights_as_inputs=opset < 11)
    workspace.model.write_bytes(model.SerializeToString())
    told = prepare(order(), workspace)
    assert told["opset"] == (13 if opset < 13 else 18), reason
    assert told["notes"][0] == (
        f"converted the model from opset {opset} to {told['opset']}; "
        "ONNX Runtime gives the same answers"
    )
    assert [one["name"] for one in told["inputs"]] == ["input"]
    feed = {"input": np.random.default_rng(2).standard_normal((1, 3, 8, 8)).astype(np.float32)}
    want = models.scores(model, feed)[0]
    np.testing.assert_allclose(models.scores(onnx.load(workspace.model), feed)[0], want, rtol=1e-5)


def test_a_cpu_keeps_the_opset(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.classifier(opset=9).SerializeToString())
    told = prepare(order(chip="CPU"), workspace)
    assert (told["opset"], told["notes"]) == (9, [])


def test_a_conversion_that_fails_says_why(
    order: Order, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("/onnx/version_converter.h:12: no adapter for Upsample, 9 to 10")

    monkeypatch.setattr(onnx.version_converter, "convert_version", refuse)
    workspace.model.write_bytes(models.classifier(opset=9).SerializeToString())
    with pytest.raises(JobError) as caught:
        prepare(order(), workspace)
    assert caught.value.message.startswith("the model has opset 9, but ATC reads 11 to 18, and ")
    assert "cannot be converted (" in caught.value.message
    assert "no adapter for Upsample" in caught.value.message


def test_a_conversion_is_not_believed(
    order: Order, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = models.classifier(opset=13)
    other.graph.initializer[0].raw_data = bytes(len(other.graph.initializer[0].raw_data))
    monkeypatch.setattr(onnx.version_converter, "convert_version", lambda *_: other)
    workspace.model.write_bytes(models.classifier(opset=9).SerializeToString())
    with pytest.raises(JobError, match='output "scores" has other values afterwards'):
        prepare(order(), workspace)


RESHAPE = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running "
    "Reshape node. Name:'/Flatten' Status Message: /src/core/providers/cpu/tensor/reshape_helper.h"
    ":47 onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, "
    "onnxruntime::TensorShapeVector&, bool) input_shape_size == size was false. The input tensor "
    "cannot be reshaped to the requested shape. Input shape:{2,4,1,1}, requested shape:{1,4}\n"
)
RESHAPED = (
    "The input tensor cannot be reshaped to the requested shape. Input shape:{2,4,1,1}, "
    "requested shape:{1,4}"
)
KERNEL = "Could not find an implementation for Conv(11) node with name '/conv1/Conv'"
TYPE = "Type Error: Type parameter (T) of Optype (Add) bound to different types"
GEMM = (
    "Non-zero status code returned while running Gemm node. Name:'fc' Status Message: "
    "/src/gemm_helper.h:13 onnxruntime::GemmHelper::GemmHelper(const onnxruntime::TensorShape&, "
    "bool) left.NumDimensions() == 2 was false. "
)
CHECKED = (
    "Required attribute 'to' is missing.\n\n==> Context: Bad node spec for node. Name: /cast "
    "OpType: Cast"
)
UNSORTED = (
    "Nodes in a graph must be topologically sorted, however input 'a' of node: \nname: /add "
    "OpType: Add\n is not output of any previous nodes."
)
OPTYPE = (
    "Type Error: Type parameter (T) of Optype (Add) bound to different types (tensor(float) and "
    "tensor(double) in node (/add)"
)
INFERRED = "Node (/fc) Op (Gemm) [ShapeInferenceError] Dimension mismatch between 7 and 4"
ADAPTER = (
    "/project/onnx/version_converter/BaseConverter.h:66: adapter_lookup: Assertion `false` failed: "
    "No Adapter From Version $21 for GroupNormalization"
)
IN_BRANCH = (
    "Non-zero status code returned while running If node. Name:'/if' Status Message: "
    + (RESHAPE.partition(" : RUNTIME_EXCEPTION : ")[2])
)
UNNAMED = IN_BRANCH.replace("'/Flatten'", "''")
FAILURES = [
    ("the checker", CHECKED, ("Cast", "/cast", "Required attribute 'to' is missing")),
    ("the checker, of order", UNSORTED, ("Add", "/add", " ".join(UNSORTED.split()).strip("."))),
    ("types that differ", OPTYPE, ("Add", "/add", OPTYPE)),
    (
        "inference",
        INFERRED,
        ("Gemm", "/fc", "[ShapeInferenceError] Dimension mismatch between 7 and 4"),
    ),
    ("the converter", ADAPTER, ("", "", "No Adapter From Version $21 for GroupNormalization")),
    ("a node in a branch", IN_BRANCH, ("Reshape", "/Flatten", RESHAPED)),
    ("one without a name", UNNAMED, ("If", "/if", RESHAPED)),
    (
        "an operator that is not there",
        "my.dom:MyOp(-1) is not a registered function/op",
        ("MyOp", "", "my.dom:MyOp(-1) is not a registered function/op"),
    ),
    ("a reshape", RESHAPE, ("Reshape", "/Flatten", RESHAPED)),
    (
        "no kernel",
        f"[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : {KERNEL}",
        ("Conv", "/conv1/Conv", KERNEL),
    ),
    ("types", f"[ONNXRuntimeError] : 1 : FAIL : {TYPE}.", ("", "", TYPE)),
    ("a condition alone", GEMM, ("Gemm", "fc", "left.NumDimensions() == 2 was false")),
    ("empty", "", ("", "", "no reason given")),
]


@pytest.mark.parametrize(("reason", "text", "want"), FAILURES, ids=[row[0] for row in FAILURES])
def test_failures_of_onnx_runtime(reason: str, text: str, want: tuple[str, str, str]) -> None:
    found = read_failure(text)
    assert (found.operator, found.node, found.reason) == want, reason
    assert "onnxruntime::" not in found.reason


def broken(*nodes: onnx.NodeProto, dims: Any = None, **weights: Any) -> Model:
    return models.chain(list(nodes), weights=weights, dims=dims or [1, C, 8, 8], opset=17)


NAMED: list[tuple[str, Callable[[], Model], str]] = [
    ("an operator that is none", lambda: broken(helper.make_node("Foo", ["x"], ["y"], name="/a")),
     'at node "/a" (Foo)'),
    ("an attribute is missing", lambda: broken(helper.make_node("Cast", ["x"], ["y"], name="/a")),
     'at node "/a" (Cast)'),
    ("an input from nowhere", lambda: broken(helper.make_node("Relu", ["?"], ["y"], name="/a")),
     'at node "/a" (Relu)'),
    ("types that differ", lambda: broken(
        helper.make_node("Add", ["x", "d"], ["y"], name="/a"), d=np.ones(1)), 'at node "/a" (Add)'),
    ("channels that differ", lambda: broken(
        helper.make_node("Conv", ["x", "w"], ["y"], name="/a"),
        w=np.ones((4, 9, 1, 1), np.float32)), 'at node "/a" (Conv)'),
    ("a fused node has the file's name", lambda: broken(
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Reshape", ["p", "t"], ["r"], name="/a"),
        helper.make_node("Unsqueeze", ["r", "axes"], ["y"], name="/b"), t=ints(C), axes=ints(0)),
     'at node "/a" (Reshape)'),
    ("in a branch that nobody can decide", lambda: broken(
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "least"], ["c"]),
        helper.make_node("If", ["c"], ["y"], name="/if",
                         then_branch=graph("t", helper.make_node("Reshape", ["x", "t"], ["b"],
                                                                 name="/a")),
                         else_branch=graph("e", helper.make_node("Flatten", ["x"], ["b"]))),
        least=np.float32(-1e9), t=ints(1, C * 64)), 'at node "/a" (Reshape)'),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "build", "place"), NAMED, ids=[row[0] for row in NAMED])
def test_a_refusal_names_the_node_of_the_file(
    reason: str,
    build: Callable[[], Model],
    place: str,
    order: Order,
    workspace: Workspace,
    capfd: pytest.CaptureFixture[str],
) -> None:
    workspace.model.write_bytes(build().SerializeToString())
    with pytest.raises(JobError) as caught:
        prepare(order(chip="CPU"), workspace)
    assert place in caught.value.message, reason
    said = str(caught.value.payload()["message"])
    assert len(said) <= 300
    assert re.search(r"export it (again|with)", said), "what to do is not what is cut off"
    for text in (said, capfd.readouterr().err):
        assert "onnxruntime::" not in text
        assert ".h:" not in text


def test_a_file_that_fails_as_it_came_needs_no_open_batch(
    order: Order, workspace: Workspace
) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="/a")
    model = broken(node, w=np.ones((4, 9, 1, 1), np.float32))
    workspace.model.write_bytes(model.SerializeToString())
    with pytest.raises(JobError, match="to see whether the file is sound") as caught:
        prepare(order(), workspace)
    assert "dynamic_axes" not in caught.value.message


@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3"])
@pytest.mark.parametrize("batch", [1, "N"])
def test_damaged_weights_are_not_served(
    chip: str, batch: Any, order: Order, workspace: Workspace
) -> None:
    """Every answer would be NaN, and nothing else would say so."""
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    model = broken(node, dims=[batch, C, 8, 8], w=np.full(1, np.nan, np.float32))
    workspace.model.write_bytes(model.SerializeToString())
    with pytest.raises(JobError, match=r'output "y" is no number \(NaN\).*bring another file'):
        prepare(order(chip=chip), workspace)


SIZES = [
    ("a width that no picture has", ["N", 3, 2**31, 8], {}),
    ("a product beyond 64 bits", ["N", 3, 2**62, 2**62], {}),
    ("an open size that the object fills", ["N", 3, "H", "W"], {"x": [3, 100_000, 100_000]}),
    ("a volume", [1, 512, 1024, 1024], {}),
]


@pytest.mark.parametrize(("reason", "dims", "shapes"), SIZES, ids=[row[0] for row in SIZES])
@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3"])
def test_a_picture_that_fits_nowhere_is_refused_by_its_shape(
    reason: str,
    dims: list[Any],
    shapes: dict[str, list[int]],
    chip: str,
    order: Order,
    workspace: Workspace,
) -> None:
    """And not by the container's memory."""
    model = models.chain([helper.make_node("GlobalAveragePool", ["x"], ["y"])], dims=dims)
    workspace.model.write_bytes(model.SerializeToString())
    with pytest.raises(JobError, match=r'one picture of input "x" has the shape') as caught:
        prepare(order(chip=chip, inputShapes=shapes), workspace)
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL, reason


@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3"])
def test_each_output_has_a_name(chip: str, order: Order, workspace: Workspace) -> None:
    model = models.chain([helper.make_node("Relu", ["x"], ["y"])])
    model.graph.output.append(model.graph.output[0])
    workspace.model.write_bytes(model.SerializeToString())
    with pytest.raises(JobError, match='two outputs "y": export it with a name for each'):
        prepare(order(chip=chip), workspace)


def test_names_of_classes_inside_the_model(order: Order, workspace: Workspace) -> None:
    """A CPU serves them; a chip computes no text."""
    nodes = [
        helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
        helper.make_node("Gather", ["names", "best"], ["y"]),
    ]
    names = {"names": np.array(["cat", "dog", "cow"], dtype=object)}
    model = models.chain(nodes, weights=names, out_kind=TensorProto.STRING)
    workspace.model.write_bytes(model.SerializeToString())
    assert prepare(order(chip="CPU"), workspace)["outputs"][0]["dataType"] == "STRING"
    with pytest.raises(JobError, match=r'output "y" is text.*spec\.model\.classLabels'):
        prepare(order(), workspace)


def test_a_model_without_an_operator_set_is_still_a_model(tmp_path: Path) -> None:
    model = models.classifier()
    del model.opset_import[:]
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(JobError, match="names no ONNX operator set: export it again"):
        load_model(tmp_path / "m.onnx")
