"""When the search ends: at the budget, or at its share of what trying everything would take. Pure.

What a server and a load take is measured as the search goes on; what the finals will take is kept
for them.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resnet_jobs.evaluation.tuning.finals import EFFORTS, USES
from resnet_jobs.evaluation.tuning.search import LEAST_TRIALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resnet_jobs.base.clock import Clock

OF_BUDGET = 0.8  # from its beginning; what is shown is measured after that
OF_EVERYTHING = 0.25
CARE = 0.82  # of that share: a server, or a load that misses the limit, may take more


@dataclass
class Timing:
    """`settings` that differ, each at so many `levels`, is everything that could be tried."""

    clock: Clock
    settings: int
    levels: int
    started: float = field(init=False)
    use_seconds: float = 0.0
    uses: int = 0
    load_seconds: float = 0.0
    efforts: int = 0

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()

    @property
    def passed(self) -> float:
        return self.clock.monotonic() - self.started

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        began = self.clock.monotonic()
        yield
        self.use_seconds += self.clock.monotonic() - began
        self.uses += 1

    @contextlib.contextmanager
    def load(self, effort: int) -> Iterator[None]:
        began = self.clock.monotonic()
        yield
        self.load_seconds += self.clock.monotonic() - began
        self.efforts += effort

    def is_over(self, tried: int, *, budget: float) -> bool:
        """Before another trial: whether it would take time that belongs to the finals."""
        if self.passed > OF_BUDGET * budget:
            return True
        return tried >= LEAST_TRIALS and self._after_another(tried) > CARE * self._share()

    def _share(self) -> float:
        everything = self.settings * (self._use() + self.levels * self._effort())
        return OF_EVERYTHING * everything

    def _after_another(self, tried: int) -> float:
        finals = USES * self._use() + EFFORTS * self._effort()
        return self.passed * (1 + 1 / tried) + finals

    def _use(self) -> float:
        return self.use_seconds / max(1, self.uses)

    def _effort(self) -> float:
        return self.load_seconds / max(1, self.efforts)
