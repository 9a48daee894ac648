"""Compiles an order: ONNX in, header and graph of an .om out. Called by atc.py.

Real work: the graph is folded, rounded to the asked precision and run at its smallest and largest
batch, so that a network which only works at its exported batch fails here as it fails in ATC.
"""

from __future__ import annotations

import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from ascend_simulator import aipp, aipp_graph, chips, graph, om, quantized
from ascend_simulator import outputs as outputs_of
from ascend_simulator.cache import Cache
from ascend_simulator.catalogue import CATALOGUE
from ascend_simulator.errors import AtcError
from ascend_simulator.ortrun import RuntimeFailure, cpu_count, session
from ascend_simulator.precision import GE_TYPES, MATRIX, Exceptions, round_graph
from ascend_simulator.version import ATC_VERSION

if TYPE_CHECKING:
    from ascend_simulator.order import Order

MBATCH_INPUT = "ascend_mbatch_shape_data"
LONGEST_NAME = 127


def compile_order(order: Order, command_line: str) -> tuple[om.Header, bytes]:
    """From the cache of compiled operators, if there is one and it knows this order."""
    cache = Cache(order)
    if found := cache.read(command_line, order.output.name):
        return found
    made = _compile(order, command_line)
    cache.write(*made)
    return made


def _compile(order: Order, command_line: str) -> tuple[om.Header, bytes]:
    model = graph.load(order.model)
    _obey_test_hooks(model)
    quantized_model = quantized.is_quantized(model)
    if quantized_model:
        quantized.check(order)
    graph.set_shapes(model, order)
    outputs_of.select(model, order.choices.out_nodes)
    producers = {
        name: (node.name or node.op_type, index)
        for node in model.graph.node
        for index, name in enumerate(node.output)
    }
    types = {name: node.op_type for node in model.graph.node for name in node.output}
    fronts = {}
    if order.aipp_file:
        fronts = aipp_graph.fit(model, aipp.read_config(order.aipp_file), order.soc_version)
    exceptions = _exceptions(order)
    if quantized_model:
        # Folding would melt the factors of whole numbers into the weights; AMCT has folded before.
        quantized.expand(model, exceptions)
    else:
        model = _fold(model)
    saturate = chips.saturates(order.soc_version)
    model = round_graph(model, order.precision, exceptions, saturate=saturate)
    outputs_of.convert(model, order.choices, producers)
    outputs_of.narrow_inputs(model, order.choices.fp16_inputs, fronts)
    aipp_graph.insert(model, fronts)
    data = model.SerializeToString()
    inputs, outputs = _try_out(data, model, order, producers)
    inputs = tuple(
        replace(tensor, format=om.FORMAT_NHWC) if tensor.name in fronts else tensor
        for tensor in inputs
    )
    header = om.Header(
        atc_version=ATC_VERSION,
        soc_version=order.soc_version,
        command_line=command_line,
        precision=order.precision,
        inputs=inputs,
        outputs=outputs,
        batches=order.batches,
        weight_bytes=sum(len(tensor.raw_data) for tensor in model.graph.initializer),
        # An estimate: what a network needs between its layers is a few times its input.
        work_bytes=4 * sum(tensor.size for tensor in (*inputs, *outputs)),
        graph_bytes=len(data),
        graph_sha256=om.digest(data),
        aipp={name: op.record() for name, op in fronts.items()},
        options=dict(order.choices.given),
        quantized=quantized_model,
        model_name=order.output.name,
        operators=_operators(model, producers, types, exceptions),
    )
    return header, data


def _operators(
    model: onnx.ModelProto,
    producers: dict[str, tuple[str, int]],
    types: dict[str, str],
    exceptions: Exceptions,
) -> tuple[tuple[str, str, str], ...]:
    """What a dump can tell of: the tensors that the author's operators still make.

    Whole numbers are left out: a chip dumps them as INT32, here they are floats for the moment.
    """
    made = {name for node in model.graph.node for name in node.output} - exceptions.whole
    return tuple(
        (producers[name][0], types[name], name) for name in producers if name and name in made
    )


