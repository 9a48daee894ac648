"""Time as an argument, so that back-off and progress are tested without waiting."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Clock:
    """Where a command gets its time from, and how it waits."""

    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


SYSTEM_CLOCK = Clock(monotonic=time.monotonic, sleep=time.sleep)


def backoff_delays(total_seconds: float) -> tuple[float, ...]:
    """Doubling waits from one second to ten that add up to `total_seconds`.

    Used for the store: it may be starting at the same moment as the Job, so the number that counts
    is how long we wait in all, not how often we ask.
    """
    delays: list[float] = []
    left, step = total_seconds, 1.0
    while left > 0:
        delays.append(min(step, left))
        left -= delays[-1]
        step = min(step * 2, 10.0)
    return tuple(delays)
