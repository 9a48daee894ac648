"""The events about a pod that does not come: the only place where some causes are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import KubeError
from resnet_operator.plan.artifact.conversion import POD_EXPECTED_SECONDS
from resnet_operator.plan.times import left_of
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.workload import JobObject, Pod


async def warnings_of(
    kube: Kube, jobs: Iterable[JobObject], pods: Sequence[Pod], *, now: datetime
) -> tuple[str, ...]:
    """Return warnings about a Job without pod or a pod without containers, newest last."""
    owners = {pod.meta.controller for pod in pods}
    waiting = [
        job.meta
        for job in jobs
        if not job.finished and job.meta.uid not in owners and _is_overdue(job.meta, now)
    ]
    waiting += [pod.meta for pod in pods if _is_idle(pod) and _is_overdue(pod.meta, now)]
    messages: list[str] = []
    for meta in waiting:
        selector = f"involvedObject.uid={meta.uid},type=Warning"
        try:
            events = await kube.list_one("v1", "Event", meta.namespace, field_selector=selector)
        except KubeError:
            continue
        events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        wanted = {"FailedCreate", "FailedMount", "FailedAttachVolume"}
        messages += [e.get("message", "") for e in events if e.get("reason") in wanted]
    return tuple(messages)


def _is_overdue(meta: Meta, now: datetime) -> bool:
    """Tell whether the kubelet or the Job controller should have acted by now."""
    return not meta.deleting and not left_of(POD_EXPECTED_SECONDS, meta.created, now)


def _is_idle(pod: Pod) -> bool:
    """Tell whether a pod has its node and none of its containers has begun."""
    idle = all(c.waiting in {"", "ContainerCreating", "PodInitializing"} for c in pod.containers)
    ran = any(c.running or c.exit_code is not None for c in pod.containers)
    return pod.scheduled and pod.phase == "Pending" and idle and not ran
