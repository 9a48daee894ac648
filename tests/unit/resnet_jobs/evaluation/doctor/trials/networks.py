"""Small networks that lose their accuracy in one known way each, and pictures for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES, SIDE, PICTURES = 4, 32, 48
OUTLIER = 4000.0


def network(*, large: float = 1.0, product: float = 1.0) -> Any:
    """Two 1x1 convolutions, a mean over the picture, and the scores: each class has its colour.

    Between the convolutions numbers are `large` times as great, and so much smaller after them; a
    product of its own makes and undoes `product`.
    """
    rng = np.random.default_rng(3)
    first = rng.normal(size=(16, 3, 1, 1))
    back = np.linalg.pinv(first[:, :, 0, 0])[:, :, None, None]
    constants = {
        "w1": first * large,
        "up": np.array(product),
        "down": np.array(1 / product),
        "w2": back / large,
        "w3": np.eye(3, CLASSES),
        "nearest": -0.5 * np.array([1.0, 1.0, 1.0, 0.0]),
        "lowest": np.array(-1e9),
        "highest": np.array(1e9),
    }
    nodes = [
        helper.make_node("Conv", ["input", "w1"], ["a"], name="first"),
        helper.make_node("Mul", ["a", "up"], ["b"], name="raise"),
        helper.make_node("Mul", ["b", "down"], ["c"], name="lower"),
        helper.make_node("Conv", ["c", "w2"], ["d"], name="second"),
        helper.make_node("Clip", ["d", "lowest", "highest"], ["e"], name="clip"),
        helper.make_node("GlobalAveragePool", ["e"], ["f"], name="mean"),
        helper.make_node("Flatten", ["f"], ["g"], name="flat"),
        helper.make_node("Gemm", ["g", "w3", "nearest"], ["logits"], name="scores"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(value.astype(np.float32), name)
         for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)


def clipped(model: Any) -> Any:
    """What the first layer makes of one strange pixel is cut off behind it."""
    model.graph.node[0].output[0] = "a/wide"
    model.graph.node.insert(1, helper.make_node("Clip", ["a/wide", "least", "most"], ["a"]))
    for name, value in (("least", -4.0), ("most", 4.0)):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    return model


def pictures(*, outliers: bool = False, dark: int = 0) -> tuple[Any, list[int]]:
    """Colours of their classes with noise; with `outliers` one pixel of each is far too bright.

    The first `dark` ones are nearly black.
    """
    rng = np.random.default_rng(5)
    labels = [number % CLASSES for number in range(PICTURES)]
    colours = np.vstack([np.eye(3), np.zeros((1, 3))])
    made = np.stack([np.broadcast_to(colours[label][:, None, None], (3, SIDE, SIDE))
                     for label in labels])  # fmt: skip
    made = (made + rng.normal(scale=0.1, size=made.shape)).astype(np.float32)
    made[:dark] *= 0.02
    if outliers:
        made[:, 0, 0, 0] = OUTLIER
    return made, labels
