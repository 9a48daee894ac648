"""The source model as the doctor sees it: its operators, and their outputs for some pictures.

Names are those that AMCT and ATC give: the author's, or the type and place of a node without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MATRIX = ("Conv", "Gemm", "MatMul", "ConvTranspose")


@dataclass(frozen=True)
class Operator:
    name: str
    kind: str
    inputs: tuple[str, ...]
    output: str


def load(path: Path) -> Any:
    import onnx

    model = onnx.load(str(path))
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return model


def operators(model: Any) -> tuple[Operator, ...]:
    """In the order of computation, each with its first output."""
    return tuple(
        Operator(node.name, node.op_type, tuple(node.input), node.output[0])
        for node in model.graph.node
        if node.output
    )


def with_outputs(model: Any, tensors: Sequence[str]) -> Any:
    """A copy that gives these tensors too; ONNX Runtime finds out their types."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    there = {value.name for value in copy.graph.output}
    made = {name for node in copy.graph.node for name in node.output}
    copy.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in tensors if name in made and name not in there
    )
    return copy


def session(model: Any) -> Any:
    """In ONNX Runtime without its fusions, which would take intermediate results away."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def elements(model: Any, row: Any) -> int:
    """How many numbers the matrix operators make of one picture."""
    wanted = [one.output for one in operators(model) if one.kind in MATRIX]
    running = session(with_outputs(model, wanted))
    entry = running.get_inputs()[0]
    fixed = entry.shape[0] if isinstance(entry.shape[0], int) else 1
    feed = np.repeat(row[None], fixed, axis=0)
    return sum(int(np.size(one)) for one in running.run(wanted, {entry.name: feed})) // fixed


def sampled(array: Any, points: int) -> Any:
    """[rows, channels, points of each]; resnet_runtime.dump takes the same places."""
    values = np.asarray(array)
    channels = values.shape[1] if values.ndim > 1 else 1
    flat = values.reshape(len(values), channels, -1)
    size = flat.shape[2]
    places = np.linspace(0, size - 1, min(max(1, points // channels), size)).astype(np.int64)
    return flat[:, :, places].astype(np.float32)


def results(model: Any, batch: Any, *, points: int) -> dict[str, Any]:
    """Tensor -> [picture, channel, points], each picture alone: some files take one."""
    found = operators(model)
    running = session(with_outputs(model, [one.output for one in found]))
    names = [value.name for value in running.get_outputs()]
    entry = running.get_inputs()[0]
    fixed = entry.shape[0] if isinstance(entry.shape[0], int) else 1
    kept: dict[str, list[Any]] = {}
    for row in batch:
        feed = np.repeat(row[None], fixed, axis=0).astype(batch.dtype)
        for name, value in zip(names, running.run(None, {entry.name: feed}), strict=True):
            if np.ndim(value) and len(value) == fixed and value.dtype.kind == "f":
                kept.setdefault(name, []).append(sampled(value[:1], points))
    return {name: np.concatenate(parts) for name, parts in kept.items() if len(parts) == len(batch)}
