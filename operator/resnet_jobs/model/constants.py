"""Values inside a graph that do not depend on its inputs, however the exporter made them.

A shape that one exporter writes as an initializer, another one puts together from Constant, Cast,
Unsqueeze and Concat nodes. Called by `baked_batch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    Value = np.ndarray[Any, Any]
    Shapes = Mapping[str, Sequence[int | None]]

# Operators with bodies of their own, and those that answer differently every time.
NEVER = frozenset((
    "Bernoulli", "If", "Loop", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike", "Scan",
))  # fmt: skip
# A value larger than this is no shape.
MAX_ELEMENTS = 4096
MAX_DEPTH = 64


class Constants:
    """The constants of a model's main graph, computed when asked for. `shapes` are those of
    tensors that depend on the inputs, where they are known: their sizes are constants too.
    """

    def __init__(
        self, model: Any, shapes: Mapping[str, Sequence[int | None]] | None = None
    ) -> None:
        self._model = model
        self._shapes = shapes or {}
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._known: dict[str, Value | None] = {}

    def value(self, name: str) -> Value | None:
        """The tensor of that name, None where it depends on the inputs or is no shape."""
        return self._value(name, MAX_DEPTH)

    def _value(self, name: str, depth: int) -> Value | None:
        if name not in self._known:
            self._known[name] = None  # a circle, which no sound graph has, ends here
            self._known[name] = self._compute(name, depth)
        return self._known[name]

    def _compute(self, name: str, depth: int) -> Value | None:
        import numpy as np
        from onnx import numpy_helper

        if name in self._weights:
            tensor = self._weights[name]
            return numpy_helper.to_array(tensor) if _is_small(tensor.dims) else None
        node = self._makers.get(name)
        if node is None or node.domain not in ("", "ai.onnx") or depth == 0:
            return None
        if node.op_type == "Shape":
            dims = self._dims(node.input[0])
            if dims is not None:
                ends = {attribute.name: attribute.i for attribute in node.attribute}
                return np.array(dims[ends.get("start", 0) : ends.get("end", len(dims))], np.int64)
        if node.op_type in NEVER:
            return None
        feed: dict[str, Value] = {}
        for entry in filter(None, node.input):
            found = self._value(entry, depth - 1)
            if found is None:
                return None
            feed[entry] = found
        return self._run(node, name, feed)

    def _dims(self, name: str) -> list[int] | None:
        """The shape of a weight, or of another tensor where all of it is known."""
        if name in self._weights:
            return list(self._weights[name].dims)
        dims = self._shapes.get(name)
        return None if dims is None or None in dims else [dim for dim in dims if dim is not None]

    def _run(self, node: Any, name: str, feed: dict[str, Value]) -> Value | None:
        import numpy as np
        from onnx import TensorProto, helper
        from onnx.reference import ReferenceEvaluator

        inputs = [
            helper.make_tensor_value_info(
                key, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for key, value in feed.items()
        ]
        output = helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)
        graph = helper.make_graph([node], "constant", inputs, [output])
        model = helper.make_model(graph, opset_imports=list(self._model.opset_import))
        try:
            (answer,) = ReferenceEvaluator(model).run([name], feed)
        except Exception:  # the evaluator lacks the operator: then the value is not known
            return None
        found = np.asarray(answer)
        return found if found.size <= MAX_ELEMENTS else None


def _is_small(dims: Any) -> bool:
    size = 1
    for dim in dims:
        size *= dim
    return size <= MAX_ELEMENTS


def inline_decided(model: Any, views: Sequence[Constants]) -> list[str]:
    """Puts the branch that is always taken in place of each If, in place; returns their names.

    PyTorch writes an If for every squeeze whose dimension it did not look at. `views` are the
    model's constants in several batches: what the batch decides is not always taken.
    """
    changed: list[str] = []
    kept: list[Any] = []
    for node in model.graph.node:
        found = [view.value(node.input[0]) for view in views] if node.op_type == "If" else []
        decided = {None if value is None else bool(value.item()) for value in found}
        if decided not in ({True}, {False}):
            kept.append(node)
            continue
        taken = "then_branch" if True in decided else "else_branch"
        branch = next(attribute.g for attribute in node.attribute if attribute.name == taken)
        kept += _inlined(model, branch, node)
        changed.append(node.name or node.output[0])
    if changed:
        del model.graph.node[:]
        model.graph.node.extend(kept)
    return changed


def _inlined(model: Any, branch: Any, node: Any) -> list[Any]:
    """The branch's nodes; what is the branch's own gets the If's name before it, and its outputs
    go on under the names of the If's.
    """
    from onnx import helper

    own = [tensor.name for tensor in branch.initializer]
    own += [name for one in branch.node for name in one.output if name]
    names = {name: f"{node.output[0]}/{name}" for name in own}
    for tensor in branch.initializer:
        tensor.name = names[tensor.name]
        model.graph.initializer.append(tensor)
    for one in branch.node:
        rename(one, names)
    last = zip(branch.output, node.output, strict=True)
    made = [
        helper.make_node("Identity", [names.get(value.name, value.name)], [name])
        for value, name in last
    ]
    return [*branch.node, *made]


def rename(node: Any, names: Mapping[str, str]) -> None:
    """Gives a node's tensors other names, those in its subgraphs too."""
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            for one in graph.node:
                rename(one, names)
