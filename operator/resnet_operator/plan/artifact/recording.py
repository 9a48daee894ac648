"""Bring what a Job has made, or why it made nothing, into the record. Called by `conversion`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from resnet_operator import names
from resnet_operator.plan.actions import Action, Apply
from resnet_operator.plan.artifact.harvest import are_ending, pods_of, result_of
from resnet_operator.plan.artifact.repair import kept_of
from resnet_operator.plan.artifact.stages import PUBLISH, stage_of
from resnet_operator.plan.artifact.state import ArtifactPlan, Case
from resnet_operator.plan.gate_result import stop
from resnet_operator.plan.trouble.sidecars import LeftBehind, as_ended
from resnet_operator.record.artifact import Artifact, Failure
from resnet_operator.render.conversion import record_content
from resnet_operator.seen.others import ConfigMapObject
from resnet_operator.seen.workload import JobObject

SUCCEEDED_TTL_SECONDS = 600
FAILED_TTL_SECONDS = 86_400


def harvest(case: Case, done: JobObject) -> ArtifactPlan:
    """Bring the result of an ended Job into the record, then let the Job go."""
    pods = pods_of(done, case.observed)
    if are_ending(pods):
        stage, doing = stage_of(pods, case.resolved)
        return ArtifactPlan(actions=case.join, stage=stage, doing=doing, requeue_after=1)
    result = result_of(done, pods, case.resolved, now=case.now)
    ttl = SUCCEEDED_TTL_SECONDS if isinstance(result, Artifact) else FAILED_TTL_SECONDS
    return _recorded(case, done, result, Apply(body=job_ttl(done, ttl)))


def harvest_left(case: Case, job: JobObject, left: LeftBehind) -> ArtifactPlan:
    """Take the result of a Job that only a foreign container keeps alive, and end it."""
    as_if, pods = as_ended(job, left.pod, PUBLISH)
    result = result_of(as_if, pods, case.resolved, now=case.now)
    if isinstance(result, Artifact):
        result = replace(result, notes=(*result.notes, left.note()))
    return _recorded(case, job, result, stop(job))


def _recorded(
    case: Case, done: JobObject, result: Artifact | Failure, farewell: Action
) -> ArtifactPlan:
    """Put a result on record, then let the Job go."""
    record = case.observed.record
    if isinstance(result, Failure):
        result = replace(result, tried=_tried(record, done))
    good = isinstance(result, Artifact)
    content = record_content(
        key=case.resolved.source_key,
        namespace=done.meta.namespace,
        data=result.to_record() | kept_of(record, now=case.now, filled=good),
        immutable=good,
    )
    actions = (*case.join, Apply(body=content))
    if isinstance(result, Artifact):
        return ArtifactPlan(artifact=result, actions=(*actions, farewell), job=done.meta.name)
    # A Job that still runs is what proves the failure, until a status names it.
    return ArtifactPlan(actions=(*actions, farewell) if done.finished else actions, again=True)


def _tried(record: ConfigMapObject | None, done: JobObject) -> tuple[str, ...]:
    """Return the means that failed so far: objects that share a record may have others each."""
    before = Failure.from_record(record.data()) if record else None
    return tuple(sorted({*(before.tried if before else ()), done.meta.labels.get(names.MEANS, "")}))


def job_ttl(done: JobObject, seconds: int) -> dict[str, Any]:
    """Have a Job go; nothing is made where it has gone already, or where another one is."""
    meta = done.meta
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "spec": {"ttlSecondsAfterFinished": seconds},
    }
