"""Values inside a graph that do not depend on its inputs, however the exporter made them.

A shape that one exporter writes as an initializer, another one puts together from Constant, Cast,
Unsqueeze and Concat nodes. Called by `baked_batch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Value = np.ndarray[Any, Any]

# Operators with bodies of their own, and those that answer differently every time.
NEVER = frozenset((
    "Bernoulli", "If", "Loop", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike", "Scan",
))  # fmt: skip
# A value larger than this is no shape.
MAX_ELEMENTS = 4096
MAX_DEPTH = 64


class Constants:
    """The constants of a model's main graph, computed when asked for."""

    def __init__(self, model: Any) -> None:
        self._model = model
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
        if node.op_type == "Shape" and node.input[0] in self._weights and not node.attribute:
            return np.array(self._weights[node.input[0]].dims, dtype=np.int64)
        if node.op_type in NEVER:
            return None
        feed: dict[str, Value] = {}
        for entry in filter(None, node.input):
            found = self._value(entry, depth - 1)
            if found is None:
                return None
            feed[entry] = found
        return self._run(node, name, feed)

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
