"""The search against an exhaustive one, where the server is a formula and trying all is cheap."""

from __future__ import annotations

import dataclasses
import itertools
import random
from dataclasses import dataclass, field

import pytest
from tests.unit.resnet_jobs.evaluation.tuning.model import Chip

from resnet_contract.types import TritonSettings, Tuning
from resnet_jobs.base.clock import Clock
from resnet_jobs.evaluation.tuning.levels import LEVELS
from resnet_jobs.evaluation.tuning.score import Goal, Run
from resnet_jobs.evaluation.tuning.space import space_of
from resnet_jobs.evaluation.tuning.tune import Found, Tuner

DECLARED = TritonSettings(max_batch=8, preferred=(4, 8), delay_microseconds=1000, instances=1)
MOST = 256
RESTART, SHORT = 3.0, 2.0  # seconds


def asked(**changes: object) -> Tuning:
    values: dict[str, object] = {
        "objective": "Throughput",
        "p99_milliseconds": 20,
        "batch_sizes": (1, 2, 4, 8, 16, 32),
        "instances": 4,
        "chips": 1,
        "seconds": 3600,
        "applies": False,
        "declared": DECLARED,
        **changes,
    }
    return Tuning(**values)  # type: ignore[arg-type]


@dataclass
class Formula:
    """A bench whose time passes with its loads; `level` is a stated load."""

    chip: Chip
    most_instances: int = 99
    level: int | None = None
    now: float = 0.0
    runs: list[tuple[TritonSettings, int, int]] = field(default_factory=list)
    settings: TritonSettings = DECLARED

    def use(self, settings: TritonSettings) -> str:
        self.settings = settings
        self.now += RESTART
        return "out of memory" if settings.instances > self.most_instances else ""

    def run(self, concurrency: int, effort: int) -> Run:
        self.now += SHORT * effort
        self.runs.append((self.settings, concurrency, effort))
        level = self.level or concurrency
        return self.chip.run(self.settings, level, number=len(self.runs))

    def run_open(self, images_per_second: float, effort: int) -> Run:
        return self.run(1, effort)

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=lambda _: None)


def tuned(bench: Formula, want: Tuning) -> Found:
    space = space_of(want)
    return Tuner(want, space, bench, most_concurrency=MOST, clock=bench.clock).tune()


@dataclass(frozen=True)
class Surface:
    reason: str
    chip: Chip
    want: Tuning = field(default_factory=asked)

    def __str__(self) -> str:
        return self.reason


SURFACES = [
    Surface("monotone: larger batches are always better", Chip(), asked(p99_milliseconds=None)),
    Surface("a limit that cuts through the slope", Chip()),
    Surface("plateau: a batch costs what a sample costs", Chip(fixed=0.0, each=1.0)),
    Surface("plateau: nothing costs but the batch", Chip(fixed=6.0, each=0.0)),
    Surface("ridge: instances help small batches", Chip(fixed=1.0, each=0.5, sharing=0.3)),
    Surface("ridge: the fifth of six instances is one too many",
            Chip(sharing=0.1, best_instances=4), asked(instances=6)),
    Surface("instances share nothing", Chip(sharing=0.0), asked(instances=8)),
    Surface("instances cost all they bring", Chip(sharing=1.0)),
    Surface("noisy by 3 %", Chip(noise=0.03), asked(p99_milliseconds=21)),
    Surface("noisy by 5 %, with a ridge", Chip(noise=0.05, sharing=0.2, best_instances=3)),
    Surface("a slow model, a wide limit", Chip(fixed=20.0, each=4.0), asked(p99_milliseconds=400)),
    Surface("a limit that few meet", Chip(fixed=4.0, each=1.0), asked(p99_milliseconds=8)),
    Surface("nothing meets the limit", Chip(fixed=30.0), asked(p99_milliseconds=5)),
    Surface("one compiled batch size", Chip(), asked(
        batch_sizes=(24,), instances=8, declared=TritonSettings(24, (24,), 1000, 1))),
]  # fmt: skip


def truth(chip: Chip) -> Chip:
    return dataclasses.replace(chip, noise=0.0)


def exhaustive(surface: Surface) -> tuple[Run, float, int]:
    """The best of all settings at all levels; how long that takes, and how many loads."""
    space = space_of(surface.want)
    goal = Goal(surface.want.objective, surface.want.p99_milliseconds)
    points = list(itertools.product(*map(range, space.axes)))
    chip = truth(surface.chip)
    runs = [chip.run(space.at(point), level) for point in points for level in LEVELS]
    seconds = RESTART * len(points) + SHORT * len(runs)
    return max(runs, key=goal.key), seconds, len(runs)


@pytest.mark.thorough
@pytest.mark.parametrize("surface", SURFACES, ids=str)
def test_nearly_as_good_as_trying_all_in_a_quarter_of_the_trials(surface: Surface) -> None:
    best, seconds, loads = exhaustive(surface)
    bench = Formula(surface.chip)
    found = tuned(bench, surface.want)
    goal = Goal(surface.want.objective, surface.want.p99_milliseconds)
    assert found.chosen is not None
    assert found.chosen.best is not None
    level = found.chosen.best.concurrency
    chosen = truth(surface.chip).run(found.chosen.settings, level)
    if goal.meets(best):
        assert chosen.images_per_second >= 0.95 * best.images_per_second, "what it is"
        said = found.chosen.best.images_per_second
        assert said == pytest.approx(chosen.images_per_second, rel=0.05), "what is said of it"
    else:
        assert found.result == "GoalNotMet"
        assert chosen.p99 <= 1.05 * best.p99
    efforts = sum(effort for *_, effort in bench.runs)
    assert efforts <= loads / 4, "finals and repeats are counted by their length"
    assert bench.now <= seconds / 4


