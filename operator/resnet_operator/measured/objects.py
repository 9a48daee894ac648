"""A ResNetService as samples. Pure: the object, and what was counted of it, in; numbers out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from resnet_operator.measured.families import Families
from resnet_operator.plan.status.conditions import CONDITIONS
from resnet_operator.seen.service import ServiceObject

# Keys of status.validation, and the label of each.
MEASURES = {
    "top1": "top1",
    "top1Agreement": "top1_agreement",
    "cosineSimilarity": "cosine_similarity",
    "imagesPerSecond": "images_per_second",
}


@dataclass(frozen=True, slots=True)
class Counted:
    """What happened to one object since this process began."""

    rollbacks: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: the values of the family's labels after namespace and name, and the number."""

    family: Families
    labels: tuple[str, ...]
    value: float


def samples_of(service: ServiceObject, counted: Counted) -> Iterator[Sample]:
    """Give all samples of an object, at most MOST_SERIES of them."""
    status = service.status
    yield from _conditions(status)
    yield from _replicas(service)
    yield from _revision(status)
    yield from _artifact(status)
    yield from _gate(status)
    yield Sample(Families.ROLLBACKS, (), counted.rollbacks)
    yield Sample(Families.RETRIES, (), counted.retries)


def _conditions(status: Mapping[str, Any]) -> Iterator[Sample]:
    # Conditions of others may stand beside ours, and are not ours to show.
    from_us = [c for c in status.get("conditions") or () if c.get("type") in CONDITIONS]
    for condition in from_us:
        labels = (str(condition["type"]), str(condition.get("status") or "Unknown"))
        yield Sample(Families.CONDITION, labels, 1)
    reason = next((c.get("reason") for c in from_us if c["type"] == "Ready"), None)
    labels = (str(reason or "Pending"), str(status.get("phase") or "Pending"))
    yield Sample(Families.REASON, labels, 1)


def _replicas(service: ServiceObject) -> Iterator[Sample]:
    if service.resolved is not None:
        wanted = 0 if service.resolved.suspended else service.resolved.replicas
        yield Sample(Families.WANTED, (), wanted)
    yield Sample(Families.READY, (), _number(service.status.get("readyReplicas")) or 0)


def _revision(status: Mapping[str, Any]) -> Iterator[Sample]:
    revisions = status.get("revisions") or {}
    if revisions:
        found = (revisions.get("serving"), revisions.get("desired"))
        texts = (*found, status.get("chip"), status.get("runtime"))
        yield Sample(Families.REVISION, tuple(str(text or "") for text in texts), 1)


def _artifact(status: Mapping[str, Any]) -> Iterator[Sample]:
    artifact = status.get("artifact") or {}
    if (size := _number(artifact.get("sizeBytes"))) is not None:
        yield Sample(Families.ARTIFACT, (str(artifact.get("origin") or ""),), size)


def _gate(status: Mapping[str, Any]) -> Iterator[Sample]:
    validation = status.get("validation") or {}
    for key, measure in MEASURES.items():
        if (value := _number(validation.get(key))) is not None:
            yield Sample(Families.GATE, (measure,), value)


def _number(value: Any) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        return float(value)
    return None
