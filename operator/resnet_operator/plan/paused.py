"""What is left of the plans of those that wait for others, to be gone on with if all is as it was.

Thousands may wait at once, and a plan is 18 KB of small things: it is kept packed, in a tenth.
"""

from __future__ import annotations

import pickle
import zlib

from resnet_operator.plan.actions import Plan
from resnet_operator.seen.observed import Observed
from resnet_operator.work.turns import Key

# Who comes when so many wait is planned a second time.
MOST = 10_000


class Paused:
    """Plans by the object they are of, each with what was seen when it was paused."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[Key, tuple[Observed, bytes]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: Key, seen: Observed, left: Plan) -> None:
        """Keep a plan, if there is room for it."""
        if key in self._kept or len(self._kept) < self._most:
            self._kept[key] = seen, zlib.compress(pickle.dumps(left), 1)

    def take(self, key: Key, seen: Observed) -> Plan | None:
        """Return a plan that was made for what is seen; it is kept no longer, whatever it is."""
        before, packed = self._kept.pop(key, (None, b""))
        if before != seen:
            return None
        left: Plan = pickle.loads(zlib.decompress(packed))  # noqa: S301 - never left this process
        return left

    def forget(self, key: Key) -> None:
        self._kept.pop(key, None)
