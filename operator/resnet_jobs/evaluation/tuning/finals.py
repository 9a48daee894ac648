"""What is shown is measured again in rounds, there and back: no setting has the better minutes.

Each round has every setting that is left, in the opposite order of the round before: what a machine
does in the long run cancels out, and between two rounds one server less is started. After the first
round the better half stays; what is declared always does. Pure but for the bench.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resnet_jobs.evaluation.tuning.levels import FIRST, MANY, best_level
from resnet_jobs.evaluation.tuning.score import together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resnet_contract.types import TritonSettings
    from resnet_jobs.evaluation.tuning.score import Goal, Run, Trial

FINALISTS, LEFT = 3, 2
ROUNDS = 3
LONG = 4  # so many times as long is a load that is shown as one that only decides where to go
FINE = 1  # of the loads that look for the level
LOOKS = 8
LOWER = (0.85, 0.7, 0.5)  # of the best load, where no other one was measured
APART = 0.94  # of a load that misses the limit: the next that is measured
NEAR = 0.85  # of the limit: nearer to it a lower load is measured beside
# What the finals take, for who has to keep time for them.
USES = FINALISTS + 1 + (ROUNDS - 1) * (LEFT + 1) - 1
EFFORTS = (FINALISTS + 1) * (LOOKS * FINE + LONG) + (ROUNDS - 1) * (LEFT + 1) * 2 * LONG


@dataclass
class Shown:
    """`levels` are requests in flight, the most promising first; `repeats` what they came to."""

    trial: Trial
    levels: list[int] = field(default_factory=list)
    repeats: dict[int, list[Run]] = field(default_factory=dict)

    def best(self, goal: Goal) -> list[Run]:
        return max(self.repeats.values(), key=lambda runs: goal.key(together(runs)), default=[])


class Finals:
    """`run` and `use` are the bench's; what is used already is not started again."""

    def __init__(
        self,
        run: Callable[[int, int], Run],
        goal: Goal,
        use: Callable[[TritonSettings], str],
        *,
        most: int,
    ) -> None:
        self._run = run
        self._goal = goal
        self._use = use
        self._most = most
        self._ahead = FIRST  # the load that suits the best settings

    def run(self, declared: Trial, finalists: Sequence[Trial]) -> list[Trial]:
        """Those that are left beside what is declared, the best first."""
        first = Shown(declared)
        front = max((trial.best for trial in (*finalists, declared)), key=self._goal.key)
        self._ahead = front.concurrency if front else FIRST
        others = [Shown(trial) for trial in finalists if trial is not declared]
        for one in (first, *others):
            self._visit(one)
        ranked = [one for one in sorted(others, key=self._key, reverse=True) if one.repeats]
        order = [first, *ranked[:LEFT]]
        for _ in range(1, ROUNDS):
            order.reverse()
            for one in order:
                self._visit(one)
        for one in order:
            self._settle(one)
        order.sort(key=lambda one: self._goal.key(one.trial.best), reverse=True)
        return [one.trial for one in order if one.repeats]

    def _key(self, one: Shown) -> tuple[int, float]:
        return self._goal.key(together(one.best(self._goal)) if one.repeats else None)

    def _visit(self, one: Shown) -> None:
        if one.trial.best is None or self._use(one.trial.settings):
            one.trial.best = None
            one.repeats.clear()
            return
        if one.repeats:
            for level in list(one.repeats):
                self._load(one, level)
            return
        first, *rest = self._levels_of(one.trial, one.trial.best)
        one.levels = [first, *(level for level in rest if level <= APART * first)]
        self._load(one, first)
        if len(one.levels) > 1 and self._is_near(one.repeats[first][0]):
            self._load(one, one.levels[1])
        elif self._goal.wants_throughput and self._ahead > first / APART:
            self._load(one, self._ahead)  # else who is shown at a higher load would be better

    def _load(self, one: Shown, level: int) -> None:
        one.repeats.setdefault(level, []).append(self._run(level, LONG))

    def _is_near(self, run: Run) -> bool:
        limit = self._goal.p99_milliseconds
        return self._goal.wants_throughput and limit is not None and run.p99 > NEAR * limit

    def _settle(self, one: Shown) -> None:
        """Of what was measured the best; a lower load where all of it misses the limit."""
        if not one.repeats:
            return
        while not self._goal.meets(together(one.best(self._goal))):
            lower = [level for level in one.levels if level <= APART * min(one.repeats)]
            if not lower or self._use(one.trial.settings):
                break
            self._load(one, lower[0])
            while self._goal.meets(together(one.repeats[lower[0]])) and self._lacks(one, lower[0]):
                self._load(one, lower[0])
        runs = one.best(self._goal)
        one.trial.best, one.trial.repeats = together(runs), runs

    def _lacks(self, one: Shown, level: int) -> bool:
        return len(one.repeats[level]) < ROUNDS

    def _levels_of(self, trial: Trial, best: Run) -> list[int]:
        """The loads at which the settings may be shown, the best first.

        They are looked for more exactly than the search needs it, and around the load of the best
        settings as well. Not simply fewer in flight where
        one has missed the limit: then batches may be waited for that were full before.
        """
        if not self._goal.wants_throughput:
            return [best.concurrency]
        for start in sorted({best.concurrency, self._ahead}):
            trial.runs += best_level(
                lambda level: self._run(level, FINE),
                self._goal,
                most=self._most,
                start=start,
                halvings=MANY,
            )
        newest = {run.concurrency: run for run in trial.runs}
        ranked = sorted(newest, key=lambda level: self._goal.key(newest[level]), reverse=True)
        lower = (max(1, int(share * ranked[0])) for share in LOWER)
        return list(dict.fromkeys((*ranked, *lower)))
