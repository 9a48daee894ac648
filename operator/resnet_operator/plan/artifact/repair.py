"""An artifact that the store has lost or damaged: when it is made again. Called by `conversion`.

Only a pod tells: its init container ends with ArtifactMissing when the store has no such file or
one of another content (a store that does not answer is another reason). The record is then begun
again, so the conversion runs again; pods that run need no store and serve on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from pydantic import TypeAdapter

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.errors import Misfit
from resnet_operator.plan.actions import Action, Apply, Create, Delete, Problem
from resnet_operator.plan.artifact.state import Case
from resnet_operator.plan.times import left_of, seconds_since, to_text
from resnet_operator.plan.trouble.pod import left_by
from resnet_operator.reading.json_text import decode, read_object
from resnet_operator.record.artifact import Artifact, Small, Time
from resnet_operator.render.conversion import record_content, record_owner
from resnet_operator.render.objects import owner_reference
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.others import ConfigMapObject
from resnet_operator.seen.workload import Pod

REPAIR_KEY = "repair.json"
# Losses further apart than this have nothing to do with each other.
FORGET_SECONDS = 86_400.0
AGAIN = "the store has lost the artifact; it is made again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """How often an artifact was started again, and when the last one was started or recorded."""

    count: Small
    time: Time

    @classmethod
    def from_record(cls, record: ConfigMapObject | None) -> Repair | None:
        data = record.data() if record else {}
        if REPAIR_KEY not in data:
            return None
        try:
            return decode(REPAIR, read_object(data[REPAIR_KEY]))
        except Misfit:
            return None  # counted from the beginning

    def to_record(self) -> dict[str, str]:
        return {REPAIR_KEY: json.dumps(asdict(self), sort_keys=True)}


REPAIR = TypeAdapter(Repair)


@dataclass(frozen=True, kw_only=True)
class RepairStep:
    """What follows a loss: `actions` start again; without them the plan waits, or given up."""

    actions: tuple[Action, ...] = ()
    problem: Problem | None = None
    stalled: bool = False
    requeue_after: float | None = None


def kept_of(record: ConfigMapObject | None, *, now: datetime, filled: bool) -> dict[str, str]:
    """Return what a record's next content keeps: the count, and the time it was filled at."""
    repair = Repair.from_record(record)
    if repair is None:
        return {}
    return Repair(count=repair.count, time=to_text(now) if filled else repair.time).to_record()


def plan_repair(case: Case, artifact: Artifact, *, asked: bool) -> RepairStep | None:
    """Return the step, or None when nothing is lost. `asked` is the retry annotation."""
    observed, resolved, now = case.observed, case.resolved, case.now
    record = observed.record
    if record is None or resolved.suspended:
        return None
    repair = Repair.from_record(record)
    # A time in the future is of a clock that was put back: what comes now would seem older.
    times = (*([repair.time] if repair else []), record.meta.created)
    since = next((time for time in times if time <= to_text(now)), "")
    serving = (pod for pod in observed.pods if _is_of(pod, artifact, observed))
    # The gate's candidate is of the present artifact, or it would not be seen.
    candidates = observed.gate.pods if observed.gate else ()
    if not any(_tells_of_loss(pod, since) for pod in (*serving, *candidates)):
        return None
    age = seconds_since(since, now)
    count = repair.count if repair and age < FORGET_SECONDS and not asked else 0
    if count > resolved.retries:
        message = "the store loses the artifact again and again; look at its volume, then retry"
        problem = Problem(Reason.ARTIFACT_MISSING, message)
        return RepairStep(problem=problem, stalled=True)
    pauses = case.settings.retry_seconds
    left = left_of(pauses[min(count, len(pauses)) - 1], since, now) if count else 0
    if left:
        message = "the store has lost the artifact again; after a pause it is made again"
        problem = Problem(Reason.ARTIFACT_MISSING, message)
        return RepairStep(problem=problem, requeue_after=left)
    begun = Repair(count=count + 1, time=to_text(now))
    actions = start_over(observed, resolved, record, begun.to_record())
    return RepairStep(actions=actions, requeue_after=1)


def _is_of(pod: Pod, artifact: Artifact, observed: Observed) -> bool:
    """Tell whether the pod's revision serves this very artifact, and not an older one."""
    revision = observed.revisions.get(pod.meta.labels.get(names.REVISION, ""))
    return revision is not None and revision.artifact.sha256 == artifact.sha256


def _tells_of_loss(pod: Pod, since: str) -> bool:
    """Tell whether the pod missed its artifact after that was recorded."""
    return not pod.meta.deleting and any(
        container.init
        and left_by(container).reason == Reason.ARTIFACT_MISSING.value
        and not (container.finished and container.finished <= since)
        for container in pod.containers
    )


def start_over(
    observed: Observed, resolved: Resolved, record: ConfigMapObject, data: dict[str, str]
) -> tuple[Action, ...]:
    """Replace the record, which is immutable; the first of several owners to do so is enough."""
    service, key = observed.service.meta, resolved.source_key
    forget = Delete.of("v1", "ConfigMap", record.meta)
    content = record_content(key=key, namespace=service.namespace, data=data, immutable=False)
    owner = owner_reference(service, controller=False)
    join = record_owner(key=key, service=service, owner=owner)
    manager = names.owner_manager(service.uid)
    return forget, Create(body=content), Apply(body=join, manager=manager)
