"""What an ended Job left behind: an artifact, or why there is none. Called by `conversion`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from resnet_contract.reasons import PERMANENT_EXIT_CODES
from resnet_operator.api.reasons import Reason
from resnet_operator.errors import Misfit
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.trouble.node import node_failure
from resnet_operator.plan.trouble.pod import (
    ended_container,
    left_by,
    message_of,
    pod_trouble,
    told_by,
)
from resnet_operator.plan.trouble.retry import failed
from resnet_operator.record.artifact import TELLING, Artifact, Failure
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import Container, JobObject, Pod

# Told only when the attempts are used up: before that, it is made again at once.
MAKE_AGAIN = "set the retry annotation to have it made again"


def pods_of(job: JobObject, observed: Observed) -> list[Pod]:
    """Return the Job's pods, the newest first: it replaces one that its node ended."""
    pods = [pod for pod in observed.job_pods if pod.meta.controller == job.meta.uid]
    return sorted(pods, key=lambda pod: pod.meta.created, reverse=True)


def are_ending(pods: Sequence[Pod]) -> bool:
    """Tell whether a pod of an ended Job is still seen alive.

    Jobs and pods come by two watches, and the pod's last words may be on the way.
    """
    return any(pod.phase in {"Pending", "Running"} and not pod.meta.deleting for pod in pods)


def result_of(
    done: JobObject, pods: Sequence[Pod], resolved: Resolved, *, now: datetime
) -> Artifact | Failure:
    """Return what the Job made, or why it made nothing."""
    if done.complete:
        good = [pod for pod in pods if pod.phase == "Succeeded"]
        messages = {c.name: message_of(c) for pod in good[:1] for c in pod.containers}
        try:
            return Artifact.from_messages(messages, chip=resolved.chip)
        except Misfit as error:
            return failed(done, _unread(messages, error), now=now)
    for pod in pods:
        if problem_of_node := node_failure(pod):
            return failed(done, problem_of_node, now=now)
        for container in pod.containers:
            if container.exit_code:
                return _containerfailed(done, container, now=now)
        if found := pod_trouble(pod):
            return failed(done, found, now=now)
    if done.failure_reason == "DeadlineExceeded":
        problem = Problem(Reason.CONVERSION_TIMEOUT, "the Job did not end before its deadline")
    else:
        problem = Problem(Reason.RESULT_LOST, f"the Job failed and its pod is gone; {MAKE_AGAIN}")
    return failed(done, problem, now=now)


def _unread(messages: Mapping[str, Mapping[str, Any]], error: Misfit) -> Problem:
    """Say that nothing was left to be read, or that what was left cannot be."""
    if any(not messages.get(name) for name in TELLING):
        return Problem(
            Reason.RESULT_LOST,
            f"the Job ended but its result was not seen; {MAKE_AGAIN}",
            detail=str(error),
        )
    return Problem(
        Reason.MESSAGE_INVALID, f"the Job's result cannot be read; {MAKE_AGAIN}", detail=str(error)
    )


def _containerfailed(done: JobObject, container: Container, *, now: datetime) -> Failure:
    told = told_by(container, Reason.CONVERSION_FAILED)
    found = told or ended_container(container)
    if told is None and found.reason is Reason.CRASH_LOOPING:
        found = Problem(
            Reason.RESULT_LOST,
            f"{found.message.split(';')[0]} and left no message; {MAKE_AGAIN}",
            detail=found.detail,
        )
    return failed(
        done,
        found,
        now=now,
        permanent=container.exit_code in PERMANENT_EXIT_CODES,
        code=left_by(container).code or None,
    )
