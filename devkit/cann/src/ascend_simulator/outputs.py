"""Which outputs an .om has and in which type, and which inputs come in half precision.

What --out_nodes, --output_type and --input_fp16_nodes ask for. Called by compiler.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ascend_simulator.errors import AtcError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ascend_simulator.choices import Choices, OutNode

_TYPES = {
    "FP32": TensorProto.FLOAT,
    "FP16": TensorProto.FLOAT16,
    "UINT8": TensorProto.UINT8,
    "INT8": TensorProto.INT8,
}
_LIMITS = {"UINT8": (0, 255), "INT8": (-128, 127)}
Producers = dict[str, tuple[str, int]]
"""Tensor -> the node that makes it, and which of its outputs it is."""


def select(model: onnx.ModelProto, wanted: Iterable[OutNode]) -> None:
    """Make the named nodes' results the outputs, and drop what nobody needs any more."""
    graph = model.graph
    nodes = {node.name: node for node in graph.node if node.name}
    outputs = {value.name for value in graph.output}
    chosen = []
    for entry in wanted:
        if entry.index is None and entry.name in outputs:
            chosen.append(entry.name)
            continue
        node = nodes.get(entry.name)
        if node is None or entry.index is None or entry.index >= len(node.output):
            raise AtcError("E10016", entry.name, "out_nodes")
        chosen.append(node.output[entry.index])
    if not chosen:
        return
    typed = onnx.shape_inference.infer_shapes(model).graph
    known = {value.name: value for value in (*typed.value_info, *typed.output)}
    values = [known.get(name, onnx.ValueInfoProto(name=name)) for name in chosen]
    del graph.output[:]
    graph.output.extend(values)
    _drop_unused(graph, set(chosen))


def _drop_unused(graph: onnx.GraphProto, needed: set[str]) -> None:
    kept = []
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        needed.update(node.input)
        kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def convert(model: onnx.ModelProto, choices: Choices, producers: Producers) -> None:
    """Give the floating outputs the types that were asked for."""
    for value in model.graph.output:
        node, index = producers.get(value.name, (value.name, 0))
        word = choices.output_types.get(f"{node}:{index}", choices.output_type)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT and word not in {"", "FP32"}:
            _convert(model.graph, value, word)


def _convert(graph: onnx.GraphProto, value: onnx.ValueInfoProto, word: str) -> None:
    wide = f"{value.name}/fp32"
    for node in graph.node:
        node.output[:] = [wide if name == value.name else name for name in node.output]
        node.input[:] = [wide if name == value.name else name for name in node.input]
    if limits := _LIMITS.get(word):
        names = [f"{wide}/lowest", f"{wide}/highest"]
        for name, limit in zip(names, limits, strict=True):
            graph.initializer.append(numpy_helper.from_array(np.asarray(limit, np.float32), name))
        graph.node.append(helper.make_node("Round", [wide], [f"{wide}/round"]))
        graph.node.append(helper.make_node("Clip", [f"{wide}/round", *names], [f"{wide}/clip"]))
        wide = f"{wide}/clip"
    graph.node.append(helper.make_node("Cast", [wide], [value.name], to=_TYPES[word]))
    value.type.tensor_type.elem_type = _TYPES[word]


def narrow_inputs(
    model: onnx.ModelProto, names: Iterable[str], fronts: Mapping[str, object]
) -> None:
    """--input_fp16_nodes: these inputs come in half precision."""
    inputs = {value.name: value for value in model.graph.input}
    for name in names:
        if name not in inputs:
            raise AtcError("E10016", name, "input_fp16_nodes")
        if name in fronts:
            raise AtcError("E10034", name)
        value = inputs[name]
        for node in model.graph.node:
            node.input[:] = [f"{name}/fp32" if n == name else n for n in node.input]
        cast = helper.make_node("Cast", [name], [f"{name}/fp32"], to=TensorProto.FLOAT)
        body = [cast, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(body)
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
