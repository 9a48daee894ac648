"""What a change costs in speed, by counting multiplications. Pure but for one run of the network.

A chip multiplies eight bits twice as fast as half precision, and single precision several times
slower. Memory and the time of other operators are not counted: the gate measures what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.evaluation.doctor.graph import MATRIX, session, with_outputs
from resnet_jobs.evaluation.doctor.predict import channel_axis

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

INT8, FP16, FP32 = 1.0, 2.0, 8.0  # time of one multiplication
WIDE = 0.8  # the speed of a network whose every result is stored in twice the bytes: a guess


def multiplications(model: Any, row: Any) -> dict[str, int]:
    """Matrix operator -> how many it does for one picture."""
    weights = {one.name: tuple(one.dims) for one in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in MATRIX and len(node.input) > 1]
    running = session(with_outputs(model, [node.output[0] for node in nodes]))
    entry = running.get_inputs()[0]
    fixed = entry.shape[0] if isinstance(entry.shape[0], int) else 1
    feed = np.repeat(row[None], fixed, axis=0).astype(row.dtype)
    wanted = [node.output[0] for node in nodes]
    made = dict(zip(wanted, running.run(wanted, {entry.name: feed}), strict=True))
    found = {}
    for node in nodes:
        dims = weights.get(node.input[1])
        if dims:
            size = int(np.size(made[node.output[0]])) // fixed
            channels = dims[channel_axis(node, len(dims))]
            found[node.name] = size * int(np.prod(dims)) // channels
    return found


def speed(
    work: Mapping[str, int], changed: Collection[str], *, before: float, after: float
) -> float:
    """The predicted images a second, as a share of those of before."""
    whole = sum(work.values())
    slower = sum(count for name, count in work.items() if name in changed)
    if not whole:
        return 1.0
    return round(before * whole / (before * (whole - slower) + after * slower), 3)
