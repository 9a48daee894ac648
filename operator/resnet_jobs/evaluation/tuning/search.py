"""Finds good settings with few trials: a sample, steps from the best of it, then halving. Pure.

The sample spreads over the whole space, so that a flat piece of it does not hide the rest; from the
best places steps go along each axis and, where these end, along two at a time, first far and then
near. Short loads decide where to go; the finalists are measured longer, and half of them stay,
until two are left. `measure` is the caller's; it raises OutOfTimeError when the time is over.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from resnet_jobs.evaluation.tuning.score import Goal, Trial
    from resnet_jobs.evaluation.tuning.space import Point, Space

SAMPLE = 10
STARTS = 3  # of the sample, from which steps are taken
FINALISTS = 4
LEFT = 2  # of them; whether a limit is met for good shows when all is measured
LEAST_TRIALS = 10
SHARE = 4  # of the space at most; each takes a few of the loads that there could be
STEP_GAIN = 0.01  # less is noise and no reason to go on


class OutOfTimeError(Exception):
    """The budget is used up; what was measured so far is the answer."""


class Search:
    """`trials` has every setting that was tried, in the order of trying."""

    def __init__(self, space: Space, goal: Goal, measure: Callable[[Point], Trial]) -> None:
        self.trials: dict[Point, Trial] = {}
        self._space = space
        self._goal = goal
        self._measure = measure
        self._most = min(space.size, max(LEAST_TRIALS, space.size // SHARE))

    def run(self, start: Point) -> bool:
        """Look around; true when the search ended by itself and not by the time."""
        try:
            self._try(start)
            for point in sample(self._space.axes, SAMPLE):
                self._try(point)
            for point in self.ranking()[:STARTS]:
                self._climb(point)
        except OutOfTimeError:
            return False
        return True

    def ranking(self) -> list[Point]:
        """All that was tried, the best first."""
        return sorted(
            self.trials, key=lambda point: self._goal.key(self.trials[point].best), reverse=True
        )

    def _try(self, point: Point) -> Trial | None:
        """Measure what is not known yet; None when enough has been tried."""
        if point not in self.trials:
            if len(self.trials) >= self._most:
                return None
            self.trials[point] = self._measure(point)
        return self.trials[point]

    def _climb(self, point: Point) -> None:
        stride = max(1, max(self._space.axes) // 4)
        while True:
            better = self._step(point, stride)
            if better is not None:
                point = better
            elif stride == 1:
                return
            else:
                stride //= 2

    def _step(self, point: Point, stride: int) -> Point | None:
        """The first neighbour that is better, and as far that way as it goes on getting better."""
        for way in ways(len(point), both=stride == 1):
            reached = point
            while (further := moved(reached, way, stride, self._space.axes)) is not None:
                trial = self._try(further)
                if trial is None or not self._is_better(trial, self.trials[reached]):
                    break
                reached = further
            if reached != point:
                return reached
        return None

    def _is_better(self, trial: Trial, other: Trial) -> bool:
        return self._goal.gain(trial.best, other.best) > STEP_GAIN


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


def ways(axes: int, *, both: bool) -> Iterator[Point]:
    """Along one axis, up and down; with `both` along two at a time after that."""
    for axis, step in itertools.product(range(axes), (1, -1)):
        yield tuple(step if at == axis else 0 for at in range(axes))
    if both:
        for one, other in itertools.combinations(range(axes), 2):
            for step, second in itertools.product((1, -1), repeat=2):
                yield tuple(
                    step if at == one else second if at == other else 0 for at in range(axes)
                )


def moved(point: Point, way: Point, stride: int, axes: Point) -> Point | None:
    """The next place that way; None at the edge."""
    found = tuple(
        min(max(at + stride * step, 0), size - 1)
        for at, step, size in zip(point, way, axes, strict=True)
    )
    changed = [one != other for one, other in zip(found, point, strict=True)]
    return found if changed == [bool(step) for step in way] else None


def halve(
    finalists: list[Point],
    again: Callable[[Point, int], None],
    rank: Callable[[Point], tuple[int, float]],
) -> list[Point]:
    """Measure all, twice as long each time, and keep the better half, until two are left."""
    effort = 1
    while len(finalists) > LEFT:
        effort *= 2
        for point in finalists:
            again(point, effort)
        ranked = sorted(finalists, key=rank, reverse=True)
        finalists = ranked[: max(LEFT, len(ranked) // 2)]
    return finalists
