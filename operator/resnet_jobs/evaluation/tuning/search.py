"""Finds good settings with few trials: a sample, then where most is to be hoped. Pure.

The sample spreads over the whole space; after it a model of all that was seen says which setting is
worth a trial (`surrogate`), until little is to be hoped of any. `measure` is the caller's; it
raises OutOfTimeError when the time is over.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from resnet_jobs.evaluation.tuning.surrogate import Surrogate

if TYPE_CHECKING:
    from collections.abc import Callable

    from resnet_contract.types import TritonSettings
    from resnet_jobs.evaluation.tuning.score import Goal, Run, Trial
    from resnet_jobs.evaluation.tuning.space import Point, Space

SAMPLE = 6
LEAST_TRIALS = 8
LITTLE_HOPE = 0.002  # an improvement that is not worth another server
FAR_OFF = 1.0  # at most so far below what keeps the limit, on the scale of logarithms


class OutOfTimeError(Exception):
    """The time is used up; what was measured so far is the answer."""


class Search:
    """`trials` has every setting that was tried, in the order of trying."""

    def __init__(
        self, space: Space, goal: Goal, measure: Callable[[TritonSettings], Trial]
    ) -> None:
        self.trials: dict[TritonSettings, Trial] = {}
        self._space = space
        self._goal = goal
        self._measure = measure
        self._points = distinct(space)
        self._settings = list(self._points)
        self._surrogate = Surrogate.of(self._settings, list(self._points.values()))

    @property
    def size(self) -> int:
        return len(self._settings)

    def run(self, start: TritonSettings) -> bool:
        """Look around; true when the search ended by itself and not by the time."""
        try:
            self._try(start)
            for point in sample(self._space.axes, SAMPLE):
                self._try(self._space.at(point))
            while (settings := self._next()) is not None:
                self._try(settings)
        except OutOfTimeError:
            return False
        return True

    def ranking(self) -> list[Trial]:
        """All that could be served, the best first; what their surroundings say counts as well."""
        tried = self._tried()
        if not tried:
            return []
        means, _ = self._surrogate.expected(tried, self._heights(tried))
        order = sorted(tried, key=lambda place: -means[place])
        trials = [self.trials[self._settings[place]] for place in order]
        served = [trial for trial in trials if trial.best is not None]
        return sorted(served, key=lambda trial: not (trial.best and self._goal.meets(trial.best)))

    def best(self) -> Run | None:
        runs = [trial.best for trial in self.trials.values() if trial.best is not None]
        return max(runs, key=self._goal.key, default=None)

    def _try(self, settings: TritonSettings) -> None:
        if settings not in self.trials:
            self.trials[settings] = self._measure(settings)

    def _next(self) -> TritonSettings | None:
        tried = self._tried()
        place, hope = self._surrogate.next(tried, self._heights(tried))
        if place < 0 or (hope < LITTLE_HOPE and len(tried) >= LEAST_TRIALS):
            return None
        return self._settings[place]

    def _tried(self) -> list[int]:
        return [at for at, settings in enumerate(self._settings) if settings in self.trials]

    def _heights(self, tried: list[int]) -> list[float]:
        runs = [self.trials[self._settings[place]].best for place in tried]
        return heights(self._goal, runs)


def heights(goal: Goal, runs: list[Run | None]) -> list[float]:
    """How good each is, as a logarithm: a share is worth the same everywhere.

    What misses the limit lies below everything that keeps it, the farther the more it misses it.
    """
    kept = [worth(goal, run) for run in runs if run is not None and goal.meets(run)]
    floor = min(kept, default=0.0)

    def height(run: Run | None) -> float:
        if run is None or run.p99 == float("inf"):
            return floor - FAR_OFF
        if goal.meets(run):
            return worth(goal, run)
        return floor - min(FAR_OFF, math.log(run.p99 / (goal.p99_milliseconds or run.p99)))

    return [height(run) for run in runs]


def worth(goal: Goal, run: Run) -> float:
    value = run.images_per_second if goal.wants_throughput else 1 / max(run.p99, 1e-6)
    return math.log(max(value, 1e-6))


def distinct(space: Space) -> dict[TritonSettings, Point]:
    """Each setting once: where nobody waits for anybody, delays are all the same."""
    found: dict[TritonSettings, Point] = {}
    for point in itertools.product(*map(range, space.axes)):
        found.setdefault(space.at(point), point)
    return found


def sample(axes: Point, count: int) -> list[Point]:
    """Places spread over the space: each axis is walked through at a pace of its own."""
    paces = (0.5, 0.6180339887, 0.7548776662, 0.5698402910)
    return [
        tuple(
            min(size - 1, int((0.5 + number * pace) % 1 * size))
            for size, pace in zip(axes, paces, strict=True)
        )
        for number in range(count)
    ]
