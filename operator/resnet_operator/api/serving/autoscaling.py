"""`spec.serving.autoscaling`: an autoscaler for the object, by what it measures."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from resnet_operator.api.base import ApiModel, optional
from resnet_operator.api.rules import Rule


class ScaleTarget(StrEnum):
    QUEUE_TIME = "QueueTime"
    CPU = "CPU"
    REQUESTS = "Requests"


class Autoscaling(ApiModel):
    """An autoscaler that sets `spec.serving.replicas`; leave that out of the manifest."""

    min_replicas: int = Field(
        default=1, ge=1, le=1000, description="Fewest serving pods; default 1."
    )
    max_replicas: int = Field(ge=1, le=1000, description="Most serving pods.")
    target: ScaleTarget | None = optional(
        "What is measured: QueueTime (mean wait of a request in microseconds), CPU "
        "(percent of the request) or Requests (a second and pod); default QueueTime."
    )
    value: int | None = optional(
        "Where pods are added; default 5000 microseconds and at least twice "
        "maxQueueDelayMicroseconds, or 70 percent.",
        ge=1,
        le=100_000_000,
    )
    scale_down_seconds: int | None = optional(
        "How long less has to do before a pod goes; default 300.", ge=0, le=3600
    )

    RULES = (
        Rule(
            "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
            lambda it: it.min_replicas > it.max_replicas,
            "write a maxReplicas that is not below minReplicas",
        ),
        Rule(
            "!has(self.target) || self.target != 'Requests' || has(self.value)",
            lambda it: it.target is ScaleTarget.REQUESTS and it.value is None,
            "write value: how many requests a second one pod may get",
        ),
    )
