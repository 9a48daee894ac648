"""New pods against old ones, by what Triton has counted of both in the same time. Pure.

A verdict needs enough requests: a share that is surely too high is told at once, one that is only
higher at the end of the step. Called by `canary`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from resnet_operator.plan.serving.analysis.state import NOTHING, Counted, counted_of
from resnet_operator.plan.times import from_text
from resnet_operator.reading.counters import Counters
from resnet_operator.seen.workload import Pod

# Below that a share is no share, and a percentile is one request.
ENOUGH = 100
# Enough for a verdict before the end, when it is sure.
FEW = 20
# Each look is another chance to be wrong.
SURE = 0.001
# A difference that no client notices.
LEAST_MICROSECONDS = 1000


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What the pods of one revision have counted since a step began."""

    pods: int = 0
    requests: int = 0
    failed: int = 0
    p99_microseconds: int | None = None
    compared: int = 0
    agreed: int = 0

    @property
    def ratio(self) -> Fraction:
        return Fraction(self.failed, self.requests) if self.requests else Fraction(0)


def tally(
    pods: Iterable[Pod],
    counters: Mapping[str, Counters],
    base: Mapping[str, Counted],
    since: str,
) -> Tally:
    """Sum up pods that answer: from what each had counted before, or from its own beginning.

    The percentile of several pods is their mean, weighted by requests: near enough to compare by.
    """
    read, sums = 0, list(NOTHING)
    slowest: list[tuple[int, int]] = []
    for pod in pods:
        now = counters.get(pod.meta.uid)
        before = base.get(pod.meta.uid) or _nothing(pod, since)
        if now is None or before is None:
            continue
        counted = counted_of(now)
        if any(after < one for after, one in zip(counted, before, strict=True)):
            before = NOTHING  # its container was started again
        apart = [after - one for after, one in zip(counted, before, strict=True)]
        read, sums = read + 1, [one + more for one, more in zip(sums, apart, strict=True)]
        lately = apart[0] + apart[1]
        if now.p99_microseconds is not None and lately:
            slowest.append((now.p99_microseconds, lately))
    weight = sum(count for _, count in slowest)
    p99 = sum(value * count for value, count in slowest) // weight if weight else None
    answered, failed, compared, agreed = sums
    return Tally(
        pods=read,
        requests=answered + failed,
        failed=failed,
        p99_microseconds=p99,
        compared=compared,
        agreed=agreed,
    )


def _nothing(pod: Pod, since: str) -> Counted | None:
    """Return where a pod begins that the step's beginning does not know."""
    return NOTHING if from_text(pod.meta.created) >= from_text(since) else None


def fails_more(new: Tally, old: Tally, most: Decimal, *, over: bool) -> bool:
    """Tell whether more of the new pods' requests fail than of the old ones', and how much more."""
    allowed = old.ratio + Fraction(most)
    if over and new.requests >= ENOUGH:
        return new.ratio > allowed
    return new.requests >= FEW and chance_of(new.ratio, allowed, new.requests) < SURE


def differs_more(new: Tally, least: Decimal, *, over: bool) -> bool:
    """Tell whether fewer of the answers agree than is wanted."""
    if new.compared < FEW:
        return False
    other, allowed = 1 - Fraction(new.agreed, new.compared), 1 - Fraction(least)
    return other > allowed if over else chance_of(other, allowed, new.compared) < SURE


def chance_of(ratio: Fraction, allowed: Fraction, requests: int) -> float:
    """Return Chernoff's bound: how likely so many failures are at most, were the share allowed."""
    if ratio <= allowed or allowed >= 1:
        return 1.0
    if not allowed:
        return 0.0
    share, most = float(ratio), float(allowed)
    apart = share * math.log(share / most)
    if share < 1:
        apart += (1 - share) * math.log((1 - share) / (1 - most))
    return math.exp(-requests * apart)


def is_slower(new: Tally, old: Tally, most: Decimal) -> bool:
    """Tell whether the new pods' 99th percentile is above the old ones' by more than allowed."""
    if min(new.requests, old.requests) < ENOUGH:
        return False
    if new.p99_microseconds is None or old.p99_microseconds is None:
        return False
    increase = new.p99_microseconds - old.p99_microseconds
    return increase > LEAST_MICROSECONDS and increase > old.p99_microseconds * Fraction(most)


def compared(new: Tally, old: Tally) -> str:
    """Return both in words."""
    text = f"{new.failed} of {new.requests} requests failed, of the old revision "
    text += f"{old.failed} of {old.requests}"
    if new.compared:
        text += f"; {new.agreed} of {new.compared} answers are alike"
    if new.p99_microseconds is None or old.p99_microseconds is None:
        return text
    return f"{text}; p99 {_milliseconds(new)} ms, old {_milliseconds(old)} ms"


def _milliseconds(one: Tally) -> str:
    return f"{(one.p99_microseconds or 0) / 1000:.1f}"
