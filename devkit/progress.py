"""Which step of how many, and how long it took on this machine before.

A step is announced only when there is something to do, so the first run and a later one count
differently. Durations lie in the cache, one small file for each step. Standard library only: it
runs before any virtual environment exists.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def cache_root() -> Path:
    """The folder of everything that is built outside the repository."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "resnet-operator"


def spoken(seconds: float) -> str:
    """A duration as people say it: 8 s, 1 min 20 s, 14 min."""
    whole = max(1, round(seconds))
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min" if minutes >= 10 or not rest else f"{minutes} min {rest} s"


@dataclass(frozen=True)
class Durations:
    """How long each step took here the last time it succeeded."""

    folder: Path

    def get(self, name: str) -> float | None:
        try:
            return float((self.folder / name).read_text())
        except (OSError, ValueError):  # never done here, or half a file
            return None

    def put(self, name: str, seconds: float) -> None:
        """Remember it; a cache that cannot be written costs only the estimate."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            new = self.folder / f".{name}.{os.getpid()}"
            new.write_text(f"{seconds:.1f}\n")
            new.replace(self.folder / name)


def announcement(number: int, total: int, text: str, before: float | None) -> str:
    """The line that begins a step."""
    known = "" if before is None else f" (took {spoken(before)} here before)"
    return f"[{number}/{total}] {text}{known} ..."


@dataclass
class Steps:
    """A run's steps, in order: name -> what a person reads. Only what is to be done is in it."""

    plan: Mapping[str, str]
    durations: Durations
    out: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step, and remember how long it took unless it failed."""
        number = list(self.plan).index(name) + 1
        before = self.durations.get(name)
        self._say(announcement(number, len(self.plan), self.plan[name], before))
        begun = self.clock()
        yield
        took = self.clock() - begun
        self.durations.put(name, took)
        self._say(f"      done in {spoken(took)}")

    def _say(self, text: str) -> None:
        print(text, file=self.out, flush=True)


def steps(plan: Mapping[str, str]) -> Steps:
    """The steps of a run whose durations lie in the cache."""
    return Steps(plan, Durations(cache_root() / "durations"))
