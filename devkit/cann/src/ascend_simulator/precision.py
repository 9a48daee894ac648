"""Makes a graph compute with the numbers that an AI Core would use. Called by compiler.py.

ONNX Runtime has no half-precision convolution for ordinary CPUs. So weights are rounded once, and
a pair of Casts (to the narrow type and back) rounds activations wherever an AI Core would store
them; products are summed in single precision, as the cube unit does. Half precision ends at 65504:
the chips before the 910B stop there, the newer ones go on to infinity. Not reproduced: the order
of the sums, and the fused operators' private formats.

    word        rounded
    fp16        inputs, weights and every result
    mixed_fp16  weights, inputs and results of matrix operators only
    mixed_bf16  the same in bfloat16
    cube_fp16   weights and inputs of matrix operators only: fp16 in, fp32 out
    origin      nothing

Never rounded: the whole numbers of a quantized model, and what --keep_dtype and the like name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterable

MATRIX = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"})
# fmt: off
EXACT = frozenset((
    "Abs", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements",
    "GatherND", "GlobalMaxPool", "Identity", "Max", "MaxPool", "Min", "Neg", "Pad", "ReduceMax",
    "ReduceMin", "Relu", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "TopK",
    "Transpose", "Unsqueeze", "Where",
))
# fmt: on
"""Operators that only choose among their inputs: a rounded input gives a rounded result."""


LARGEST = 65504.0
GE_TYPES = {
    "Conv2D": "Conv",
    "MatMulV2": "MatMul",
    "BatchMatMul": "MatMul",
    "BatchMatMulV2": "MatMul",
    "FullyConnection": "Gemm",
    "Pooling": "MaxPool",
}
"""Names of the graph engine -> of ONNX; most are the same."""


@dataclass
class Exceptions:
    """What a precision word does not decide alone."""

    kept: set[str] = field(default_factory=set)
    """Names and types of nodes that stay in single precision."""
    matrix: frozenset[str] = MATRIX
    """The operators that a mixed precision rounds."""
    whole: set[str] = field(default_factory=set)
    """Tensors of whole numbers, which have no rounding."""
    results: set[str] = field(default_factory=set)
    """Nodes that make numbers of whole numbers: half precision comes out of them."""


def round_graph(
    model: onnx.ModelProto, word: str, exceptions: Exceptions, *, saturate: bool
) -> onnx.ModelProto:
    if word == "origin":
        return model
    return _Rounding(model, word, exceptions, saturate=saturate).apply()


class _Rounding:
    def __init__(
        self, model: onnx.ModelProto, word: str, exceptions: Exceptions, *, saturate: bool
    ) -> None:
        self.model = model
        self.exceptions = exceptions
        self.everything = word == "fp16"
        self.results = word != "cube_fp16"
        self.narrow = TensorProto.BFLOAT16 if word == "mixed_bf16" else TensorProto.FLOAT16
        self.saturate = saturate and self.narrow == TensorProto.FLOAT16
        typed = onnx.shape_inference.infer_shapes(model).graph
        self.floats = {
            value.name
            for value in (*typed.input, *typed.value_info, *typed.output)
            if value.type.tensor_type.elem_type == TensorProto.FLOAT
        }
        self.nodes: list[onnx.NodeProto] = []
        self.rounded: dict[str, str] = {}
        """Tensor -> its rounded twin, for tensors that are also used unrounded."""
        self.unrounded: set[str] = set()
        """Results whose rounding waits until after the Relu that alone reads them."""

    def apply(self) -> onnx.ModelProto:
        graph = self.model.graph
        self._round_weights()
        if self.saturate:
            for name, value in (("fp16/lowest", -LARGEST), ("fp16/highest", LARGEST)):
                graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
        if self.everything:
            self._twins(value.name for value in graph.input)
        consumers = _consumers(graph)
        for node in graph.node:
            if self._is_kept(node):
                self.nodes.append(node)
                self.unrounded.update(node.output)
                continue
            if self._is_matrix(node) and not self.everything:
                self._twins(node.input)
            if self._is_matrix(node) or self.everything:
                node.input[:] = [self.rounded.get(name, name) for name in node.input]
            self._add(node, consumers)
        del graph.node[:]
        graph.node.extend(self.nodes)
        del graph.value_info[:]
        return self.model

    def _is_kept(self, node: onnx.NodeProto) -> bool:
        exceptions = self.exceptions
        if node.name in exceptions.kept or node.op_type in exceptions.kept:
            return True
        return not exceptions.whole.isdisjoint(node.output)

    def _is_matrix(self, node: onnx.NodeProto) -> bool:
        return node.op_type in self.exceptions.matrix

    def _twins(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.floats and name not in self.rounded:
                self.rounded[name] = f"{name}/narrow"
                self._casts(name, self.rounded[name])

    def _add(self, node: onnx.NodeProto, consumers: dict[str, list[str]]) -> None:
        """Keep the node, and round its results where they are stored."""
        self.nodes.append(node)
        matrix = self._is_matrix(node) or node.name in self.exceptions.results
        if not (self.results and (matrix or self.everything)):
            return
        exact = node.op_type in EXACT and self.unrounded.isdisjoint(node.input)
        for index, name in enumerate(node.output):
            if exact or name not in self.floats:
                continue
            # Relu(round(x)) is round(Relu(x)): rounding after Relu lets ONNX Runtime fuse it.
            if node.op_type != "Relu" and consumers.get(name) == ["Relu"]:
                self.unrounded.add(name)
                continue
            node.output[index] = f"{name}/wide"
            self._casts(node.output[index], name)

    def _casts(self, source: str, target: str) -> None:
        if self.saturate:
            limits = ["fp16/lowest", "fp16/highest"]
            self.nodes.append(helper.make_node("Clip", [source, *limits], [f"{target}/clip"]))
            source = f"{target}/clip"
        middle = f"{target}/cast"
        self.nodes.append(helper.make_node("Cast", [source], [middle], to=self.narrow))
        self.nodes.append(helper.make_node("Cast", [middle], [target], to=TensorProto.FLOAT))

    def _round_weights(self) -> None:
        graph = self.model.graph
        used, exempt = set(), set(self.exceptions.whole)
        for node in graph.node:
            if self._is_kept(node) or node.name in self.exceptions.results:
                exempt.update(node.input)
            elif self._is_matrix(node):
                used.update(node.input)
        for tensor in graph.initializer:
            if tensor.name in exempt:
                continue
            if tensor.data_type == TensorProto.FLOAT and (self.everything or tensor.name in used):
                values = numpy_helper.to_array(tensor)
                tensor.CopyFrom(numpy_helper.from_array(self._narrow(values), tensor.name))

    def _narrow(self, values: np.ndarray) -> np.ndarray:
        if self.narrow == TensorProto.FLOAT16:
            if self.saturate:
                values = np.clip(values, -LARGEST, LARGEST)
            with np.errstate(over="ignore"):
                return values.astype(np.float16).astype(np.float32)
        bits = values.astype(np.float32).view(np.uint32)
        nearest_even = bits + 0x7FFF + ((bits >> 16) & 1)
        return (nearest_even & np.uint32(0xFFFF0000)).view(np.float32)


def _consumers(graph: onnx.GraphProto) -> dict[str, list[str]]:
    """Tensor -> the types of the operators that read it; a graph output counts as one."""
    result: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            result.setdefault(name, []).append(node.op_type)
    for value in graph.output:
        result.setdefault(value.name, []).append("output")
    return result
