"""Which requests of a model failed: by Triton's counters, and by those of our runtimes. Pure.

Triton 24.10 calls it a success when a Python model answers with an error, others a failure. Our
runtimes count what fails while a model runs themselves, so both may have counted a request: the
larger number counts, without those failures of Triton's that never reached the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SUCCESS = "nv_inference_request_success"
FAILURE = "nv_inference_request_failure"
FAILED = "resnet_failed_requests"
# Reasons of requests that no model has run: refused by a full queue, given up by the client.
REFUSED, CANCELED = "REJECTED", "CANCELED"


@dataclass(frozen=True, slots=True)
class Failures:
    """`missed` of those that failed in the model are among Triton's successes."""

    refused: int
    canceled: int
    in_model: int
    missed: int

    @property
    def all(self) -> int:
        return self.refused + self.canceled + self.in_model


def failures_of(by_reason: Mapping[str, int], by_runtime: int) -> Failures:
    """Return the failures of a model; Triton before 24.04 gives no reason."""
    refused, canceled = by_reason.get(REFUSED, 0), by_reason.get(CANCELED, 0)
    counted = sum(by_reason.values()) - refused - canceled
    return Failures(refused, canceled, max(counted, by_runtime), max(by_runtime - counted, 0))
