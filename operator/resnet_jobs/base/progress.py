"""Progress lines in the container's log for anything that takes more than a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_contract.progress import KIB, MIB, finished, going

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_SECONDS = 3.0


def say(text: str) -> None:
    print(text, flush=True)


class Progress:
    """Counts bytes and prints "downloaded 120 of 243 MiB (49 %), 11.4 MiB/s", every few seconds
    at most. The rate is that since the line before.
    """

    def __init__(
        self,
        verb: str,
        *,
        total: int | None,
        monotonic: Callable[[], float],
        write: Callable[[str], None] = say,
    ) -> None:
        self.done = 0
        self._verb = verb
        self._total = total
        self._monotonic = monotonic
        self._write = write
        self._started = self._printed = monotonic()
        self._since = 0

    def advance(self, count: int) -> None:
        self.done += count
        now = self._monotonic()
        if now - self._printed >= INTERVAL_SECONDS:
            rate = (self.done - self._since) / (now - self._printed)
            self._printed, self._since = now, self.done
            self._write(going(self._verb, self.done, self._total, rate=rate))

    def restart(self, *, total: int | None) -> None:
        """The server began again from the first byte, or told the size only now."""
        self.done, self._since, self._total = 0, 0, total

    def finish(self) -> None:
        seconds = self._monotonic() - self._started
        self._write(finished(self._verb, self.done, seconds=seconds))


def size_text(count: int) -> str:
    return f"{count / KIB:.0f} KiB" if count < MIB else f"{count / MIB:.0f} MiB"
