"""A machine that measures surfaces as a real one does: it drifts, it pauses, and time passes.

Seconds are those of a simulated clock. What is true of a setting comes from a surface; what a load
says of it differs from that by noise that longer loads have less of, by a drift of minutes that all
settings have alike, and now and then by a pause.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from resnet_contract.types import TritonSettings
from resnet_jobs.base.clock import Clock
from resnet_jobs.evaluation.tuning.score import Run

Truth = Callable[[TritonSettings, int], Run]
DRIFT_SECONDS = 120.0


@dataclass(frozen=True)
class Noise:
    """Shares: of one short load's rate and 99th percentile; of the drift; of loads with a pause."""

    rate: float = 0.02
    p99: float = 0.06
    drift: float = 0.03
    pauses: float = 0.03


@dataclass
class Machine:
    truth: Truth
    seed: int
    noise: Noise = field(default_factory=Noise)
    restart: float = 2.0
    short: float = 0.4
    now: float = 0.0
    settings: TritonSettings | None = None
    rng: random.Random = field(init=False)
    phase: float = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.phase = self.rng.uniform(0, 2 * math.pi)

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=lambda _: None)

    def use(self, settings: TritonSettings) -> str:
        self.settings = settings
        self.now += self.restart
        return ""

    def run(self, concurrency: int, effort: int) -> Run:
        assert self.settings is not None
        self.now += self.short * effort
        true, noise, length = self.truth(self.settings, concurrency), self.noise, math.sqrt(effort)
        fast = 1 + noise.drift * math.sin(self.phase + 2 * math.pi * self.now / DRIFT_SECONDS)
        fast *= math.exp(self.rng.gauss(0, noise.rate / length))
        slow = math.exp(self.rng.gauss(0, noise.p99 / length)) / fast
        if self.rng.random() < noise.pauses:
            fast, slow = 0.85 * fast, 1.5 * slow
        p99 = true.p99 * slow
        numbers = {f"p{of}Milliseconds": round(p99 * of / 99, 3) for of in (50, 90, 99)}
        return Run(concurrency, true.images_per_second * fast, p99, numbers)

    def run_open(self, images_per_second: float, effort: int) -> Run:
        del images_per_second
        return self.run(1, effort)
