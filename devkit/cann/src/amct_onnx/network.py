"""The network as AMCT sees it: loaded, its normalizations folded, its layers found. Used by cli.py
and by the modules that calibrate and save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from amct_onnx.config import KNOWN_TYPES, TYPES, Config
from amct_onnx.errors import AmctError

if TYPE_CHECKING:
    from pathlib import Path

LOWEST_OPSET = 8
QUANTIZED = frozenset(("AscendQuant", "QuantizeLinear", "DequantizeLinear", "FakeQuant"))


@dataclass(frozen=True)
class Layer:
    """An operator with constant weights that is to be quantized."""

    name: str
    kind: str
    source: str
    """The tensor that comes in."""
    channel_axis: int | None
    """The weights' axis of output channels; None where one scale serves all (fully connected)."""


class Network:
    """The graph, with every constant an initializer and every operator named."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.graph = model.graph
        self._constants_to_initializers()
        for index, node in enumerate(self.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        kept = [value for value in self.graph.input if value.name not in self.weights]
        del self.graph.input[:]
        self.graph.input.extend(kept)

    def _constants_to_initializers(self) -> None:
        kept = []
        for node in self.graph.node:
            attribute = node.attribute[0].name if node.op_type == "Constant" else ""
            if attribute != "value":
                kept.append(node)
                continue
            tensor = node.attribute[0].t
            tensor.name = node.output[0]
            self.graph.initializer.append(tensor)
        del self.graph.node[:]
        self.graph.node.extend(kept)

    def array(self, name: str) -> np.ndarray:
        return np.asarray(numpy_helper.to_array(self.weights[name]))

    def set_weight(self, name: str, array: np.ndarray) -> None:
        if name in self.weights:
            self.weights[name].CopyFrom(numpy_helper.from_array(array, name))
            return
        self.weights[name] = self.graph.initializer.add()
        self.weights[name].CopyFrom(numpy_helper.from_array(array, name))

    def readers(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self.graph.node if name in node.input]

    def fold_normalizations(self, skipped: tuple[str, ...]) -> int:
        """BatchNormalization behind a convolution becomes part of its weights; how many did."""
        outputs = {value.name for value in self.graph.output}
        folded = []
        for node in self.graph.node:
            if node.op_type != "Conv" or node.name in skipped or node.output[0] in outputs:
                continue
            readers = self.readers(node.output[0])
            if len(readers) != 1 or readers[0].op_type != "BatchNormalization":
                continue
            norm = readers[0]
            constants = [node.input[1], *node.input[2:3], *norm.input[1:]]
            shared = len(self.readers(node.input[1])) > 1
            if shared or not all(name in self.weights for name in constants):
                continue
            self._fold(node, norm)
            folded.append(norm)
        for norm in folded:
            self.graph.node.remove(norm)
        return len(folded)

    def _fold(self, conv: onnx.NodeProto, norm: onnx.NodeProto) -> None:
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        scale, shift, mean, variance = (
            self.array(name).astype(np.float64) for name in norm.input[1:5]
        )
        factor = scale / np.sqrt(variance + epsilon)
        weight = self.array(conv.input[1]).astype(np.float64)
        bias = self.array(conv.input[2]).astype(np.float64) if len(conv.input) > 2 else 0.0
        self.set_weight(conv.input[1], (weight * factor.reshape(-1, 1, 1, 1)).astype(np.float32))
        name = f"{conv.name}.bias"
        self.set_weight(name, ((bias - mean) * factor + shift).astype(np.float32))
        conv.input[:] = [conv.input[0], conv.input[1], name]
        conv.output[:] = [norm.output[0]]

    def layers(self, config: Config) -> list[Layer]:
        """What is to be quantized, in the graph's order."""
        names = {node.name for node in self.graph.node}
        for name in (*config.skip_layers, *config.by_layer):
            if name not in names:
                raise AmctError("Configuration", f"The layer {name} is not in the model.")
        for kind in (*config.skip_layer_types, *config.by_type):
            if kind not in KNOWN_TYPES:
                sentence = f"The layer type {kind} is not one of {', '.join(KNOWN_TYPES)}."
                raise AmctError("Configuration", sentence)
        found = [
            layer
            for node in self.graph.node
            if (layer := self._layer(node))
            and layer.name not in config.skip_layers
            and layer.kind not in config.skip_layer_types
        ]
        if not found:
            raise AmctError("Configuration", "No layer of the model is left to quantize.")
        return found

    def _layer(self, node: onnx.NodeProto) -> Layer | None:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type not in TYPES or node.input[1] not in self.weights:
            return None
        if len(node.input) > 2 and node.input[2] not in self.weights:
            return None
        weights = self.weights[node.input[1]]
        if node.input[0] in self.weights or weights.data_type != onnx.TensorProto.FLOAT:
            return None
        axis: int | None = 0
        if node.op_type == "Gemm":
            plain = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
            if not plain or attributes.get("transA", 0):
                return None
            axis = None
        elif node.op_type == "MatMul":
            if len(weights.dims) != 2:
                return None
            axis = None
        elif len(weights.dims) != 4:
            return None
        return Layer(node.name, node.op_type, node.input[0], axis)


def load(path: Path, highest_opset: int) -> Network:
    if not path.is_file():
        raise AmctError("Utils", f"The model file {path} does not exist.")
    try:
        model = onnx.load(str(path))
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise AmctError("Utils", f"The model file {path} cannot be parsed.") from error
    if not model.graph.node:
        raise AmctError("Utils", f"The model file {path} cannot be parsed.")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx", 0))
    if not LOWEST_OPSET <= opset <= highest_opset:
        sentence = (
            f"The model's opset is {opset}; v{LOWEST_OPSET} to v{highest_opset} are supported."
        )
        raise AmctError("Utils", sentence)
    for node in model.graph.node:
        if node.op_type in QUANTIZED:
            sentence = f"The model is quantized already: {node.name} is a {node.op_type}."
            raise AmctError("Utils", sentence)
    if opset < 11:  # the operators that the saved models need are of this version
        model = onnx.version_converter.convert_version(model, 11)
    return Network(model)