def _exceptions(order: Order) -> Exceptions:
    """What files like --keep_dtype say about single operators."""
    choices = order.choices
    kept = {GE_TYPES.get(word, word) for name in choices.kept_types
            for word in [name.removeprefix("OpType::")]}  # fmt: skip
    exact = ("enable_float_32_execution", "enable_hi_float_32_execution")
    for name, mode in choices.op_precision.items():
        if mode in exact:
            kept.add(name[1:] if name.startswith("@") else GE_TYPES.get(name, name))

    def changed(which: str, how: str) -> set[str]:
        return {GE_TYPES.get(n, n) for n in choices.mix_lists.get(which, {}).get(how, [])}

    added = changed("white-list", "to-add") | changed("black-list", "to-remove")
    removed = changed("black-list", "to-add") | changed("white-list", "to-remove")
    return Exceptions(kept=kept, matrix=frozenset((MATRIX | added) - removed))


def _obey_test_hooks(model: onnx.ModelProto) -> None:
    """A test's model may ask for a slow or a failing conversion (devkit/cann/README.md)."""
    wishes = {entry.key: entry.value for entry in model.metadata_props}
    time.sleep(float(wishes.get("cann_simulator.seconds", "0")))
    code = wishes.get("cann_simulator.fail")
    if code in CATALOGUE:
        blanks = CATALOGUE[code].sentence.count("{}")
        raise AtcError(code, *["asked for by the model"] * blanks)


def _fold(model: onnx.ModelProto) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="atc-") as folder:
        path = Path(folder) / "folded.onnx"
        try:
            session(model.SerializeToString(), threads=1, optimized=path)
        except RuntimeFailure as error:
            raise _inference_error(error) from error
        folded: onnx.ModelProto = onnx.load(str(path))
    return folded


def _inference_error(error: Exception) -> AtcError:
    """ATC reports shapes that do not fit as an inner error, with the node in the trace."""
    text = " ".join(str(error).split())
    match = re.search(r"[Nn]ame:\s?'?([^' )]+)|[Nn]ode\s?\(([^)]+)\)", text)
    node = next(filter(None, match.groups()), "?") if match else "?"
    return AtcError(
        "E19999",
        trace=(
            f"Call InferShapeAndType for node:{node} failed",
            text[:400],
            "build graph failed, graph id:0, ret:1343242270",
        ),
    )


def _try_out(
    data: bytes, model: onnx.ModelProto, order: Order, producers: dict[str, tuple[str, int]]
) -> tuple[tuple[om.Tensor, ...], tuple[om.Tensor, ...]]:
    """Run it at the smallest and the largest batch; describe its inputs and outputs."""
    try:
        running = session(data, threads=cpu_count())
        fewest, most = min(order.batches, default=1), max(order.batches, default=1)
        small = running.run(None, {v.name: _zeros(v, fewest) for v in model.graph.input})
        feeds = {v.name: _zeros(v, most) for v in model.graph.input}
        large = running.run(None, feeds) if order.batches else small
    except RuntimeFailure as error:
        raise _inference_error(error) from error
    inputs = [_describe(v.name, v.name, feeds[v.name], dims=_dims(v)) for v in model.graph.input]
    if order.batches:
        inputs.append(om.Tensor(MBATCH_INPUT, "", 9, om.FORMAT_ND, (1,), 8))
    outputs = []
    for value, few, many in zip(model.graph.output, small, large, strict=True):
        node, index = producers.get(value.name, (value.name, 0))
        name = f"{node}:{index}:{value.name}"
        follows = few.shape != many.shape
        outputs.append(_describe(name, value.name, many, dims=many.shape, follows_batch=follows))
    return tuple(inputs), tuple(outputs)


def _dims(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim)


def _zeros(value: onnx.ValueInfoProto, batch: int) -> np.ndarray:
    shape = [batch if size == -1 else size for size in _dims(value)]
    return np.zeros(shape, helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


def _describe(
    name: str,
    onnx_name: str,
    array: np.ndarray,
    *,
    dims: tuple[int, ...],
    follows_batch: bool = False,
) -> om.Tensor:
    kind = om.ACL_TYPES[helper.np_dtype_to_tensor_dtype(array.dtype)]
    layout = om.FORMAT_NCHW if len(dims) == 4 else om.FORMAT_ND
    shown = name[:LONGEST_NAME]
    return om.Tensor(shown, onnx_name, kind, layout, tuple(dims), array.nbytes, follows_batch)
