"""Writes what AMCT writes: the fake-quant model, the deploy model and the quantization's record.

The fake-quant model has standard operators only, and its numbers are those of the whole-number
arithmetic. The deploy model has AMCT's AscendQuant, AscendWeightQuant and AscendDequant, int8
weights and int32 biases; only ATC reads it (ascend_simulator/quantized.py). Used by cli.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from amct_onnx import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from amct_onnx.calibrate import Scale
    from amct_onnx.network import Layer, Network


@dataclass(frozen=True)
class Quantized:
    """A layer in whole numbers."""

    layer: Layer
    data: Scale
    weight: np.ndarray
    """int8"""
    weight_scale: np.ndarray
    """One for each output channel, or one."""
    bias: np.ndarray | None
    """int32, in units of data scale x weight scale."""

    @property
    def unit(self) -> np.ndarray:
        """What 1 in the sum of products means, for each channel or for all."""
        return (np.float32(self.data.scale) * self.weight_scale).astype(np.float32)


def quantize(network: Network, layer: Layer, data: Scale, weight_scale: np.ndarray) -> Quantized:
    node = next(node for node in network.graph.node if node.name == layer.name)
    weight = network.array(node.input[1])
    spread = _spread(weight_scale, weight.ndim, layer.channel_axis)
    whole = np.clip(np.round(weight / spread), -128, 127).astype(np.int8)
    bias = None
    if len(node.input) > 2:
        units = np.float64(data.scale) * weight_scale.astype(np.float64)
        limits = np.iinfo(np.int32)
        values = np.round(network.array(node.input[2]).reshape(-1) / units)
        bias = np.clip(values, limits.min, limits.max).astype(np.int32)
    return Quantized(layer, data, whole, weight_scale, bias)


def _spread(scale: np.ndarray, dimensions: int, axis: int | None) -> np.ndarray:
    """The scales in the shape that multiplies the weights."""
    if axis is None or scale.size == 1:
        return scale.reshape(-1)
    return scale.reshape([-1 if i == axis else 1 for i in range(dimensions)])


class _Copy:
    """A copy of the model whose quantized layers are being replaced."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.nodes: list[onnx.NodeProto] = []
        self.producer = f"amct_onnx {__version__}"
        self.taken = {tensor.name for tensor in model.graph.initializer}

    def constant(self, name: str, array: Any) -> str:
        while name in self.taken:  # the model may have one of that name
            name += "_1"
        self.taken.add(name)
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, operator: str, inputs: list[str], name: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def finish(self) -> onnx.ModelProto:
        graph = self.model.graph
        del graph.node[:]
        graph.node.extend(self.nodes)
        used = {name for node in graph.node for name in node.input}
        used |= {value.name for value in graph.output}
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        del graph.value_info[:]
        self.model.producer_name = self.producer
        return self.model


def fake_quant(network: Network, layers: Mapping[str, Quantized]) -> onnx.ModelProto:
    copy = _Copy(network.model)
    rounded: dict[tuple[str, Scale], str] = {}
    for original in network.graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        if found := layers.get(node.name):
            key = (found.layer.source, found.data)
            if key not in rounded:
                rounded[key] = _round_trip(copy, node.name, *key)
            axis = found.layer.channel_axis
            spread = _spread(found.weight_scale, found.weight.ndim, axis)
            weight = copy.constant(
                f"{node.name}.fake_weight", found.weight.astype(np.float32) * spread
            )
            node.input[:2] = [rounded[key], weight]
            if found.bias is not None:
                bias = (found.bias * found.unit.astype(np.float64)).astype(np.float32)
                node.input[2] = copy.constant(f"{node.name}.fake_bias", bias)
        copy.nodes.append(node)
    return copy.finish()


def _round_trip(copy: _Copy, name: str, source: str, scale: Scale) -> str:
    parameters = [
        copy.constant(f"{name}.scale_d", np.float32(scale.scale)),
        copy.constant(f"{name}.offset_d", np.int8(scale.offset)),
    ]
    whole = copy.add("QuantizeLinear", [source, *parameters], f"{name}.fake_quant")
    return copy.add("DequantizeLinear", [whole, *parameters], f"{name}.fake_dequant")


def deploy(network: Network, layers: Mapping[str, Quantized]) -> onnx.ModelProto:
    """AMCT's operators, in the default domain as the real tool leaves them."""
    copy = _Copy(network.model)
    for original in network.graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        found = layers.get(node.name)
        if not found:
            copy.nodes.append(node)
            continue
        name = node.name
        data = copy.add(
            "AscendQuant",
            [found.layer.source],
            f"{name}.quant",
            scale=float(1 / np.float64(found.data.scale)),
            offset=float(found.data.offset),
            dst_type="INT8",
        )
        stored = copy.constant(f"{name}.weight", found.weight)
        offset = copy.constant(f"{name}.offset_w", np.zeros(found.weight_scale.size, np.int8))
        weight = copy.add(
            "AscendWeightQuant", [stored, offset], f"{name}.weight_quant", dst_type="INT8"
        )
        node.input[:2] = [data, weight]
        if found.bias is not None:
            node.input[2] = copy.constant(f"{name}.bias_int32", found.bias)
        result, node.output[0] = node.output[0], f"{name}.int32"
        copy.nodes.append(node)
        # The hardware reads the single-precision bits out of the low half of 64.
        bits = found.unit.view(np.uint32).astype(np.uint64)
        factor = copy.constant(f"{name}.deq_scale", bits)
        copy.nodes.append(
            helper.make_node(
                "AscendDequant", [node.output[0], factor], [result], name=f"{name}.dequant"
            )
        )
    return copy.finish()


def record(layers: Sequence[Quantized], batches: int, *, joint: bool) -> dict[str, Any]:
    """The content of *_quant.json."""
    return {
        "version": __version__,
        "batch_num": batches,
        "joint_quant": joint,
        "layers": [
            {
                "name": entry.layer.name,
                "type": entry.layer.kind,
                "data": {"scale": entry.data.scale, "offset": entry.data.offset, "num_bits": 8},
                "weight": {"scale": [float(s) for s in entry.weight_scale], "offset": 0},
            }
            for entry in layers
        ],
    }


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
