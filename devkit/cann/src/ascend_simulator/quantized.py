"""AMCT's deploy models: AscendQuant, AscendWeightQuant and AscendDequant as standard operators.

The whole-number arithmetic of the chip is done in single precision: int8 products and their sums
are whole numbers there too, so that the result differs from the chip's in the last digits at most.
Called by compiler.py; precision.py must not round these numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ascend_simulator.errors import AtcError
from ascend_simulator.precision import Exceptions

if TYPE_CHECKING:
    from ascend_simulator.order import Order

OPERATORS = frozenset(("AscendQuant", "AscendWeightQuant", "AscendDequant"))
HIGH_PRECISION = {"force_fp32", "cube_fp16in_fp32out", "must_keep_origin_dtype", "origin"}


def is_quantized(model: onnx.ModelProto) -> bool:
    return any(node.op_type in OPERATORS for node in model.graph.node)


def check(order: Order) -> None:
    """What ATC's guide says that a quantized model cannot be combined with."""
    reason = "A model that AMCT has quantized does not support it."
    if order.batches:
        text = ",".join(map(str, order.batches))
        raise AtcError("E10001", text, "--dynamic_batch_size", reason)
    for name in ("precision_mode", "precision_mode_v2"):
        if order.choices.given.get(name) in HIGH_PRECISION:
            raise AtcError("E10001", order.choices.given[name], f"--{name}", reason)
    if "high_precision" in order.choices.op_precision.values():
        raise AtcError("E10001", "high_precision", "--op_precision_mode", reason)


def expand(model: onnx.ModelProto, exceptions: Exceptions) -> None:
    """Replace AMCT's operators in place, and say what must not be rounded."""
    _Expansion(model, exceptions).run()


class _Expansion:
    def __init__(self, model: onnx.ModelProto, exceptions: Exceptions) -> None:
        self.graph = model.graph
        self.arrays = {tensor.name: tensor for tensor in model.graph.initializer}
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.nodes: list[onnx.NodeProto] = []
        self.exceptions = exceptions

    def run(self) -> None:
        for node in self.graph.node:
            if node.op_type == "AscendQuant":
                self._quant(node)
            elif node.op_type == "AscendWeightQuant":
                self._weight(node)
            elif node.op_type == "AscendDequant":
                self._dequant(node)
            else:
                self._other(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        node = helper.make_node(operator, inputs, [output], name=output, **attributes)
        self.nodes.append(node)
        self.exceptions.whole.add(output)
        return output

    def _constant(self, name: str, array: np.ndarray) -> str:
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        self.exceptions.whole.add(name)
        return name

    def _array(self, node: onnx.NodeProto, index: int) -> np.ndarray:
        tensor = self.arrays.get(node.input[index]) if len(node.input) > index else None
        if tensor is None:
            raise AtcError("EZ3003", node.name, node.op_type)
        return np.asarray(numpy_helper.to_array(tensor))

    def _quant(self, node: onnx.NodeProto) -> None:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        output = node.output[0]
        scale = np.float32(1 / np.float64(attributes["scale"]))
        offset = round(attributes.get("offset", 0.0))
        parameters = [
            self._constant(f"{output}/scale", np.asarray(scale)),
            self._constant(f"{output}/offset", np.asarray(offset, np.int8)),
        ]
        whole = self._add("QuantizeLinear", [node.input[0], *parameters], f"{output}/int8")
        self._number(whole, output, offset)

    def _weight(self, node: onnx.NodeProto) -> None:
        offset = self._array(node, 1)
        if offset.any():
            raise AtcError("E10055", "this simulator of CANN does not simulate weight offsets")
        self._number(node.input[0], node.output[0], 0)

    def _number(self, whole: str, output: str, offset: int) -> None:
        if not offset:
            self._add("Cast", [whole], output, to=TensorProto.FLOAT)
            return
        wide = self._add("Cast", [whole], f"{output}/float", to=TensorProto.FLOAT)
        self._add(
            "Sub", [wide, self._constant(f"{output}/zero", np.asarray(offset, np.float32))], output
        )

    def _dequant(self, node: onnx.NodeProto) -> None:
        bits = self._array(node, 1).reshape(-1).astype(np.uint64)
        factor = (bits & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.float32)
        maker = self.makers.get(node.input[0])
        if factor.size > 1 and maker is not None and maker.op_type == "Conv":
            factor = factor.reshape(1, -1, 1, 1)
        name = self._constant(f"{node.output[0]}/factor", factor)
        node = helper.make_node("Mul", [node.input[0], name], list(node.output), name=node.name)
        self.exceptions.results.add(node.name)
        self.nodes.append(node)

    def _other(self, node: onnx.NodeProto) -> None:
        quantized = any(name in self.exceptions.whole for name in node.input)
        if quantized:
            self.exceptions.whole.update(node.output)
            bias = self.arrays.get(node.input[2]) if len(node.input) > 2 else None
            if bias is not None and bias.data_type == TensorProto.INT32:
                wide = f"{node.output[0]}/bias"
                node.input[2] = self._add("Cast", [node.input[2]], wide, to=TensorProto.FLOAT)
        self.nodes.append(node)
