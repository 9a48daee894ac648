"""A container that somebody injected and that runs on when ours have ended: no Job ends with it.

Called for both kinds of Jobs. It is named at once; after a moment the result is taken as if the Job
had ended, and the Job goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.times import left_of
from resnet_operator.seen.workload import JobObject, Pod
from resnet_operator.settings.pods import Maker

LINGER_SECONDS = 30.0
OURS = {maker.value for maker in Maker}


@dataclass(frozen=True)
class LeftBehind:
    """A pod whose main work is over, and what runs on in it."""

    pod: Pod
    names: tuple[str, ...]
    seconds_left: float

    @property
    def called(self) -> str:
        kind = "container" if len(self.names) == 1 else "containers"
        return f"{kind} {', '.join(self.names)}"

    def problem(self) -> Problem:
        return Problem(
            Reason.SIDECAR_RUNNING,
            f"opt the Job's pods out of injection (helperPods in the chart): {self.called} "
            "runs on after the operator's own have ended",
        )

    def note(self) -> str:
        return f"{self.called} ran on in the Job's pod and was ended"


def left_behind(pods: Sequence[Pod], last: str, now: datetime) -> LeftBehind | None:
    """Return the pod whose container `last` has ended while containers of others run on."""
    for pod in pods:
        ended = next((one for one in pod.containers if one.name == last and one.terminated), None)
        others = tuple(
            one.name
            for one in pod.containers
            if one.running and not one.init and one.name not in OURS
        )
        ours_run = any(one.running and one.name in OURS for one in pod.containers)
        if ended is not None and others and not ours_run and not pod.meta.deleting:
            return LeftBehind(pod, others, left_of(LINGER_SECONDS, ended.finished, now))
    return None


def as_ended(job: JobObject, pod: Pod, last: str) -> tuple[JobObject, list[Pod]]:
    """Return a Job and its pod as they would be if `last` had been all that runs in it."""
    good = all(one.exit_code == 0 for one in pod.containers if one.name == last)
    return replace(job, complete=good), [replace(pod, phase="Succeeded" if good else "Failed")]
