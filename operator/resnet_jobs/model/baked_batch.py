"""Operators that have the batch of the export baked into them, and how they are opened.

Called by `batch`, which proves afterwards that the model still answers the same. Only what lies on
the way of the batch is touched: the operator's data must have the batch in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_jobs.model.constants import Constants

if TYPE_CHECKING:
    from collections.abc import Callable

OPEN_NAME = "batch"


def open_operators(model: Any, fixed: int) -> list[str]:
    """Opens Reshape targets and Squeezes in place; returns the names of the changed nodes.

    `fixed` is the number that the export baked in. Where the file's inputs are open already, what
    follows from their first dimension counts as the batch.
    """
    import onnx

    shapes = _Shapes(onnx.shape_inference.infer_shapes(model), fixed)
    constants = Constants(model)
    changed = []
    for node in model.graph.node:
        opener = OPENERS.get(node.op_type)
        if opener and shapes.has_batch(node.input[0]) and opener(model, node, shapes, constants):
            changed.append(node.name or node.output[0])
    return changed


class _Shapes:
    """Shapes by name of tensor; an open dimension is None."""

    def __init__(self, inferred: Any, fixed: int) -> None:
        graph = inferred.graph
        self.fixed = fixed
        weights = {tensor.name for tensor in graph.initializer}
        values = [*graph.value_info, *graph.output]
        values += [value for value in graph.input if value.name not in weights]
        self._dims = {
            value.name: [
                dim.dim_value if dim.HasField("dim_value") else None
                for dim in value.type.tensor_type.shape.dim
            ]
            for value in values
            if value.type.tensor_type.HasField("shape")
        }

    def has_batch(self, name: str) -> bool:
        first = self._dims.get(name, [])[:1]
        return first in ([self.fixed], [None])

    def dims(self, name: str) -> list[int | None]:
        return self._dims[name]


def _open_reshape(model: Any, node: Any, shapes: _Shapes, constants: Constants) -> bool:
    """Makes a target like [1, 2048] to [0, 2048], where 0 copies the batch dimension."""
    target = constants.value(node.input[1])
    if target is None or target.ndim != 1 or len(target) < 2 or target[0] != shapes.fixed:
        return False
    allows_zero = next((a for a in node.attribute if a.name == "allowzero" and a.i), None)
    if allows_zero is not None:
        if 0 in target:  # it asks for an empty tensor, which is no business of a batch
            return False
        node.attribute.remove(allows_zero)
    opened = target.copy()
    opened[0] = 0
    node.input[1] = _constant(model, f"{node.input[1]}/{OPEN_NAME}", opened)
    return True


def _open_squeeze(model: Any, node: Any, shapes: _Shapes, _: Constants) -> bool:
    """Names the axes of a Squeeze that would take the batch of one along with the others."""
    import numpy as np

    dims = shapes.dims(node.input[0])
    named = any(a.name == "axes" for a in node.attribute) or len(list(filter(None, node.input))) > 1
    if named or None in dims[1:]:
        return False
    axes = [index for index, dim in enumerate(dims) if index and dim == 1]
    if not axes:
        return False
    opset = max(e.version for e in model.opset_import if e.domain in ("", "ai.onnx"))
    if opset < 13:
        from onnx import helper

        node.attribute.append(helper.make_attribute("axes", axes))
    else:
        name = f"{node.output[0]}/{OPEN_NAME}"
        del node.input[1:]
        node.input.append(_constant(model, name, np.array(axes, dtype=np.int64)))
    return True


def _constant(model: Any, name: str, value: Any) -> str:
    """The name of an initializer with that value: one constant may serve several operators, and
    those that are left alone keep theirs.
    """
    import numpy as np
    from onnx import numpy_helper

    taken = {tensor.name: tensor for tensor in model.graph.initializer}
    while name in taken and not np.array_equal(numpy_helper.to_array(taken[name]), value):
        name += "_"
    if name not in taken:
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return name


OPENERS: dict[str, Callable[[Any, Any, _Shapes, Constants], bool]] = {
    "Reshape": _open_reshape,
    "Squeeze": _open_squeeze,
}
