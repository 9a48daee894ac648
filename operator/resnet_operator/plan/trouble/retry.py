"""What follows a failed attempt: another one, at once or after a pause, or none. Pure.

Called by `artifact.conversion` and `gate.gate`, which differ in what an attempt is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.times import from_text, left_of, to_text
from resnet_operator.plan.trouble.pod import LOST, to_reason
from resnet_operator.record.artifact import Failure
from resnet_operator.seen.workload import JobObject


@dataclass(frozen=True, kw_only=True)
class Retry:
    """`now` is the time for another attempt; else it is `seconds_left` until `time`, or never."""

    problem: Problem
    now: bool = False
    seconds_left: float | None = None
    time: str = ""

    @property
    def is_over(self) -> bool:
        return not self.now and self.seconds_left is None


def failed(
    job: JobObject,
    problem: Problem,
    *,
    now: datetime,
    permanent: bool = False,
    code: str | None = None,
) -> Failure:
    """Return a problem as a record keeps it of an attempt."""
    return Failure(
        attempt=job.attempt,
        reason=problem.reason.value,
        message=problem.message,
        detail=problem.detail,
        permanent=permanent,
        time=to_text(now),
        code=code,
    )


def after(
    failure: Failure,
    *,
    asked: bool,
    retries: int,
    pauses: Sequence[float],
    default: Reason,
    now: datetime,
) -> Retry:
    """Try again at once when asked or when a result was lost, later when that can help.

    `default` is the reason where the failure has none of ours.
    """
    problem = Problem(
        to_reason(failure.reason, default),
        failure.message,
        detail=failure.detail,
        permanent=failure.permanent,
    )
    has_more = failure.attempt <= retries
    if asked or (failure.reason in LOST and has_more):
        return Retry(problem=problem, now=True)
    if failure.permanent or not has_more:
        return Retry(problem=problem)
    pause = pauses[min(failure.attempt, len(pauses)) - 1]
    left = left_of(pause, failure.time, now)
    if not left:
        return Retry(problem=problem, now=True)
    due = from_text(failure.time) + timedelta(seconds=pause)
    return Retry(problem=problem, seconds_left=left, time=to_text(due))
