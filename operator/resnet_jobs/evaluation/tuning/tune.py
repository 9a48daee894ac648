"""Tunes: the declared settings, the search, the finals, and what all of it comes to.

`Bench` is a server that can be given other settings; `trials` has the one beside Triton, and tests
one that is a formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from resnet_jobs.base.progress import say
from resnet_jobs.evaluation.tuning.levels import FIRST, MANY, best_level
from resnet_jobs.evaluation.tuning.score import Goal, Trial, spread, together
from resnet_jobs.evaluation.tuning.search import FINALISTS, LEFT, OutOfTimeError, Search, halve

if TYPE_CHECKING:
    from resnet_contract.types import TritonSettings, Tuning
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.evaluation.tuning.score import Run
    from resnet_jobs.evaluation.tuning.space import Point, Space

SEARCH_SHARE, HALVING_SHARE = 0.6, 0.8  # of the budget, from its beginning
REPEATS = 3
LONG = 4  # so many times as long is a load that is shown as one that only decides where to go
LEAST_GAIN = 0.03  # less is not worth other settings
SHOWN, APART = 4, 0.97  # loads that are tried for what is shown, each so much lower
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
        self._space = space
        self._bench = bench
        self._most = most_concurrency
        self._clock = clock
        self._goal = Goal(asked.objective, asked.p99_milliseconds)
        self._search = Search(space, self._goal, self._measure)
        self._started = clock.monotonic()
        self._known: dict[TritonSettings, Trial] = {}
        self._ahead = FIRST  # the load that suits the best settings

    def tune(self) -> Found:
        declared = self._tried(self._asked.declared, None)
        if declared.best is None:
            return self._ended("NotMeasured", declared.problem, declared=declared)
        whole = self._search.run(self._space.nearest(self._asked.declared))
        trials = self._search.trials
        finalists = [point for point in self._search.ranking() if trials[point].best][:FINALISTS]
        if not finalists:
            return self._ended("NotMeasured", "no settings could be served", declared=declared)
        try:
            finalists = halve(finalists, self._again, self._key)
        except OutOfTimeError:
            whole = False
        best = sorted(finalists, key=self._key, reverse=True)[:LEFT]
        front = trials[best[0]].best
        self._ahead = front.concurrency if front else FIRST
        shown = {id(trial): trial for trial in (declared, *(trials[point] for point in best))}
        for trial in shown.values():
            self._confirm(trial)
        chosen = max((trials[point] for point in best), key=lambda one: self._goal.key(one.best))
        return self._judged(declared, chosen, whole=whole)

    def _key(self, point: Point) -> tuple[int, float]:
        return self._goal.key(self._search.trials[point].best)

    def _judged(self, declared: Trial, chosen: Trial, *, whole: bool) -> Found:
        spreads = [spread(trial.repeats, self._goal) or 0.0 for trial in (declared, chosen)]
        gain = self._goal.gain(chosen.best, declared.best)
        if chosen.best is None or not self._goal.meets(chosen.best):
            result, message = "GoalNotMet", self._unmet(chosen)
        elif chosen.settings == declared.settings or gain <= max(LEAST_GAIN, *spreads):
            result, message = "AsDeclared", "nothing that was tried is better than what is declared"
            chosen = declared
        else:
            result, message = "Better", self._praise(declared, gain)
        shown = None
        if result == "Better":
            self._bench.use(chosen.settings)
        if result == "Better" and self._goal.wants_throughput and chosen.best is not None:
            shown = self._bench.run_open(OPEN_SHARE * chosen.best.images_per_second, LONG)
        return self._ended(
            result,
            message,
            declared=declared,
            chosen=chosen,
            spread=spreads[0] if chosen is declared else spreads[1],
            at_intervals=shown,
            ended_by="Search" if whole else "Budget",
        )

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
        trials = tuple(self._known.values())
        say(f"tuning: {result}: {message}")
        seconds = self._clock.monotonic() - self._started
        return Found(result, message, trials=trials, seconds=seconds, **facts)

    def _measure(self, point: Point) -> Trial:
        self._check(SEARCH_SHARE)
        ranking = self._search.ranking()
        best = self._search.trials[ranking[0]].best if ranking else None
        return self._tried(self._space.at(point), best)

    def _tried(self, settings: TritonSettings, best: Run | None) -> Trial:
        """What is the best that these settings can do, in short loads; each is tried once."""
        if settings in self._known:
            return self._known[settings]
        trial = self._known[settings] = Trial(settings, problem=self._bench.use(settings))
        if trial.problem:
            say(f"{settings.to_json()} cannot be served: {trial.problem}")
            return trial
        if self._goal.wants_throughput:
            trial.runs = best_level(
                lambda level: self._bench.run(level, 1),
                self._goal,
                most=self._most,
                start=best.concurrency if best else FIRST,
                to_beat=best,
            )
        else:
            trial.runs = [self._bench.run(1, 1)]
        trial.best = max(trial.runs, key=self._goal.key)
        say(f"{settings.to_json()}: {trial.best.images_per_second:.1f}/s, {trial.best.p99:.3f} ms")
        return trial

    def _again(self, point: Point, effort: int) -> None:
        self._check(HALVING_SHARE)
        trial = self._search.trials[point]
        if trial.best is None or self._bench.use(trial.settings):
            trial.best = None
            return
        trial.best = self._bench.run(trial.best.concurrency, effort)
        trial.runs.append(trial.best)

    def _confirm(self, trial: Trial) -> None:
        """Measure what is shown: repeated, and at another load where the limit was missed."""
        if trial.best is None or self._bench.use(trial.settings):
            trial.best = None
            return
        levels = self._levels_of(trial, trial.best)
        shown: list[tuple[Run, list[Run]]] = []
        while levels and len(shown) < SHOWN:
            level = levels[0]
            repeats = [self._bench.run(level, LONG) for _ in range(REPEATS)]
            shown.append((together(repeats), repeats))
            if self._goal.meets(shown[-1][0]):
                break
            # Of many that lie close to the limit, the luckiest would be asked one after the other.
            levels = [other for other in levels if other <= APART * level]
        trial.best, trial.repeats = max(shown, key=lambda one: self._goal.key(one[0]))

    def _levels_of(self, trial: Trial, best: Run) -> list[int]:
        """The loads at which the settings may be shown, the best first.

        They are looked for more exactly than the search needs it, and around the load of the best
        settings as well. Not simply fewer in flight where one has missed the limit: then batches
        may be waited for that were full before.
        """
        if not self._goal.wants_throughput:
            return [best.concurrency]
        for start in sorted({best.concurrency, self._ahead}):
            trial.runs += best_level(
                lambda level: self._bench.run(level, 2),
                self._goal,
                most=self._most,
                start=start,
                halvings=MANY,
            )
        newest = {run.concurrency: run for run in trial.runs}
        return sorted(newest, key=lambda level: self._goal.key(newest[level]), reverse=True)

    def _check(self, share: float) -> None:
        if self._clock.monotonic() - self._started > share * self._asked.seconds:
            raise OutOfTimeError
