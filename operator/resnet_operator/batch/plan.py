"""The plan of one look at a ResNetBatch: its Job, and what its status says. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resnet_operator.api import API_VERSION
from resnet_operator.api.batch import BATCH_KIND
from resnet_operator.api.reasons import Reason
from resnet_operator.batch.seen import BatchSeen
from resnet_operator.batch.status import Said, ended_status, status_of
from resnet_operator.batch.trouble import alive_of, end_of, waiting_of
from resnet_operator.errors import InvalidSpec
from resnet_operator.plan.actions import Action, Apply, Create, Problem
from resnet_operator.plan.artifact.contract import settle
from resnet_operator.plan.revision import running_revision
from resnet_operator.plan.trust import with_believed
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.batch import batch_job
from resnet_operator.render.serving import CONFIG_KEY
from resnet_operator.seen.workload import JobObject
from resnet_operator.settings.operator import Settings

LOOK_AGAIN_SECONDS = 30.0
LOG_SECONDS = 10.0
# What the operator itself writes of a service wakes nobody.
SERVICE_SECONDS = 5.0
SUSPENDED = Said("Suspended", Reason.SUSPENDED.value, "spec.suspend is true; set it to false")


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What to do in this order, what to say, and when to look again."""

    status: dict[str, Any]
    actions: tuple[Action, ...] = ()
    requeue_after: float | None = None


def plan_batch(
    seen: BatchSeen, *, settings: Settings, now: datetime, problem: Problem | None = None
) -> BatchPlan:
    """Return the next step; `problem` is what kept the last one from being done."""
    batch = seen.batch
    if batch.status.get("completionTime"):
        return BatchPlan(status=dict(batch.status))
    if problem is not None:
        said = Said("Pending", problem.reason.value, problem.message)
        return BatchPlan(status=status_of(seen, said, now=now), requeue_after=60.0)
    if batch.spec is None:
        said = Said("Failed", batch.refusal.value, batch.invalid, stalled=True)
        return BatchPlan(status=status_of(seen, said, now=now))
    if seen.job is None:
        return _begin(seen, settings, now)
    if seen.job.finished:
        return _end(seen, seen.job, now)
    return _watch(seen, seen.job, bool(batch.spec.suspend), now)


def _begin(seen: BatchSeen, settings: Settings, now: datetime) -> BatchPlan:
    """Make the Job of what the service runs now."""
    batch, observed = seen.batch, seen.service
    spec = batch.spec
    if spec is None:
        raise AssertionError("a refused spec is told before")
    if spec.suspend:
        return BatchPlan(status=status_of(seen, SUSPENDED, now=now))
    name = spec.service.name
    if observed is None:
        return _wait(seen, f'there is no ResNetService "{name}" here; create it', now)
    waits = f'waits until ResNetService "{name}" runs what its spec asks for'
    observed = with_believed(observed, settings)
    record, resolved = observed.record, observed.service.resolved
    artifact = None
    if record is not None and observed.record_believed:
        artifact = Artifact.from_record(record.data())
    if resolved is None or artifact is None:
        return _wait(seen, waits, now)
    try:
        resolved = settle(resolved, artifact)
    except InvalidSpec:
        return _wait(seen, waits, now)
    revision = running_revision(observed, resolved, artifact, settings=settings)
    if revision is None:
        return _wait(seen, waits, now)
    owner = {
        "apiVersion": API_VERSION,
        "kind": BATCH_KIND,
        "name": batch.meta.name,
        "uid": batch.meta.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    job = batch_job(
        batch=batch.meta,
        owner=owner,
        spec=spec,
        resolved=resolved,
        artifact=artifact,
        revision=revision.name,
        template=revision.candidate,
        config=observed.revisions[revision.name].data().get(CONFIG_KEY, ""),
        settings=settings,
    )
    begun = {
        "revision": revision.name,
        "artifact": artifact.sha256,
        "job": job["metadata"]["name"],
    }
    said = Said("Pending", Reason.PENDING.value, "the pod is starting", begun=begun)
    return BatchPlan(
        status=status_of(seen, said, now=now),
        actions=(*revision.made_for_candidate, Create(body=job)),
        requeue_after=LOOK_AGAIN_SECONDS,
    )


def _wait(seen: BatchSeen, message: str, now: datetime) -> BatchPlan:
    said = Said("Pending", Reason.PENDING.value, message)
    return BatchPlan(status=status_of(seen, said, now=now), requeue_after=SERVICE_SECONDS)


def _watch(seen: BatchSeen, job: JobObject, suspend: bool, now: datetime) -> BatchPlan:
    """Say how far it is; stop and start it as the spec says."""
    actions: tuple[Action, ...] = ()
    if job.suspended is not suspend:
        meta = {"name": job.meta.name, "namespace": job.meta.namespace, "uid": job.meta.uid}
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta}
        actions = (Apply(body={**body, "spec": {"suspend": suspend}}),)
    said = SUSPENDED if suspend else waiting_of(seen, job, now=now)
    return BatchPlan(
        status=status_of(seen, said, now=now),
        actions=actions,
        requeue_after=None if suspend else LOG_SECONDS,
    )


def _end(seen: BatchSeen, job: JobObject, now: datetime) -> BatchPlan:
    """Say how it ended, once: what its pods said last and who of them gave way is in it."""
    if alive_of(seen):
        # A Job ends after its pods: the news of them are under way, and wake us.
        return BatchPlan(status=dict(seen.batch.status), requeue_after=LOOK_AGAIN_SECONDS)
    return BatchPlan(status=ended_status(seen, end_of(seen, job), now=now))
