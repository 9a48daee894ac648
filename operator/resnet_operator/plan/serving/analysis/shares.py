"""How many pods a share is: the old ones all stay, the new ones come beside them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_operator.resolve.rollout import AnalysisOptions


@dataclass(frozen=True)
class Share:
    """The step's share in per cent, and the pods that come nearest to it."""

    percent: int
    pods: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.pods} of {self.wanted + self.pods} pods"


def share_of(options: AnalysisOptions, step: int, wanted: int) -> Share:
    """Return the share of a step; a spec that has fewer steps by now has a last one.

    Copies are of all requests, so they need as many pods as answer these.
    """
    percent = options.steps[min(step, len(options.steps) - 1)]
    if options.mirrors:
        return Share(percent, wanted, wanted)
    return Share(percent, pods_of_step(percent, wanted), wanted)


def pods_of_step(percent: int, wanted: int) -> int:
    """Return the new pods beside so many old ones: never more than these, one at least."""
    exact = wanted * percent / (100 - percent)
    return min(max(int(exact + 0.5), 1), wanted)
