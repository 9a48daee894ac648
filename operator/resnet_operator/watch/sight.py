"""How long ago each kind was seen, and why not since: what readiness, metrics and log say of it.

Seen means that the API server showed something that can only be true now: a list, an event, a
bookmark, or a version that is not older than ours. An open connection alone shows nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from resnet_operator.telemetry.metrics import WATCH_AGE_SECONDS
from resnet_operator.watch.stream import Limits

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Sight:
    """One kind in one place; times are of the monotonic clock."""

    kind: str
    namespace: str | None
    clock: Callable[[], float] = time.monotonic
    is_listed: bool = False
    # The cluster does not have this kind.
    is_absent: bool = False
    # The history of the cluster in which it was listed, see `watch.history`.
    history: int = 0
    trouble: str = ""
    was_blind: bool = False
    _watching: asyncio.Timeout | None = None
    seen_at: float = field(init=False)
    tried_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.seen_at = self.tried_at = self.clock()

    def tried(self) -> None:
        """Note that the stream is at work."""
        self.tried_at = self.clock()

    def seen(self) -> None:
        """Note that the server has shown what is."""
        self.seen_at = self.tried_at = self.clock()
        self.trouble = ""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Raise TimeoutError as soon as another kind wants this one to be listed again."""
        try:
            async with asyncio.timeout(None) as self._watching:
                yield
        finally:
            self._watching = None

    def interrupt(self) -> None:
        """End the watch, if it is under way."""
        if self._watching is not None:
            self._watching.reschedule(asyncio.get_running_loop().time())

    @property
    def age(self) -> float:
        return self.clock() - self.seen_at

    @property
    def name(self) -> str:
        return f"{self.kind} in {self.namespace}" if self.namespace else self.kind


@dataclass(kw_only=True)
class Sights:
    """All kinds in all places."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    all: list[Sight] = field(default_factory=list)

    def add(self, kind: str, namespace: str | None) -> Sight:
        sight = Sight(kind=kind, namespace=namespace, clock=self.clock)
        self.all.append(sight)
        return sight

    def problems(self) -> list[str]:
        """Say of each kind that is not seen since when and why."""
        return [
            f"{sight.name} {_since(sight)}: {sight.trouble or 'no answer yet'}"
            for sight in self.all
            if not sight.is_listed or self._is_blind(sight)
        ]

    def stuck(self) -> list[str]:
        """Return the streams that do not even try, which only a restart can help."""
        limit = self.limits.stuck_seconds
        return [sight.name for sight in self.all if self.clock() - sight.tried_at > limit]

    def report(self) -> None:
        """Log when a kind is lost from sight, and when it is seen again."""
        for sight in self.all:
            is_blind = self._is_blind(sight)
            if is_blind and not sight.was_blind:
                about = {"kind": sight.name, "seconds": round(sight.age), "why": sight.trouble}
                log.error("kind is not seen", extra=about)
            elif sight.was_blind and not is_blind:
                log.info("kind is seen again", extra={"kind": sight.name})
            sight.was_blind = is_blind

    def measure(self) -> None:
        """Set the metric, by the oldest of a kind's places."""
        ages: dict[str, float] = {}
        for sight in self.all:
            ages[sight.kind] = max(ages.get(sight.kind, 0.0), sight.age)
        for kind, age in ages.items():
            WATCH_AGE_SECONDS.labels(kind=kind).set(age)

    def _is_blind(self, sight: Sight) -> bool:
        return sight.age > self.limits.blind_seconds


def _since(sight: Sight) -> str:
    return f"not seen for {sight.age:.0f} s" if sight.is_listed else "not listed yet"
