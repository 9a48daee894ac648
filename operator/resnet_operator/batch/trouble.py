"""What a batch waits for, and how it ended. Pure."""

from __future__ import annotations

from datetime import datetime

from resnet_operator.api.reasons import Reason
from resnet_operator.batch import AGAIN
from resnet_operator.batch.seen import BatchSeen, is_working
from resnet_operator.batch.status import Said
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.times import left_of
from resnet_operator.plan.trouble.node import node_failure
from resnet_operator.plan.trouble.pod import (
    EXPECTED_SECONDS,
    ended_container,
    pod_trouble,
    told_by,
)
from resnet_operator.plan.trouble.refusal import creation_failure
from resnet_operator.plan.trouble.scheduling import INSUFFICIENT
from resnet_operator.render.pods.beside import TRITON
from resnet_operator.seen.workload import Container, JobObject, Pod

DEVICES = ("huawei.com/", "nvidia.com/")


def waiting_of(seen: BatchSeen, job: JobObject, *, now: datetime) -> Said:
    """Say what the pods do, or why they do not."""
    alive = alive_of(seen)
    if not alive:
        if seen.warnings and not left_of(EXPECTED_SECONDS, job.meta.created, now):
            return _as_said(creation_failure(seen.warnings[-1]))
        return Said("Pending", Reason.PENDING.value, "the pod is starting")
    working = [pod for pod in alive if is_working(pod)]
    if working:
        return Said("Running", "Running", "pictures are being classified")
    for pod in alive:
        if chips := [name for name in INSUFFICIENT.findall(pod.unschedulable) if _is_chip(name)]:
            message = f"waits for an idle chip ({chips[0]}); services go first"
            return Said("Pending", Reason.WAITING_FOR_CHIP.value, message)
        if found := pod_trouble(pod, warnings=seen.warnings):
            return _as_said(found)
    return Said("Pending", Reason.PENDING.value, "the pod is starting")


def alive_of(seen: BatchSeen) -> list[Pod]:
    """Return the pods that run or start, as far as is seen."""
    return [pod for pod in seen.pods if _is_alive(pod)]


def end_of(seen: BatchSeen, job: JobObject) -> Said:
    """Say that all is done, or why it is not."""
    if job.complete:
        return Said("Succeeded", "Completed", "every picture is classified")
    problem = next((found for pod in _newest(seen.pods) if (found := _cause(pod))), None)
    if problem is None:
        words = f"the Job failed ({job.failure_reason or 'no reason was given'}); {AGAIN}"
        return Said("Failed", Reason.EVALUATION_FAILED.value, words, stalled=True)
    return Said("Failed", problem.reason.value, f"{problem.message}; {AGAIN}", stalled=True)


def _as_said(problem: Problem) -> Said:
    return Said("Pending", problem.reason.value, problem.message)


def _cause(pod: Pod) -> Problem | None:
    if lost := node_failure(pod):
        return lost
    bad = [container for container in pod.containers if container.exit_code]
    if not bad:
        return None
    worst = min(bad, key=_rank)
    return told_by(worst, Reason.EVALUATION_FAILED) or ended_container(worst)


def _rank(container: Container) -> int:
    """Order causes before effects: the client says of a Triton that died only that it is gone."""
    if container.init:
        return 0
    return 1 if container.name == TRITON and container.exit_code != 143 else 2


def _newest(pods: tuple[Pod, ...]) -> list[Pod]:
    return sorted(pods, key=lambda pod: pod.meta.created, reverse=True)


def _is_alive(pod: Pod) -> bool:
    return pod.phase in {"Pending", "Running"} and not pod.meta.deleting


def _is_chip(resource: str) -> bool:
    return resource.startswith(DEVICES)
