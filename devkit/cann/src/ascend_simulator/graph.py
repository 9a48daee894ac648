"""Loads an ONNX file as ATC's parser does, and refuses what that parser refuses.

Called by compiler.py. Sources: facts on ATC (opset 11 to 18, E16005, E19010, EZ3003).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError

from ascend_simulator.errors import AtcError
from ascend_simulator.quantized import OPERATORS as AMCT_OPERATORS

if TYPE_CHECKING:
    from pathlib import Path

    from ascend_simulator.order import Order

OPSETS = range(11, 19)
BATCH = "ascend_mbatch"
"""The name of the open batch dimension inside a compiled graph."""
# fmt: off
OPERATORS = frozenset((
    "Abs", "Acos", "Add", "And", "ArgMax", "ArgMin", "Asin", "Atan", "AveragePool",
    "BatchNormalization", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Compress", "Concat",
    "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "Cos", "CumSum", "DepthToSpace",
    "Div", "Dropout", "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor",
    "Gather", "GatherElements", "GatherND", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity",
    "InstanceNormalization", "LRN", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual",
    "Log", "LogSoftmax", "LpNormalization", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mod",
    "Mul", "Neg", "NonZero", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow", "Range",
    "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape",
    "Resize", "Round", "ScatterElements", "ScatterND", "Selu", "Shape", "Sigmoid", "Sign",
    "Sin", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt",
    "Squeeze", "Sub", "Sum", "Tan", "Tanh", "TopK", "Transpose", "Unsqueeze", "Upsample",
    "Where", "Xor",
))
# fmt: on
"""The operators of the default domain that the simulator takes: those of image networks. Real ATC
has more; a missing one is refused as an operator without a kernel."""


def load(path: Path) -> onnx.ModelProto:
    try:
        path.open("rb").close()
    except OSError as error:
        raise AtcError("E13001", path, error.strerror) from error
    try:
        model = onnx.load(str(path))
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise AtcError("E10041", path) from error
    if not model.graph.node:
        raise AtcError("E16004")
    _check_operators(model)
    return model


def _check_operators(model: onnx.ModelProto) -> None:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    default = versions.get("", versions.get("ai.onnx", 0))
    if len(model.opset_import) > 1 and any(not node.domain for node in model.graph.node):
        raise AtcError("E16005", len(model.opset_import))
    for node in model.graph.node:
        name = node.name or node.output[0]
        if node.domain not in {"", "ai.onnx"}:
            kind = f"{node.domain}::{versions.get(node.domain, 1)}::{node.op_type}"
            raise AtcError("E19010", f"{name}, optype [{kind}]")
        if default not in OPSETS:
            raise AtcError("E19010", f"{name}, optype [ai.onnx::{default}::{node.op_type}]")
        if node.op_type not in OPERATORS | AMCT_OPERATORS:
            raise AtcError("EZ3003", name, node.op_type)


def set_shapes(model: onnx.ModelProto, order: Order) -> None:
    """Give every input its ordered shape; forget all shapes that followed from the old ones."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in constants]
    if not inputs:
        raise AtcError("E16001", "input")
    for name in order.shapes:
        if name not in {entry.name for entry in inputs}:
            raise AtcError("E10016", name, "input_shape")
    for entry in inputs:
        _set_shape(entry, order.shapes.get(entry.name))
    # Files before IR 4 list their weights among the inputs; to the compiler they are constants.
    model.ir_version = max(model.ir_version, 4)
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")


def _set_shape(entry: onnx.ValueInfoProto, shape: tuple[int, ...] | None) -> None:
    dims = entry.type.tensor_type.shape.dim
    if shape is None:
        if any(dim.dim_value < 1 for dim in dims):
            reason = "Its size is open: set input_shape."
            raise AtcError("E10001", -1, entry.name, reason)
        return
    if len(shape) != len(dims):
        raise AtcError("E10049", len(shape), len(dims))
    for dim, size in zip(dims, shape, strict=True):
        dim.Clear()
        if size == -1:
            dim.dim_param = BATCH
        else:
            dim.dim_value = size
