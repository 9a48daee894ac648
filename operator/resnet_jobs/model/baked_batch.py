"""Operators that have the batch of the export baked into them, and how they are opened.

Called by `batch`, which proves afterwards that the model still answers the same. Only what lies on
the way of the batch is touched: the operator's data must have the batch in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_jobs.model.constants import Constants, inline_decided

if TYPE_CHECKING:
    from collections.abc import Callable

OPEN_NAME = "batch"
MANY = 9973  # a batch that no dimension of a network is taken for


def open_operators(model: Any, fixed: int) -> list[str]:
    """Opens Reshape targets, Squeezes and Resizes in place; returns the changed nodes' names.

    `fixed` is the number that the export baked in. Where the file's inputs are open already, what
    follows from their first dimension counts as the batch.
    """
    import onnx

    views = [Constants(model, _shapes_at(model, batch)) for batch in (1, MANY)]
    changed = inline_decided(model, views)
    shapes = _Shapes(onnx.shape_inference.infer_shapes(model), fixed)
    constants = Constants(model, _shapes_at(model, MANY))
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

    def rows(self, name: str) -> int | None:
        """The first dimension, None where it is open or not known."""
        return next(iter(self._dims.get(name, [])), None)

    def all(self) -> dict[str, list[int | None]]:
        return self._dims

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


def _open_resize(model: Any, node: Any, shapes: _Shapes, constants: Constants) -> bool:
    """Says a Resize to [1, C, H, W] by factors instead of sizes: 1 keeps any batch."""
    import numpy as np

    inputs = [*node.input, "", "", ""][:4]
    sizes, dims = constants.value(inputs[3]) if inputs[3] else None, shapes.dims(node.input[0])
    named = any(a.name in ("axes", "keep_aspect_ratio_policy") for a in node.attribute)
    if sizes is None or named or len(sizes) != len(dims) or sizes[0] != shapes.fixed:
        return False
    known = [dim for dim in dims[1:] if dim]
    if len(known) != len(sizes) - 1:
        return False
    factors = np.array([1, *(size / dim for size, dim in zip(sizes[1:], known, strict=True))], "f4")
    again = [int(np.floor(factor * dim)) for factor, dim in zip(factors[1:], known, strict=True)]
    if again != list(sizes[1:]):
        return False  # rounding would make another size
    name = _constant(model, f"{inputs[3]}/{OPEN_NAME}", factors)
    del node.input[:]
    node.input.extend([inputs[0], inputs[1], name])
    return True


def closing_node(model: Any, batch: int) -> tuple[str, str] | None:
    """(operator, name) of the first node that makes another number of rows of so many pictures."""
    found = _at_batch(model, batch)
    if found is None:
        return None
    for node in model.graph.node:
        rows = [found.rows(name) for name in node.input]
        made = [found.rows(name) for name in node.output]
        if batch in rows and made and all(row not in (None, batch) for row in made):
            return node.op_type, node.name or node.output[0]
    return None


def _shapes_at(model: Any, batch: int) -> dict[str, list[int | None]]:
    """What the tensors' sizes would be in that batch; empty where no node asks for a size."""
    if not any(node.op_type in ("If", "Shape") for node in model.graph.node):
        return {}
    found = _at_batch(model, batch)
    return found.all() if found else {}


def _at_batch(model: Any, batch: int) -> _Shapes | None:
    import copy

    import onnx

    tried = copy.deepcopy(model)
    weights = {tensor.name for tensor in tried.graph.initializer}
    for value in (*tried.graph.input, *tried.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and dims:
            dims[0].Clear()
            if value in tried.graph.input:
                dims[0].dim_value = batch
    del tried.graph.value_info[:]
    try:
        return _Shapes(onnx.shape_inference.infer_shapes(tried, data_prop=True), batch)
    except Exception:  # what cannot be inferred names nobody
        return None


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
    "Resize": _open_resize,
}
