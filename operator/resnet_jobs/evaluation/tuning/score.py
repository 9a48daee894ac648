"""What one load has shown of one setting, and which of two is better. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resnet_contract.types import TritonSettings

NOTHING = (-1, float("-inf"))
NEARLY = 1.5
PERCENTILES = ("p50Milliseconds", "p90Milliseconds", "p99Milliseconds")


@dataclass(frozen=True)
class Run:
    """One load: requests in flight, what was answered, and after how long.

    `p99` is infinite where more than one request in a hundred failed.
    """

    concurrency: int
    images_per_second: float
    p99: float
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "concurrency": self.concurrency,
            "imagesPerSecond": round(self.images_per_second, 2),
            **self.numbers,
        }


@dataclass(frozen=True)
class Goal:
    """`Throughput` wants images, `Latency` a low 99th percentile; both within the limit."""

    objective: str
    p99_milliseconds: float | None = None

    @property
    def wants_throughput(self) -> bool:
        return self.objective == "Throughput"

    def meets(self, run: Run) -> bool:
        if run.p99 == float("inf"):
            return False
        return self.p99_milliseconds is None or run.p99 <= self.p99_milliseconds

    def nearly_meets(self, run: Run) -> bool:
        """Whether another load could meet it."""
        limit = self.p99_milliseconds
        return limit is not None and limit < run.p99 <= NEARLY * limit

    def key(self, run: Run | None) -> tuple[int, float]:
        """Greater is better. Where nothing meets the limit, what comes nearest to it."""
        if run is None:
            return NOTHING
        if self.wants_throughput and self.meets(run):
            return 1, run.images_per_second
        return (1 if self.meets(run) else 0), -run.p99

    def gain(self, run: Run | None, over: Run | None) -> float:
        """By which share a run is better than another one; infinite where that is no use."""
        if run is None or self.key(run)[0] < self.key(over)[0]:
            return float("-inf")
        if over is None or self.key(run)[0] > self.key(over)[0]:
            return float("inf")
        if self.wants_throughput and self.meets(run):
            return run.images_per_second / (over.images_per_second or 1e-9) - 1
        return (over.p99 or 1e-9) / (run.p99 or 1e-9) - 1 if over.p99 < float("inf") else 0.0


@dataclass
class Trial:
    """One setting with all that was run of it; `best` is the load at which it is compared."""

    settings: TritonSettings
    runs: list[Run] = field(default_factory=list)
    best: Run | None = None
    repeats: list[Run] = field(default_factory=list)
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "settings": self.settings.to_json(),
            "runs": [run.as_json() for run in self.runs],
            "best": self.best.as_json() if self.best else None,
            "repeats": [run.as_json() for run in self.repeats],
            "problem": self.problem or None,
        }


def together(runs: Sequence[Run]) -> Run:
    """The medians of repeated runs, which one slow run cannot move."""
    numbers = {
        name: round(statistics.median(values), 3)
        for name in PERCENTILES
        if (values := [run.numbers[name] for run in runs if run.numbers.get(name) is not None])
    }
    return Run(
        concurrency=runs[-1].concurrency,
        images_per_second=statistics.median(run.images_per_second for run in runs),
        p99=statistics.median(run.p99 for run in runs),
        numbers=numbers,
    )


def spread(runs: Sequence[Run], goal: Goal) -> float | None:
    """How far what was looked for differs between repeats: greatest less smallest, by the mean."""
    values = [run.images_per_second if goal.wants_throughput else run.p99 for run in runs]
    if len(values) < 2 or float("inf") in values or not sum(values):
        return None
    return (max(values) - min(values)) / statistics.fmean(values)


def gains(runs: Sequence[Run], over: Sequence[Run], goal: Goal) -> list[float]:
    """By which share one was better than the other, round by round, whatever the limit says."""
    free = replace(goal, p99_milliseconds=None)
    found = [free.gain(one, other) for one, other in zip(runs, over, strict=False)]
    return [gain for gain in found if abs(gain) < float("inf")]
