"""Tunes: the declared settings, the search, the finals, and what all of it comes to.

`Bench` is a server that can be given other settings; `trials` has the one beside Triton, and tests
one that is a formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from resnet_jobs.base.progress import say
from resnet_jobs.evaluation.tuning.finals import FINALISTS, LONG, Finals
from resnet_jobs.evaluation.tuning.levels import FIRST, LEVELS, best_level
from resnet_jobs.evaluation.tuning.score import Goal, Trial, gains, spread
from resnet_jobs.evaluation.tuning.search import OutOfTimeError, Search
from resnet_jobs.evaluation.tuning.timing import Timing

if TYPE_CHECKING:
    from resnet_contract.types import TritonSettings, Tuning
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.evaluation.tuning.score import Run
    from resnet_jobs.evaluation.tuning.space import Space

LEAST_GAIN = 0.03  # less, or less in one of the rounds, is not worth other settings
OPEN_SHARE = 0.9


class Bench(Protocol):
    """Loads for `effort` times the shortest time."""

    def use(self, settings: TritonSettings) -> str:
        """Serve with these settings; why it cannot, or nothing."""

    def run(self, concurrency: int, effort: int) -> Run:
        """So many requests in flight; for Latency the stated load, whatever that is."""

    def run_open(self, images_per_second: float, effort: int) -> Run:
        """Requests at even intervals, whether or not earlier ones are answered."""


@dataclass(frozen=True)
class Found:
    """`chosen` is the best that was tried; the result says whether it is better than `declared`."""

    result: str
    message: str
    declared: Trial | None = None
    chosen: Trial | None = None
    spread: float | None = None
    at_intervals: Run | None = None
    trials: tuple[Trial, ...] = ()
    seconds: float = 0.0
    ended_by: str = "Search"

    @property
    def is_better(self) -> bool:
        return self.result == "Better"


class Tuner:
    """One search; `tune` runs it."""

    def __init__(
        self, asked: Tuning, space: Space, bench: Bench, *, most_concurrency: int, clock: Clock
    ) -> None:
        self._asked = asked
        self._bench = bench
        self._most = most_concurrency
        self._clock = clock
        self._goal = Goal(asked.objective, asked.p99_milliseconds)
        self._search = Search(space, self._goal, self._tried)
        self._timing = Timing(clock, settings=self._search.size, levels=self._levels())
        self._in_use: TritonSettings | None = None

    def tune(self) -> Found:
        whole = self._search.run(self._asked.declared)
        declared = self._search.trials[self._asked.declared]
        if declared.best is None:
            return self._ended("NotMeasured", declared.problem, declared=declared)
        finalists = self._search.ranking()[:FINALISTS]
        finals = Finals(self._run, self._goal, self._use, most=self._most)
        left = finals.run(declared, finalists)
        if declared not in left:
            return self._ended("NotMeasured", "the declared settings could not be served again",
                               declared=declared)  # fmt: skip
        return self._judged(declared, left[0], whole=whole)

    def _judged(self, declared: Trial, chosen: Trial, *, whole: bool) -> Found:
        gain = self._goal.gain(chosen.best, declared.best)
        if chosen.best is None or not self._goal.meets(chosen.best):
            result, message = "GoalNotMet", self._unmet(chosen)
        elif chosen is declared or min(gain, *self._gains(declared, chosen)) <= LEAST_GAIN:
            result, message = "AsDeclared", "nothing that was tried is better than what is declared"
            chosen = declared
        else:
            result, message = "Better", self._praise(declared, gain)
        shown = None
        if result == "Better":
            self._use(chosen.settings)
        if result == "Better" and self._goal.wants_throughput and chosen.best is not None:
            shown = self._bench.run_open(OPEN_SHARE * chosen.best.images_per_second, LONG)
        return self._ended(
            result,
            message,
            declared=declared,
            chosen=chosen,
            spread=spread(chosen.repeats, self._goal) or 0.0,
            at_intervals=shown,
            ended_by="Search" if whole else "Budget",
        )

    def _gains(self, declared: Trial, chosen: Trial) -> list[float]:
        """Round by round, where that can be said: noise is not better each time."""
        if not (declared.best and self._goal.meets(declared.best)):
            return [float("inf")]
        return gains(chosen.repeats, declared.repeats, self._goal) or [float("inf")]

    def _unmet(self, chosen: Trial) -> str:
        nearest = f"{chosen.best.p99:.3f}" if chosen.best else "none"
        return (
            f"no settings have a 99th percentile of {self._asked.p99_milliseconds} ms; the nearest "
            f"have {nearest} ms"
        )

    def _praise(self, declared: Trial, gain: float) -> str:
        if declared.best is None or gain == float("inf"):
            return "the declared settings do not meet the limit, these do"
        what = (
            "more images per second" if self._goal.wants_throughput else "shorter 99th percentile"
        )
        share = gain if self._goal.wants_throughput else 1 - 1 / (1 + gain)
        return f"{share:.0%} {what} than with the declared settings"

    def _ended(self, result: str, message: str, **facts: Any) -> Found:
        trials = tuple(self._search.trials.values())
        say(f"tuning: {result}: {message}")
        return Found(result, message, trials=trials, seconds=self._timing.passed, **facts)

    def _tried(self, settings: TritonSettings) -> Trial:
        """What is the best that these settings can do, in short loads."""
        if self._search.trials:
            self._check()
        trial = Trial(settings, problem=self._use(settings))
        if trial.problem:
            say(f"{settings.to_json()} cannot be served: {trial.problem}")
            return trial
        best = self._search.best()
        if self._goal.wants_throughput:
            trial.runs = best_level(
                lambda level: self._run(level, 1),
                self._goal,
                most=self._most,
                start=best.concurrency if best else FIRST,
                to_beat=best,
            )
        else:
            trial.runs = [self._run(1, 1)]
        trial.best = max(trial.runs, key=self._goal.key)
        say(f"{settings.to_json()}: {trial.best.images_per_second:.1f}/s, {trial.best.p99:.3f} ms")
        return trial

    def _run(self, concurrency: int, effort: int) -> Run:
        with self._timing.load(effort):
            return self._bench.run(concurrency, effort)

    def _use(self, settings: TritonSettings) -> str:
        """Serve with these settings, if they are not those that are served already."""
        if settings == self._in_use:
            return ""
        self._in_use = None
        with self._timing.use():
            problem = self._bench.use(settings)
        if not problem:
            self._in_use = settings
        return problem

    def _levels(self) -> int:
        return sum(level <= self._most for level in LEVELS) if self._goal.wants_throughput else 1

    def _check(self) -> None:
        tried = len(self._search.trials)
        if self._timing.is_over(tried, budget=self._asked.seconds):
            raise OutOfTimeError
