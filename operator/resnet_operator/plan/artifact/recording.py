"""Bring what a Job has made, or why it made nothing, into the record. Called by `conversion`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from resnet_operator import names
from resnet_operator.plan.actions import Action, Apply, Problem
from resnet_operator.plan.artifact.harvest import are_ending, pods_of, result_of
from resnet_operator.plan.artifact.repair import kept_of
from resnet_operator.plan.artifact.stages import NO_STEP, PUBLISH, Step, stage_of
from resnet_operator.plan.gate_result import stop
from resnet_operator.plan.trouble.sidecars import LeftBehind, as_ended
from resnet_operator.record.artifact import Artifact, Failure
from resnet_operator.render.conversion import record_content
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.others import ConfigMapObject
from resnet_operator.seen.workload import JobObject

SUCCEEDED_TTL_SECONDS = 600
FAILED_TTL_SECONDS = 86_400


@dataclass(frozen=True, kw_only=True)
class ArtifactPlan:
    """Where the artifact stands. `stage` is a word of status.phase while it is being made."""

    artifact: Artifact | None = None
    actions: tuple[Action, ...] = ()
    problem: Problem | None = None
    stalled: bool = False
    stage: str = "Pending"
    doing: str = ""
    requeue_after: float | None = None
    again: bool = False
    retry_handled: bool = False
    # The Job of the newest attempt, and when the next one is; "" when none is planned.
    job: str = ""
    next_attempt: str = ""
    # The container of that Job that runs.
    step: Step = NO_STEP
    failure: str = ""  # the digest of why the last attempt failed


def harvest(
    observed: Observed,
    resolved: Resolved,
    done: JobObject,
    join: tuple[Action, ...],
    *,
    now: datetime,
) -> ArtifactPlan:
    """Bring the result of an ended Job into the record, then let the Job go."""
    pods = pods_of(done, observed)
    if are_ending(pods):
        stage, doing = stage_of(pods, resolved)
        return ArtifactPlan(actions=join, stage=stage, doing=doing, requeue_after=1)
    result = result_of(done, pods, resolved, now=now)
    ttl = SUCCEEDED_TTL_SECONDS if isinstance(result, Artifact) else FAILED_TTL_SECONDS
    return _recorded(observed, resolved, done, result, (Apply(body=job_ttl(done, ttl)),), join, now)


def harvest_left(
    observed: Observed,
    resolved: Resolved,
    job: JobObject,
    left: LeftBehind,
    join: tuple[Action, ...],
    *,
    now: datetime,
) -> ArtifactPlan:
    """Take the result of a Job that only a foreign container keeps alive, and end it."""
    as_if, pods = as_ended(job, left.pod, PUBLISH)
    result = result_of(as_if, pods, resolved, now=now)
    if isinstance(result, Artifact):
        result = replace(result, notes=(*result.notes, left.note()))
    return _recorded(observed, resolved, job, result, (stop(job),), join, now)


def _recorded(
    observed: Observed,
    resolved: Resolved,
    done: JobObject,
    result: Artifact | Failure,
    farewell: tuple[Action, ...],
    join: tuple[Action, ...],
    now: datetime,
) -> ArtifactPlan:
    """Put a result on record, then let the Job go."""
    if isinstance(result, Failure):
        result = replace(result, tried=_tried(observed.record, done))
    good = isinstance(result, Artifact)
    content = record_content(
        key=resolved.source_key,
        namespace=done.meta.namespace,
        data=result.to_record() | kept_of(observed.record, now=now, filled=good),
        immutable=good,
    )
    actions = (*join, Apply(body=content))
    if isinstance(result, Artifact):
        return ArtifactPlan(artifact=result, actions=(*actions, *farewell), job=done.meta.name)
    # A Job that still runs is what proves the failure, until a status names it.
    return ArtifactPlan(actions=(*actions, *farewell) if done.finished else actions, again=True)


def _tried(record: ConfigMapObject | None, done: JobObject) -> tuple[str, ...]:
    """Return the means that failed so far: objects that share a record may have others each."""
    before = Failure.from_record(record.data()) if record else None
    return tuple(sorted({*(before.tried if before else ()), done.meta.labels.get(names.MEANS, "")}))


def job_ttl(done: JobObject, seconds: int) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": done.meta.name, "namespace": done.meta.namespace},
        "spec": {"ttlSecondsAfterFinished": seconds},
    }
