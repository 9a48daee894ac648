"""A load that hangs: told by the work that is not done, long before the limit of the load.

In a pod it is mounted at /launcher/resnet_runtime/stall.py. Standard library, Python >= 3.8.
"""

from __future__ import annotations

import os
import time
from typing import Callable, Iterable, NamedTuple, Optional

from resnet_runtime.processes import process_table

LOOK_SECONDS = 5.0
# What waiting itself may cost in the whole time: Triton and its stubs look at each other.
IDLE_PROCESSOR_SHARE = 0.01
IDLE_READ_BYTES = 1 << 20


class Work(NamedTuple):
    """What processes have done so far: seconds of processor, bytes read."""

    processor: float
    read: int


class Stall:
    """Whether nothing has been done for so long that a load will not end any more."""

    def __init__(
        self,
        seconds: float,
        *,
        work: "Optional[Callable[[], Work]]" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._work = work or work_of_descendants
        self._clock = clock
        self._look_at = 0.0
        self._since: "Optional[float]" = None
        self._done = Work(0.0, 0)

    def is_over(self) -> bool:
        """To be asked often; it looks now and then."""
        now = self._clock()
        if now < self._look_at:
            return False
        self._look_at = now + min(LOOK_SECONDS, self.seconds / 4)
        done = self._work()
        if self._since is None or self._has_worked(done):
            self._since, self._done = now, done
        return now - self._since >= self.seconds

    def _has_worked(self, done: Work) -> bool:
        # Less than before: a process has ended, and took its sum along.
        processor = abs(done.processor - self._done.processor)
        read = abs(done.read - self._done.read)
        return processor > IDLE_PROCESSOR_SHARE * self.seconds or read > IDLE_READ_BYTES


def work_of_descendants() -> Work:
    """The work of all that this process has started, and what that has started."""
    table = process_table()
    ticks = os.sysconf("SC_CLK_TCK")
    found = list(descendants(os.getpid(), {pid: one.parent for pid, one in table.items()}))
    return Work(
        sum(table[pid].ticks for pid in found) / ticks,
        sum(_read_bytes(pid) for pid in found),
    )


def descendants(root: int, parents: "dict[int, int]") -> Iterable[int]:
    """All pids below `root`, by the parent of each."""
    below = {root}
    todo = set(parents) - below
    while True:
        more = {pid for pid in todo if parents[pid] in below}
        if not more:
            return
        yield from sorted(more)
        below |= more
        todo -= more


def _read_bytes(pid: int) -> int:
    """Bytes read, by system calls and from the disk for what is mapped into memory."""
    try:
        with open("/proc/{}/io".format(pid)) as file:
            counted = dict(line.split(": ") for line in file.read().splitlines())
    except (OSError, ValueError):
        return 0  # it has ended, or may not be looked at
    return int(counted.get("rchar", 0)) + int(counted.get("read_bytes", 0))
