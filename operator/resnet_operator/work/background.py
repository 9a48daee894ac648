"""What can wait longest: objects that seem to be as they should, looked at one handful at a time.

Whatever happens meanwhile comes first, and no more than a share of one core is used. Whoever is
kept from it for long goes on all the same: a request that hangs must not stop all the others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from resnet_operator.work.queue import Key, WorkQueue
from resnet_operator.work.turns import Turns

log = logging.getLogger(__name__)

SHARE = 0.5
# So many at once: as much as news may have to wait for.
HANDFUL = 8
PATIENCE_SECONDS = 1.0


def pause(used: float, share: float) -> float:
    """Return the seconds to do nothing after so many of CPU, for a share of one core."""
    return max(used, 0.0) * (1 / share - 1)


class Background:
    """Gives keys to the queue while it has nothing else to do."""

    def __init__(
        self,
        queue: WorkQueue,
        *,
        share: float = SHARE,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._queue = queue
        self._share = share
        # Of the whole process: while it has other things to do, there is less of this.
        self._cpu = cpu
        self._left = Turns()
        self._under_way = False
        self._wake = asyncio.Event()

    def begin(self, keys: Iterable[Key]) -> None:
        """Look at some keys now and then; what was to be looked at before is forgotten."""
        self._left = Turns()
        for key in keys:
            self._left.add(key)
        self._wake.set()

    @property
    def left(self) -> int:
        """Return how many have not been looked at yet."""
        return len(self._left) + self._under_way

    def is_idle(self) -> bool:
        """Tell whether nothing is left to look at, here and in the queue."""
        return not self.left and self._queue.is_idle()

    async def run(self) -> None:
        """Look at what there is, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            number, begun = len(self._left), time.monotonic()
            while self._left:
                await self._handful()
            if number:
                seconds = round(time.monotonic() - begun, 1)
                log.info("all objects are verified", extra={"number": number, "seconds": seconds})

    async def _handful(self) -> None:
        await self._queue.quiet(PATIENCE_SECONDS)
        begun, self._under_way = self._cpu(), True
        try:
            for _ in range(min(HANDFUL, len(self._left))):
                self._queue.add(self._left.take())
            await self._queue.quiet(PATIENCE_SECONDS)
        finally:
            self._under_way = False
        await asyncio.sleep(pause(self._cpu() - begun, self._share))
