"""The folder that Triton's container and the evaluator share. Used by `evaluate` and `__main__`.

Apart from `evaluate` so that the file `done` can be written when nothing else could be imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_jobs.base.progress import say

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESS = "127.0.0.1:8000"
DONE = "done"
LOAD_SECONDS = 8.0  # long enough for a mean, short beside the data set


@dataclass(frozen=True)
class Place:
    """Where Triton is and for how long it is kept busy; only tests change it."""

    folder: Path
    address: str
    load_seconds: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Place:
        return cls(
            folder=folder_of(environment),
            address=environment.get("RESNET_TRITON") or ADDRESS,
            load_seconds=float(environment.get("RESNET_LOAD_SECONDS") or LOAD_SECONDS),
        )

    @property
    def done(self) -> Path:
        """Written by whichever of the two containers ends first."""
        return self.folder / DONE

    @property
    def benchmark(self) -> Path:
        """What launch.py measured before it started Triton."""
        return self.folder / "benchmark.json"

    @property
    def trials(self) -> Path:
        """Where launch.py is asked for other settings of Triton, and answers."""
        return self.folder / "trials"

    @property
    def dump(self) -> Path:
        """Where launch.py is asked for intermediate results, and answers."""
        return self.folder / "dump"


def folder_of(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("RESNET_EVAL") or "/eval")


def end_triton(environment: Mapping[str, str]) -> None:
    """Last of all, whatever happened: launch.py gives the chip back when this file is there."""
    path = folder_of(environment) / DONE
    try:
        path.touch()
    except OSError as error:
        say(f"cannot write {path}: {error}")
