"""What the network would answer with these layers in whole numbers, computed in ONNX Runtime.

No AMCT is here, so its arithmetic is imitated: weights in eight bits for each output channel,
activations in eight bits between the least and the greatest value of some pictures. It predicts
which layers are worth skipping; what they are worth on the chip is measured by the next gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.evaluation.doctor.graph import session, with_outputs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

QUANTIZED = ("Conv", "Gemm", "MatMul")
Range = tuple[float, float]


def quantizable(model: Any) -> tuple[Any, ...]:
    """The nodes that AMCT quantizes: matrix operators with constant weights."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return tuple(
        node
        for node in model.graph.node
        if node.op_type in QUANTIZED and len(node.input) > 1 and node.input[1] in constants
    )


def ranges(model: Any, batch: Any, *, share: float = 1.0) -> dict[str, Range]:
    """Least and greatest value of the input of each layer, over the pictures of the batch.

    With a share below 1 what only so few of the values of a picture reach is cut off.
    """
    wanted = list(dict.fromkeys(node.input[0] for node in quantizable(model)))
    running = session(with_outputs(model, wanted))
    entry = running.get_inputs()[0]
    fixed = entry.shape[0] if isinstance(entry.shape[0], int) else 1
    there = {value.name for value in running.get_outputs()}
    asked = [name for name in wanted if name in there]
    found: dict[str, Range] = {}
    for row in batch:
        feed = np.repeat(row[None], fixed, axis=0)
        values = dict(zip(asked, running.run(asked, {entry.name: feed}), strict=True))
        values[entry.name] = feed
        for name in wanted:
            least, most = found.get(name, (0.0, 0.0))
            value = values.get(name)
            if value is not None:
                low, high = ends(value, share)
                found[name] = (min(least, low), max(most, high))
    return found


def ends(value: Any, share: float) -> Range:
    if share >= 1:
        return float(value.min()), float(value.max())
    low, high = np.quantile(value, (1 - share, share))
    return float(low), float(high)


def quantized(model: Any, measured: Mapping[str, Range], *, skipped: Collection[str]) -> Any:
    """A copy in which every layer but the skipped ones computes with rounded numbers."""
    import onnx
    from onnx import numpy_helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    weights = {tensor.name: tensor for tensor in copy.graph.initializer}
    nodes: list[Any] = []
    layers = {node.name for node in quantizable(copy)} - set(skipped)
    for node in copy.graph.node:
        if node.name in layers and node.input[0] in measured:
            source = node.input[0]
            weight = numpy_helper.to_array(weights[node.input[1]])
            axis = channel_axis(node, weight.ndim)
            stored = numpy_helper.from_array(rounded(weight, axis), f"{node.name}/rounded")
            copy.graph.initializer.append(stored)
            made, constants = _round_trip(f"{node.name}/data", source, measured[source])
            copy.graph.initializer.extend(constants)
            nodes += made
            node.input[0], node.input[1] = made[-1].output[0], stored.name
        nodes.append(node)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def channel_axis(node: Any, dimensions: int) -> int:
    """Which axis of the weights counts the output channels."""
    if node.op_type in ("Conv", "ConvTranspose"):
        return 0 if node.op_type == "Conv" else 1
    turned = any(entry.name == "transB" and entry.i for entry in node.attribute)
    return 0 if turned else dimensions - 1


def rounded(weight: Any, axis: int) -> Any:
    """Eight bits, with one scale for each output channel."""
    others = tuple(number for number in range(weight.ndim) if number != axis)
    scale = np.abs(weight).max(axis=others, keepdims=True) / 127
    scale = np.where(scale > 0, scale, 1.0)
    return (np.clip(np.round(weight / scale), -128, 127) * scale).astype(weight.dtype)


def _round_trip(name: str, source: str, limits: Range) -> tuple[list[Any], list[Any]]:
    from onnx import helper, numpy_helper

    least, most = limits
    scale = max(most - least, 1e-12) / 255
    zero = int(np.clip(round(-least / scale), 0, 255))
    constants = [
        numpy_helper.from_array(np.float32(scale), f"{name}/scale"),
        numpy_helper.from_array(np.uint8(zero), f"{name}/zero"),
    ]
    parameters = [constant.name for constant in constants]
    nodes = [
        helper.make_node("QuantizeLinear", [source, *parameters], [f"{name}/whole"]),
        helper.make_node("DequantizeLinear", [f"{name}/whole", *parameters], [f"{name}/back"]),
    ]
    return nodes, constants
