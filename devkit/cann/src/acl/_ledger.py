"""What all processes on a shared chip have taken of its memory: a folder, and a file for each.

A process holds the lock of its file for as long as it lives, so that what a killed one had taken is
free again, as the driver does it. The device plugin of the devkit mounts the folder into each
container that has a place on the chip.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

GATE = "gate"


class Ledger:
    """One process's line, and a look at the others'."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gate = _opened(folder / GATE)
        self._own = folder / f"user-{uuid.uuid4().hex}"
        self._line = _opened(self._own)
        fcntl.flock(self._line, fcntl.LOCK_EX)

    def take(self, size: int, own: int, limit: int) -> bool:
        """Write down `own` and `size` more, if all of it and what others have is in the limit."""
        with self._alone():
            if self._others() + own + size > limit:
                return False
            self._write(own + size)
        return True

    def give(self, left: int) -> None:
        with self._alone():
            self._write(left)

    def others(self) -> int:
        with self._alone():
            return self._others()

    def _write(self, size: int) -> None:
        os.pwrite(self._line, f"{size:020d}".encode(), 0)

    def _others(self) -> int:
        found = 0
        for path in self._folder.glob("user-*"):
            if path == self._own:
                continue
            with contextlib.suppress(FileNotFoundError):
                found += _taken(path)
        return found

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)


def _opened(path: Path) -> int:
    """Open for everybody: pods may run as any user."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    with contextlib.suppress(PermissionError):
        path.chmod(0o666)
    return handle


def _taken(path: Path) -> int:
    """What a living process has; the file of a dead one goes."""
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(handle, 20, 0) or b"0")
    else:
        path.unlink()
        return 0
    finally:
        os.close(handle)
