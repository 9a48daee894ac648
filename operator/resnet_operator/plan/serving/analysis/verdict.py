"""What a look at the counters means for the step: go back, watch on, or go further. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.serving.analysis.judge import (
    ENOUGH,
    FEW,
    Tally,
    compared,
    differs_more,
    fails_more,
    is_slower,
    tally,
)
from resnet_operator.plan.serving.analysis.state import State
from resnet_operator.plan.times import left_of, to_text
from resnet_operator.reading.counters import Counters
from resnet_operator.resolve.rollout import AnalysisOptions
from resnet_operator.seen.workload import Pod

# Triton's quantiles are of the last minute: until then they hold the first requests of a new pod.
SETTLING_SECONDS = 75.0
# One slow look may be a neighbour's doing.
SLOW_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`problem` ends the trial, `over` the step; `slow` is what is to be remembered.

    `unseen` is what keeps the step from ending.
    """

    REASONS: ClassVar[frozenset[str]] = frozenset(
        {
            Reason.ERROR_RATIO_EXCEEDED.value,
            Reason.LATENCY_EXCEEDED.value,
            Reason.ANSWERS_DIFFER.value,
        }
    )
    words: str
    problem: Problem | None = None
    over: bool = False
    unseen: Problem | None = None
    slow: str = ""
    left: float = 0.0


def judge(
    options: AnalysisOptions,
    state: State,
    counters: Mapping[str, Counters],
    new_pods: Iterable[Pod],
    old_pods: Iterable[Pod],
    *,
    now: datetime,
) -> Verdict:
    """Compare what both have counted since the step began."""
    new = tally(new_pods, counters, state.base, state.since)
    old = tally(old_pods, counters, state.base, state.since)
    most = options.max_p99_increase
    seconds = options.seconds if most is None else max(options.seconds, SETTLING_SECONDS)
    left = left_of(seconds, state.since, now)
    words = _words(new, old, options)
    if fails_more(new, old, options.max_error_ratio, over=not left):
        limit = f"rollout.analysis.maxErrorRatio is {options.max_error_ratio}"
        return Verdict(words=words, problem=_problem(Reason.ERROR_RATIO_EXCEEDED, words, limit))
    least = options.min_agreement
    if least is not None and differs_more(new, least, over=not left):
        limit = f"rollout.analysis.minAgreement is {least}"
        return Verdict(words=words, problem=_problem(Reason.ANSWERS_DIFFER, words, limit))
    settled = not left_of(SETTLING_SECONDS, state.since, now)
    if most is None or not settled or not is_slower(new, old, most):
        unseen = not left and least is not None and _is_unseen(new)
        return Verdict(
            words=words, over=not left, left=left, unseen=_incomparable() if unseen else None
        )
    slow = state.slow or to_text(now)
    if still := left_of(SLOW_SECONDS, slow, now):
        return Verdict(words=words, slow=slow, left=still)
    limit = f"rollout.analysis.maxP99Increase is {most}"
    return Verdict(words=words, problem=_problem(Reason.LATENCY_EXCEEDED, words, limit))


def unreadable() -> Problem:
    """Say that nothing can be compared, and who may allow it."""
    return Problem(
        Reason.COUNTERS_UNREADABLE,
        "the operator cannot read the pods' counters; "
        "add its pod to serving.networkPolicy.allowMetricsFrom",
        detail="GET /metrics on port 8002 of old or new pods was not answered; where the chart's "
        "networkPolicy.egress limits the operator, add that port there",
    )


def _is_unseen(new: Tally) -> bool:
    return new.compared < FEW and new.requests >= ENOUGH


def _incomparable() -> Problem:
    """Say that the pods of the new revision got no answers of the old one."""
    return Problem(
        Reason.COUNTERS_UNREADABLE,
        "the new pods get no answers of the old ones to compare; "
        "remove rollout.analysis.minAgreement",
        detail="their logs say why: a NetworkPolicy of the namespace keeps them from port 8000 of "
        "the old pods, or both revisions take other inputs",
    )


def _problem(reason: Reason, words: str, limit: str) -> Problem:
    return Problem(reason, f"{words}; {limit}")


def _words(new: Tally, old: Tally, options: AnalysisOptions) -> str:
    words = compared(new, old)
    if new.requests < ENOUGH:
        return f"{words}; too few requests to compare"
    has_both = None not in (new.p99_microseconds, old.p99_microseconds)
    return words if has_both or options.max_p99_increase is None else f"{words}; no p99 to compare"
