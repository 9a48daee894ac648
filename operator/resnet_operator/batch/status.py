"""The status of a ResNetBatch out of what is said of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from resnet_operator.batch.progress import merged, preempted, speed, told_by_pods
from resnet_operator.batch.seen import BatchSeen
from resnet_operator.plan.status.condition import condition
from resnet_operator.plan.times import to_text

READY, STALLED = "Ready", "Stalled"
CONDITIONS = (READY, STALLED)
KEPT = ("revision", "artifact", "job", "startTime", "manifestSha256")


@dataclass(frozen=True)
class Said:
    """A phase with its reason and sentence; `begun` is of a Job that is being made."""

    phase: str
    reason: str
    message: str
    stalled: bool = False
    begun: Mapping[str, str] = field(default_factory=dict)


def status_of(seen: BatchSeen, said: Said, *, now: datetime) -> dict[str, Any]:
    """Return the whole status; what the pods told before stays."""
    batch, before = seen.batch, seen.batch.status
    status: dict[str, Any] = {key: before[key] for key in KEPT if key in before}
    status |= {"observedGeneration": batch.generation, "phase": said.phase, **said.begun}
    if seen.job is not None and "startTime" not in status:
        status["startTime"] = seen.job.meta.created
    shares = (batch.spec.parallelism if batch.spec else None) or 1
    told = told_by_pods(seen.pods, seen.lines)
    found = merged(before, told, shares)
    status |= found
    # The rate is what pods told at their end; until one tells another, the last one stays.
    rate = speed(found.get("pictures", {}), told, running=said.phase == "Running", now=now)
    if not rate and "picturesPerSecond" in before:
        rate = {"picturesPerSecond": before["picturesPerSecond"]}
    status |= rate
    status |= preempted(before, seen.pods)
    manifest = next((share.manifest for share in told.values() if share.manifest), None)
    if manifest:
        status["manifestSha256"] = manifest
    status["conditions"] = _conditions(seen, said, now=now)
    return status


def ended_status(seen: BatchSeen, said: Said, *, now: datetime) -> dict[str, Any]:
    return {**status_of(seen, said, now=now), "completionTime": to_text(now)}


def _conditions(seen: BatchSeen, said: Said, *, now: datetime) -> list[dict[str, Any]]:
    before = {one.get("type"): one for one in seen.batch.status.get("conditions") or ()}
    states = {
        READY: (said.phase == "Succeeded", said.reason, said.message),
        STALLED: (said.stalled, said.reason, said.message if said.stalled else ""),
    }
    return [
        condition(
            kind,
            "True" if is_true else "False",
            reason,
            message,
            generation=seen.batch.generation,
            old=before.get(kind),
            now=now,
        )
        for kind, (is_true, reason, message) in states.items()
    ]
