"""The metrics by object, as a table: name, type, labels, HELP. docs/metrics.md is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Family:
    """One metric; every sample has its labels, in this order. `most` bounds them for an object."""

    name: str
    type: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    help: str
    most: int = 1


OBJECT = ("namespace", "name")
# So many series has one object at most, whatever happens to it.
MOST_SERIES = 20


class Families(Enum):
    """Each metric by object."""

    CONDITION = Family(
        name="resnet_service_condition",
        type="gauge",
        labels=(*OBJECT, "type", "status"),
        help="1 for each condition of a ResNetService, by its present status.",
        most=9,
    )
    REASON = Family(
        name="resnet_service_reason_info",
        type="gauge",
        labels=(*OBJECT, "reason", "phase"),
        help="Reason of the condition Ready and phase of a ResNetService; always 1.",
    )
    WANTED = Family(
        name="resnet_service_replicas_wanted",
        type="gauge",
        labels=OBJECT,
        help="Serving pods that a ResNetService asks for.",
    )
    READY = Family(
        name="resnet_service_replicas_ready",
        type="gauge",
        labels=OBJECT,
        help="Serving pods of a ResNetService that are ready.",
    )
    REVISION = Family(
        name="resnet_service_revision_info",
        type="gauge",
        labels=(*OBJECT, "serving", "desired", "chip", "runtime"),
        help="Revisions of a ResNetService that serve and that its spec asks for; always 1.",
    )
    ARTIFACT = Family(
        name="resnet_service_artifact_bytes",
        type="gauge",
        labels=(*OBJECT, "origin"),
        help="Size of the artifact of a ResNetService; origin is Converted, Reused or Copied.",
    )
    GATE = Family(
        name="resnet_service_gate_value",
        type="gauge",
        labels=(*OBJECT, "measure"),
        help="What the gate of a ResNetService measured: shares, a cosine, images per second.",
        most=4,
    )
    ROLLBACKS = Family(
        name="resnet_service_rollbacks_total",
        type="counter",
        labels=OBJECT,
        help="Revisions of a ResNetService that were rolled back, seen by this process.",
    )
    RETRIES = Family(
        name="resnet_service_retries_total",
        type="counter",
        labels=OBJECT,
        help="Jobs of a ResNetService after the first of an artifact, created by this process.",
    )
