"""How many pods a share is: the old ones all stay, the new ones come beside them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """The step's share in per cent, and the pods that come nearest to it."""

    percent: int
    pods: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.pods} of {self.wanted + self.pods} pods"


def share_of(steps: Sequence[int], step: int, wanted: int) -> Share:
    """Return the share of a step; a spec that has fewer steps by now has a last one."""
    percent = steps[min(step, len(steps) - 1)]
    return Share(percent, pods_of_step(percent, wanted), wanted)


def pods_of_step(percent: int, wanted: int) -> int:
    """Return the new pods beside so many old ones: never more than these, one at least."""
    exact = wanted * percent / (100 - percent)
    return min(max(int(exact + 0.5), 1), wanted)
