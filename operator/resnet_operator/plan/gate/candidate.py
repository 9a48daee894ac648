"""What the gate's pod says: numbers, or why there are none, or its step. Called by `validation`.

The pod has two containers that run side by side, so one may have told all while the other still
runs: Triton that could not load, an evaluator that was killed before it could end Triton.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from resnet_contract.reasons import PERMANENT_EXIT_CODES
from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.times import left_of
from resnet_operator.plan.trouble.node import node_failure
from resnet_operator.plan.trouble.pod import (
    EXPECTED_SECONDS,
    MODEL_FAULTS,
    START_FAILURES,
    ended_container,
    left_by,
    pod_trouble,
    told_by,
)
from resnet_operator.plan.trouble.refusal import creation_failure
from resnet_operator.plan.trouble.retry import failed
from resnet_operator.plan.trouble.scheduling import INSUFFICIENT
from resnet_operator.plan.trouble.sidecars import left_behind
from resnet_operator.record.artifact import Failure
from resnet_operator.record.measurement import Measurement
from resnet_operator.render.pods.beside import TRITON
from resnet_operator.render.validation import EVALUATE
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.workload import Container, JobObject, Pod

# Each of the two ends by itself when it sees that the other one has; a chip is not held for long.
LINGER_SECONDS = 30.0
RETRY = "set the retry annotation to measure it again"


def pods_of(job: JobObject, pods: Sequence[Pod]) -> list[Pod]:
    """Return the Job's pods, the newest first: it replaces one that its node ended."""
    ours = [pod for pod in pods if pod.meta.controller == job.meta.uid]
    return sorted(ours, key=lambda pod: pod.meta.created, reverse=True)


def seconds_until_told(job: JobObject, pods: Sequence[Pod], *, now: datetime) -> float | None:
    """Return 0 when nothing more is to be expected of the pods, None while they are at work."""
    alive = [pod for pod in pods if pod.phase in {"Pending", "Running"} and not pod.meta.deleting]
    if job.finished and not alive:
        return 0.0
    for pod in alive:
        if over := [c for c in pod.containers if _ends_it(c)]:
            return min(left_of(LINGER_SECONDS, c.finished, now) for c in over)
    # Jobs and pods come by two watches: the pod's last words may be on the way.
    return 1.0 if job.finished else None


def measurement_of(job: JobObject, pods: Sequence[Pod]) -> Measurement | None:
    """Return the numbers, if the evaluator has told any: how Triton ended does not matter then."""
    for pod in pods:
        evaluator = _container(pod, EVALUATE)
        if evaluator is not None and evaluator.exit_code == 0:
            try:
                return Measurement.from_message(evaluator.message, attempt=job.attempt)
            except ValueError:
                continue
    return None


def failure_of(job: JobObject, pods: Sequence[Pod], *, now: datetime) -> Failure:
    """Return why there are no numbers."""
    problem = next((found for pod in pods if (found := _cause(pod))), None)
    if problem is None:
        problem = Problem(
            Reason.RESULT_LOST, f"the candidate ended but its numbers were not seen; {RETRY}"
        )
    return failed(job, problem, now=now, permanent=problem.permanent)


def step_of(pods: Sequence[Pod]) -> str:
    """Return what is being done, as a person would say it."""
    for pod in pods:
        ended = {c.name for c in pod.containers if c.exit_code == 0 and not c.running}
        running = {c.name for c in pod.containers if c.running}
        if EVALUATE in ended or TRITON in running:
            return "a candidate is being measured"
        if "prepare" in ended:
            return "a candidate is loading the artifact"
        if "fetch" in ended:
            return "the reference for the candidate is being prepared"
        if "fetch" in running:
            return "the data set and the source model are being fetched"
    # Not "waits for a chip": each pod is without a node for a moment, and the status would flicker.
    return "the candidate's pod is starting"


def pending_trouble(
    job: JobObject,
    pods: Sequence[Pod],
    *,
    warnings: Sequence[str],
    resolved: Resolved,
    now: datetime,
) -> tuple[Problem | None, bool]:
    """Return why the candidate does not start, and whether a chip is what it lacks."""
    resource, count = resolved.resource, resolved.chip_count
    if not pods:
        if left_of(EXPECTED_SECONDS, job.meta.created, now) or not warnings:
            return None, False
        return creation_failure(warnings[-1]), bool(resource and resource in warnings[-1])
    if left := left_behind(pods, EVALUATE, now):
        return left.problem(), False
    for pod in pods:
        if any(container.exit_code for container in pod.containers):
            continue  # told by the Job's own end
        if resource and resource in INSUFFICIENT.findall(pod.unschedulable):
            free = f"{count} free {resource}" if count > 1 else f"a free {resource}"
            message = f"validation waits for {free}"
            detail = pod.unschedulable
            return Problem(Reason.WAITING_FOR_CHIP, message, detail=detail), True
        if found := pod_trouble(pod, resource=resource, count=count, warnings=warnings):
            return found, False
    return None, False


def _ends_it(container: Container) -> bool:
    if container.name == EVALUATE:
        return container.terminated
    return container.name == TRITON and container.terminated and bool(container.exit_code)


def _container(pod: Pod, name: str) -> Container | None:
    return next((item for item in pod.containers if item.name == name), None)


def _cause(pod: Pod) -> Problem | None:
    if pod.phase == "Failed" and pod.reason == "DeadlineExceeded":
        return Problem(
            Reason.EVALUATION_FAILED,
            "the candidate was not measured before its deadline; use a smaller data set",
        )
    if lost := node_failure(pod):
        return lost
    bad = [container for container in pod.containers if container.exit_code]
    if bad:
        return _ended(min(bad, key=_rank))
    return pod_trouble(pod)


def _rank(container: Container) -> int:
    """Order causes before effects: an evaluator whose Triton died only says that it is gone."""
    if container.init:
        return 0
    telling = bool(left_by(container).reason) or container.reason == "OOMKilled"
    if telling or container.reason in START_FAILURES:
        return 1 if container.name == TRITON else 2
    return 3 if container.name == TRITON else 4


def _ended(container: Container) -> Problem:
    told = told_by(container, Reason.EVALUATION_FAILED)
    found = told or ended_container(container)
    crashed = told is None and found.reason is Reason.CRASH_LOOPING
    reason = Reason.EVALUATION_FAILED if crashed else found.reason
    # A model that does not load or fit now will not do so in an hour either.
    permanent = container.exit_code in PERMANENT_EXIT_CODES or (
        container.name == TRITON and reason in MODEL_FAULTS
    )
    return replace(found, reason=reason, permanent=permanent)
