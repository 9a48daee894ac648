"""The digits network with one layer that eight bits ruin: the same function, other numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from tests.support.apiserver import ROOT

DIGITS = ROOT / "samples/digits"
BEFORE, RUINED = "/4/body/body.0/Conv", "/4/body/body.3/Conv"
FACTOR = 4000.0


def planted() -> Any:
    """One channel between two layers is 4,000 times as large, and its weights as much smaller.

    Between them is a Relu, which does not mind. In floating point nothing changes; eight bits for
    all channels together leave nothing of the others.
    """
    model = onnx.load(str(DIGITS / "digits-resnet.onnx"))
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}

    def scale(name: str, place: Any, factor: float) -> None:
        values = np.array(numpy_helper.to_array(weights[name]))
        values[place] *= factor
        weights[name].CopyFrom(numpy_helper.from_array(values, name))

    _, weight, bias = nodes[BEFORE].input
    busiest = int(numpy_helper.to_array(weights[bias]).argmax())
    scale(weight, busiest, FACTOR)
    scale(bias, busiest, FACTOR)
    scale(nodes[RUINED].input[1], (slice(None), busiest), 1 / FACTOR)
    return model
