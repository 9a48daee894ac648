"""What a load says, from windows of it: one pause of the machine spoils one window. Pure.

A stall of a tenth of a second makes every request slow that was in flight then, which is more than
one in a hundred of a short load: its 99th percentile would be the machine's and not the settings'.
So a load is cut into windows of the same length, and what is said of it is the median of them.
"""

from __future__ import annotations

import itertools
import math
import statistics
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resnet_jobs.evaluation.tuning.load.wire import Answers

MOST = 7
LEAST_REQUESTS = 100  # of a window: a 99th percentile of fewer is the slowest of them
PERCENTILES = (50, 90, 99)
RAMP = 0.1  # of the load, from its beginning, when all clients have sent at the same moment


def summary(answers: Answers) -> dict[str, Any]:
    """Requests a second and percentiles; None where more than one request in a hundred failed."""
    percentiles = {f"p{of}Milliseconds": None for of in PERCENTILES}
    requests = answers.requests
    said = {"requests": requests, "failedRequests": answers.failures, "requestsPerSecond": 0.0}
    if not answers.ends:
        return said | percentiles
    windows = cut(answers)
    rates = [len(times) / seconds for times, seconds in windows]
    said["requestsPerSecond"] = round(statistics.median(rates), 2)
    if answers.failures * 100 > requests:
        return said | percentiles
    return said | {
        f"p{of}Milliseconds": round(statistics.median(rank(times, of) for times, _ in windows), 3)
        for of in PERCENTILES
    }


def cut(answers: Answers) -> list[tuple[list[float], float]]:
    """Sorted milliseconds and length of each window. Ends are in the order of time."""
    whole = answers.ends[-1] - answers.started
    began = answers.started + RAMP * whole
    first = bisect_right(answers.ends, began)
    left = len(answers.ends) - first
    count = max(1, min(MOST, left // LEAST_REQUESTS))
    if left < LEAST_REQUESTS:  # a slow model: nothing is to be given away
        return [(sorted(answers.milliseconds), max(whole, 1e-9))]
    length = (answers.ends[-1] - began) / count
    edges = [bisect_right(answers.ends, began + number * length) for number in range(count)]
    edges.append(len(answers.ends))
    found = [
        (sorted(answers.milliseconds[at:until]), length) for at, until in itertools.pairwise(edges)
    ]
    return [window for window in found if window[0]]


def rank(ordered: Sequence[float], of: int) -> float:
    """A percentile by nearest rank."""
    return ordered[math.ceil(of / 100 * len(ordered)) - 1]
