"""Counters of a model beside Triton's own, shown at the same place.

Triton counts a request as a success whose answer of a Python model is an error (checked with 2.51);
so what fails while it runs is counted here. Triton before 23.05 has no metrics of models.
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

import triton_python_backend_utils as pb_utils

# Name and description of each.
FAILED = ("resnet_failed_requests", "Requests that failed while the model ran")
# An answer counts in one of them: of two that both grow a reader could see the first alone.
AGREED = ("resnet_agreed_answers", "Answers with the first class of the old revision's")
DIFFERED = ("resnet_differing_answers", "Answers with another first class than the old revision's")


def can_count() -> bool:
    """Whether this Triton shows counters of models."""
    return hasattr(pb_utils, "MetricFamily")


class Counter:
    """One counter of one instance; it counts nothing where Triton shows none."""

    def __init__(self, what: Tuple[str, str], labels: Dict[str, str]) -> None:
        self._metric: Any = None
        if can_count():
            # The family has to live as long as its metric.
            self._family = pb_utils.MetricFamily(
                name=what[0], description=what[1], kind=pb_utils.MetricFamily.COUNTER
            )
            self._metric = self._family.Metric(labels=labels)

    def add(self, number: int) -> None:
        if self._metric is not None:
            self._metric.increment(number)