def random_surface(seed: int) -> Surface:
    rng = random.Random(seed)
    sizes = rng.choice([(1, 2, 4, 8), (1, 4, 16, 64), (1, 2, 4, 8, 16, 32)])
    chip = Chip(
        fixed=rng.uniform(0, 8),
        each=rng.choice([0.02, 0.1, 0.25, 0.5, 1, 2]),
        sharing=rng.choice([0, 0.1, 0.3, 0.6, 0.9, 1]),
        best_instances=rng.choice([1, 2, 3, 4, 99]),
        noise=rng.choice([0, 0, 0.02]),
    )
    declared = TritonSettings(sizes[-1], sizes[-2:], 1000, 1)
    limit = rng.choice([None, 15, 23, 60, 200])
    want = asked(p99_milliseconds=limit, batch_sizes=sizes, instances=rng.choice([2, 4, 8]),
                 declared=declared)  # fmt: skip
    return Surface(f"random {seed}", chip, want)


@pytest.mark.thorough
def test_it_is_rarely_far_off_on_surfaces_that_nobody_has_chosen() -> None:
    shares = []
    for surface in map(random_surface, range(40)):
        best, seconds, _ = exhaustive(surface)
        goal = Goal(surface.want.objective, surface.want.p99_milliseconds)
        bench = Formula(surface.chip)
        found = tuned(bench, surface.want)
        assert bench.now <= seconds / 4
        if goal.meets(best) and found.chosen and found.chosen.best:
            shares.append(found.chosen.best.images_per_second / best.images_per_second)
    assert len(shares) > 30
    assert sorted(shares)[len(shares) // 20] >= 0.95
    assert min(shares) >= 0.85


def test_latency_is_looked_for_at_the_stated_load() -> None:
    """At one level the lowest 99th percentile is that of small batches that nobody waits for."""
    want = asked(objective="Latency", p99_milliseconds=None)
    bench = Formula(Chip(), level=3)
    found = tuned(bench, want)
    space = space_of(want)
    points = itertools.product(*map(range, space.axes))
    best = min(truth(bench.chip).run(space.at(point), 3).p99 for point in points)
    assert found.chosen is not None
    assert found.chosen.best is not None
    assert found.chosen.best.p99 <= 1.05 * best
    assert found.result == "Better"
    assert found.at_intervals is None, "the load is stated: no other is of use"


@pytest.mark.thorough
def test_what_was_found_once_is_not_replaced_the_next_time() -> None:
    """Else a suggestion that was taken would lead to another one, for ever."""
    for seed in range(5):
        first = tuned(Formula(Chip(noise=0.02, seed=seed)), asked(p99_milliseconds=23))
        assert first.result == "Better"
        assert first.chosen is not None
        taken = asked(p99_milliseconds=23, declared=first.chosen.settings)
        second = tuned(Formula(Chip(noise=0.02, seed=seed + 100)), taken)
        assert second.result == "AsDeclared", second.message


def test_the_same_server_gives_the_same_answer() -> None:
    one, other = (tuned(Formula(Chip(noise=0.02)), asked()) for _ in range(2))
    assert one == other


@pytest.mark.thorough  # six searches
def test_repeats_lie_close_together() -> None:
    """Two searches with other noise end within 5 % of each other."""
    speeds = [
        found.chosen.best.images_per_second
        for seed in range(6)
        if (found := tuned(Formula(Chip(noise=0.02, seed=seed)), asked(p99_milliseconds=23))).chosen
        and found.chosen.best
    ]
    assert len(speeds) == 6
    assert max(speeds) <= 1.05 * min(speeds)


@pytest.mark.parametrize("seconds", [60, 120, 240])
def test_the_budget_ends_the_search_and_what_was_seen_counts(seconds: int) -> None:
    bench = Formula(Chip())
    found = tuned(bench, asked(seconds=seconds))
    assert found.ended_by == "Budget"
    assert found.result == "Better"
    last = 2 * (RESTART + 9 * SHORT) + 3 * (RESTART + (4 * 9 + 2 * 12) * SHORT)
    assert bench.now <= seconds + last, "what is shown is still measured well"


def test_settings_that_do_not_load_are_left_out() -> None:
    bench = Formula(Chip(sharing=0.0), most_instances=2)
    found = tuned(bench, asked(instances=8))
    assert found.chosen is not None
    assert found.chosen.settings.instances == 2
    assert any(trial.problem == "out of memory" for trial in found.trials)


def test_a_server_that_never_loads_is_said_so() -> None:
    found = tuned(Formula(Chip(), most_instances=0), asked())
    assert (found.result, found.message, found.chosen) == ("NotMeasured", "out of memory", None)


def test_the_server_is_left_with_what_was_chosen() -> None:
    """apply: Auto measures it once more, as it will serve."""
    bench = Formula(Chip())
    found = tuned(bench, asked())
    assert found.chosen is not None
    assert bench.settings == found.chosen.settings
