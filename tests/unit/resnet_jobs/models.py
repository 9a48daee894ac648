"""Small ONNX models for the Job's tests: a picture in, five class scores out, seeded weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, CLASSES = 4, 5


def classifier(
    *,
    batch: int | str | None = "N",
    size: tuple[int | str, int | str] = (8, 8),
    opset: int = 13,
    name: str = "input",
    kind: int = TensorProto.FLOAT,
    flatten: str = "Flatten",
    baked: int = 1,
    extra_domains: tuple[str, ...] = (),
    weights_as_inputs: bool = False,
    output_batch: int | str | None = None,
) -> onnx.ModelProto:
    """Conv, Relu, GlobalAveragePool, a flattening and Gemm: a ResNet's head and tail.

    `flatten` is Flatten, Reshape (target in an initializer) or ReshapeConstant (in a node), the
    last two with the batch `baked` into the target, as exports with a fixed batch have it.
    """
    rng = np.random.default_rng(7)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    weights = {
        "conv.weight": rng.standard_normal((CHANNELS, 3, 3, 3)).astype(dtype),
        "fc.weight": rng.standard_normal((CHANNELS, CLASSES)).astype(dtype),
        "fc.bias": rng.standard_normal(CLASSES).astype(dtype),
    }
    nodes = [
        helper.make_node("Conv", [name, "conv.weight"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        *_flatten(flatten, baked, weights),
        helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["scores"], name="fc"),
    ]
    out_batch = batch if output_batch is None else output_batch
    inputs = [helper.make_tensor_value_info(name, kind, [batch, 3, *size])]
    if weights_as_inputs:
        inputs += [
            helper.make_tensor_value_info(key, kind, value.shape)
            for key, value in weights.items()
            if value.dtype == dtype
        ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        inputs,
        [helper.make_tensor_value_info("scores", kind, [out_batch, CLASSES])],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    return make_model(graph, opset=opset, extra_domains=extra_domains)


def _flatten(how: str, baked: int, weights: dict[str, Any]) -> list[onnx.NodeProto]:
    target = np.array([baked, CHANNELS], dtype=np.int64)
    if how == "Flatten":
        return [helper.make_node("Flatten", ["p"], ["f"])]
    if how == "Reshape":
        weights["shape"] = target
        return [helper.make_node("Reshape", ["p", "shape"], ["f"], name="view")]
    constant = helper.make_node(
        "Constant", [], ["shape"], value=numpy_helper.from_array(target, "shape")
    )
    return [constant, helper.make_node("Reshape", ["p", "shape"], ["f"], name="view")]


def two_inputs(*, batch: int | str = "N", second_batch: int | str | None = None) -> onnx.ModelProto:
    """A picture and four numbers; the sum of both comes out, once as FP32 and once as INT64."""
    second = batch if second_batch is None else second_batch
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["a"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Add", ["f", "b"], ["sum"]),
            helper.make_node("ArgMax", ["sum"], ["best"], axis=1, keepdims=0),
        ],
        "two",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [batch, 4, 8, 8]),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [second, 4]),
        ],
        [
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("best", TensorProto.INT64, None),
        ],
    )
    return make_model(graph)


def chain(
    nodes: list[onnx.NodeProto],
    *,
    weights: dict[str, Any] | None = None,
    dims: list[Any] | None = None,
    out_kind: int = TensorProto.FLOAT,
    opset: int = 13,
) -> onnx.ModelProto:
    """A graph from "x" (N x 3 by default) to "y", made of the given nodes."""
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims or ["N", 3])],
        [helper.make_tensor_value_info("y", out_kind, None)],
        [numpy_helper.from_array(value, key) for key, value in (weights or {}).items()],
    )
    return make_model(graph, opset=opset)


def make_model(
    graph: onnx.GraphProto, *, opset: int = 13, extra_domains: tuple[str, ...] = ()
) -> onnx.ModelProto:
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(domain, 1) for domain in extra_domains]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def scores(model: onnx.ModelProto, feed: dict[str, Any]) -> list[Any]:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, feed))
