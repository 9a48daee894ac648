"""A server that is a formula: batches, a queue, instances that share a chip, clients in flight.

Not how Triton is, but shaped like it: throughput grows with batches and instances until the chip is
busy, and latency with everything that waits.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from resnet_contract.types import TritonSettings
from resnet_jobs.evaluation.tuning.score import Run


@dataclass(frozen=True)
class Chip:
    """`fixed` and `each` are milliseconds of a batch and of a sample in it."""

    fixed: float = 2.0
    each: float = 0.25
    sharing: float = 0.6  # how much of a second instance's time the first one's takes away
    best_instances: int = 99  # above it they are in each other's way
    noise: float = 0.0
    seed: int = 7

    def run(self, settings: TritonSettings, concurrency: int, *, number: int = 0) -> Run:
        """A closed load of one sample a request."""
        instances = settings.instances
        share = concurrency / instances
        batch = max(1.0, min(float(settings.max_batch), share))
        if settings.preferred and batch < settings.max_batch:
            fitting = [size for size in settings.preferred if size <= batch]
            batch = float(max(fitting, default=batch))
        full = batch >= settings.max_batch or batch in settings.preferred
        waits = 0.0 if full else settings.delay_microseconds / 1000
        gathered = batch if full else min(settings.max_batch, batch + waits / 4)
        crowd = 1 + self.sharing * (instances - 1) + max(0, instances - self.best_instances) * 0.8
        service = (self.fixed + self.each * gathered) * crowd
        round_trip = max(service + waits, concurrency / (instances * gathered) * service)
        rng = random.Random(f"{self.seed}/{settings}/{concurrency}/{number}")
        rate = 1000 * concurrency / round_trip * (1 + self.noise * rng.uniform(-1, 1))
        p99 = (1.25 * round_trip) * (1 + self.noise * rng.uniform(-1, 1))
        numbers = {f"p{of}Milliseconds": round(p99 * of / 99, 3) for of in (50, 90, 99)}
        return Run(concurrency, rate, p99, numbers)
