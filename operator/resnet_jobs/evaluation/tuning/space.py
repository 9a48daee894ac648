"""What there is to try: four settings, each with a few values in order. Pure.

Throughput and latency are mostly smooth along each of them, so that `search` need not try all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from resnet_contract.types import TritonSettings, preferred_by_default

if TYPE_CHECKING:
    from resnet_contract.types import Tuning

Point = tuple[int, ...]  # one index an axis

DELAYS = (0, 250, 500, 1000, 2000, 5000, 10_000, 20_000)
INSTANCES = (1, 2, 3, 4, 6, 8, 12, 16)
# Stand for the largest batch alone, and for the two largest sizes above 1, the operator's default.
FULL, LARGEST = (-1,), (-2,)


@dataclass(frozen=True)
class Space:
    """`preferred` has what is tried of it: FULL, LARGEST, and what the object declares."""

    batches: tuple[int, ...]
    delays: tuple[int, ...]
    instances: tuple[int, ...]
    preferred: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]

    @property
    def axes(self) -> tuple[int, ...]:
        return len(self.batches), len(self.delays), len(self.instances), len(self.preferred)

    @property
    def size(self) -> int:
        batches, delays, instances, preferred = self.axes
        return batches * delays * instances * preferred

    def at(self, point: Point) -> TritonSettings:
        batch, delay, instances, preferred = point
        most = self.batches[batch]
        wanted = self.preferred[preferred]
        if wanted == FULL:
            wanted = (most,)
        if wanted == LARGEST:
            wanted = preferred_by_default(self.sizes, most)
        alone = most == 1  # then nobody waits for anybody
        return TritonSettings(
            max_batch=most,
            preferred=() if alone else tuple(size for size in wanted if size <= most),
            delay_microseconds=0 if alone else self.delays[delay],
            instances=self.instances[instances],
        )

    def nearest(self, settings: TritonSettings) -> Point:
        """Where these settings are, or the place next to them."""
        wanted = settings.preferred
        if wanted not in self.preferred:
            wanted = self.preferred[-1]
        return (
            _nearest(self.batches, settings.max_batch),
            _nearest(self.delays, settings.delay_microseconds),
            _nearest(self.instances, settings.instances),
            self.preferred.index(wanted),
        )


def space_of(asked: Tuning, *, least_batch: int = 1) -> Space:
    """All that the object allows; a batch below that of the clients would be refused by Triton."""
    declared = asked.declared
    largest = max(asked.batch_sizes, default=declared.max_batch)
    sizes = {size for size in (*asked.batch_sizes, declared.max_batch) if size <= largest}
    ordered = tuple(sorted(size for size in sizes if size >= least_batch))
    limit = 1000 * asked.p99_milliseconds if asked.p99_milliseconds else None
    delays = {*DELAYS, declared.delay_microseconds}
    several = sum(size > 1 for size in ordered) > 1
    own = declared.preferred
    known = {(), (declared.max_batch,), preferred_by_default(asked.batch_sizes, declared.max_batch)}
    return Space(
        batches=ordered or (largest,),
        delays=tuple(sorted(one for one in delays if limit is None or one < limit)),
        instances=tuple(
            sorted(
                {
                    *(one for one in INSTANCES if one <= asked.instances),
                    min(declared.instances, asked.instances),
                }
            )
        ),
        preferred=(*((own,) if own not in known else ()), *((FULL,) if several else ()), LARGEST),
        sizes=asked.batch_sizes,
    )


def _nearest(values: tuple[int, ...], value: int) -> int:
    return min(range(len(values)), key=lambda index: (abs(values[index] - value), index))
