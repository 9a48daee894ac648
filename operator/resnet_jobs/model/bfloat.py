"""bfloat16 at a model's borders: neither NumPy nor Triton's Python backend has it.

Called by `prepare` for the CPU. Clients send and get FP32, of which bfloat16 is the first half; the
casts stand inside the model.
"""

from __future__ import annotations

from typing import Any

from resnet_jobs.model.constants import rename

BFLOAT16, FLOAT = 16, 1
SUFFIX = "/bfloat16"


def serve_as_floats(model: Any) -> list[str]:
    """Puts a Cast behind each such input and before each such output, in place; notes which."""
    from onnx import helper

    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in weights and _is_bfloat(v)]
    outputs = [v for v in model.graph.output if _is_bfloat(v)]
    inside = {value.name: value.name + SUFFIX for value in (*inputs, *outputs)}
    if not inside:
        return []
    for node in model.graph.node:
        rename(node, inside)
    for value in (*inputs, *outputs):
        value.type.tensor_type.elem_type = FLOAT
    first = [helper.make_node("Cast", [v.name], [inside[v.name]], to=BFLOAT16) for v in inputs]
    last = [helper.make_node("Cast", [inside[v.name]], [v.name], to=FLOAT) for v in outputs]
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*first, *kept, *last])
    return [f"{', '.join(inside)} served as FP32, cast to and from BF16 inside the model"]


def _is_bfloat(value: Any) -> bool:
    return bool(value.type.tensor_type.elem_type == BFLOAT16)
