"""How often a service was asked and how much of it failed, by what its pod counts. Pure.

A pod may hold several models: the network, and with `serving.pipeline` the steps around it and the
ensemble that leads through them. The steps count. The ensemble's failures do not: Triton 24.10
counts each of them twice, and as another reason those whose client has gone away. A request fails
in one step at most, and so the failures of the steps add up to those of the service.

Triton 24.10 calls it a success when a Python model answers with an error, others a failure. Our
runtimes count what fails while a model runs themselves, so both may have counted a request: the
larger number counts, without those failures of Triton's that never reached the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resnet_operator import names

SUCCESS = "nv_inference_request_success"
FAILURE = "nv_inference_request_failure"
FAILED = "resnet_failed_requests"
# Reasons of requests that no model has run: refused by a full queue, given up by the client.
REFUSED, CANCELED = "REJECTED", "CANCELED"


@dataclass(slots=True)
class OfModel:
    """What is counted of one model; Triton before 24.04 gives no reason."""

    success: int = 0
    by_reason: dict[str, int] = field(default_factory=dict)
    by_runtime: int = 0

    @property
    def requests(self) -> int:
        return self.success + sum(self.by_reason.values())

    @property
    def in_model(self) -> int:
        outside = self.outside(REFUSED, CANCELED)
        return max(sum(self.by_reason.values()) - outside, self.by_runtime)

    @property
    def failed(self) -> int:
        return self.in_model + self.outside(REFUSED, CANCELED)

    def outside(self, *reasons: str) -> int:
        return sum(self.by_reason.get(reason, 0) for reason in reasons)

    def add(self, metric: str, reason: str, value: int) -> None:
        """Take a sample; what is none of the three metrics counts for nothing."""
        if metric == SUCCESS:
            self.success += value
        elif metric == FAILURE:
            self.by_reason[reason] = self.by_reason.get(reason, 0) + value
        elif metric == FAILED:
            self.by_runtime += value


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests of a service, and those that failed: refused, given up, or in a model."""

    requests: int = 0
    refused: int = 0
    canceled: int = 0
    in_model: int = 0

    @property
    def failed(self) -> int:
        return self.refused + self.canceled + self.in_model

    @property
    def answered(self) -> int:
        return max(self.requests - self.failed, 0)


def asked_of(models: Mapping[str, OfModel], network: str) -> Asked:
    """Return what clients asked of the models of a pod, by the name of the network among them.

    All come to the network but what fails in the step before it.
    """
    first, *_ = steps = [models.get(name, OfModel()) for name in names.steps_of(network)]
    return Asked(
        requests=models.get(network, OfModel()).requests + first.failed,
        refused=sum(one.outside(REFUSED) for one in steps),
        canceled=sum(one.outside(CANCELED) for one in steps),
        in_model=sum(one.in_model for one in steps),
    )
