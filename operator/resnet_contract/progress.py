"""What a container says in its log of how far it is and what it found.

Jobs write it, the operator reads it for `status.progress` (docs/decisions/132), kubectl-resnet the
result of the gate. Whoever has a container has its log: what a line says is bounded here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KIB, MIB = 1024, 1024 * 1024
UNITS = {"KiB": KIB, "MiB": MIB}
VERBS = ("downloaded", "copied", "uploaded", "unpacked")
# Beyond it a reader of JSON may lose a byte.
MOST_BYTES = 2**53 - 1
DIGITS = r"\d{1,15}"
LINE = re.compile(
    rf"(?P<verb>{'|'.join(VERBS)}) (?P<done>{DIGITS}(?:\.\d)?)(?: of (?P<total>{DIGITS}))? "
    r"(?P<unit>KiB|MiB)(?: \((?P<percent>\d{1,3}) %\))?(?P<ended> in )?",
    re.ASCII,
)


@dataclass(frozen=True)
class Moved:
    """Bytes as a line rounds them; without `total` nobody knows how many there will be."""

    verb: str
    done: int
    total: int | None = None
    percent: int | None = None

    @property
    def part(self) -> float:
        """How much of it is done, from 0 to 1; nothing where nobody knows how much there is."""
        return min(self.done / self.total, 1.0) if self.total else 0.0


def describe(verb: str, done: int, total: int | None) -> str:
    """Both numbers in one unit, that of the larger."""
    name, unit = ("KiB", KIB) if (total or done) < MIB else ("MiB", MIB)
    if not total:
        return f"{verb} {done / unit:.0f} {name}"
    if done >= total:
        return f"{verb} {done / unit:.1f} {name}"
    return f"{verb} {done / unit:.0f} of {total / unit:.0f} {name} ({100 * done // total} %)"


def going(verb: str, done: int, total: int | None, *, rate: float) -> str:
    """The line on the way; `rate` is in bytes a second."""
    return f"{describe(verb, done, total)}, {rate / MIB:.1f} MiB/s"


def finished(verb: str, done: int, *, seconds: float) -> str:
    return f"{describe(verb, done, done)} in {seconds:.1f} s"


def read_line(line: str) -> Moved | None:
    """Read one of these lines; None for every other one."""
    found = LINE.match(line.strip())
    if found is None:
        return None
    unit = UNITS[found["unit"]]
    done = min(round(float(found["done"]) * unit), MOST_BYTES)
    if found["ended"]:
        return Moved(found["verb"], done, done, 100)
    if found["total"] is None or found["percent"] is None:
        return Moved(found["verb"], done)
    total = min(int(found["total"]) * unit, MOST_BYTES)
    return Moved(found["verb"], min(done, total), total, min(int(found["percent"]), 100))


def last_moved(text: str) -> Moved | None:
    """Return what the newest of these lines says, wherever it stands in a log."""
    lines = reversed(text.splitlines())
    return next((found for line in lines if (found := read_line(line))), None)


# A line of a log is kept whole by container runtimes, and read whole by whoever asks for it.
MOST_RESULT_CHARS = 512 * 1024
RESULT_MARK = "result.json: "
TOO_LONG = "too long for a log"


def result_line(result: Mapping[str, Any]) -> str:
    """The whole result as one line; without its value where a log is no place for so much."""
    text = json.dumps(result, allow_nan=False, separators=(",", ":"))
    return RESULT_MARK + (text if len(text) <= MOST_RESULT_CHARS else TOO_LONG)


def last_result(text: str) -> str | None:
    """Return the newest result of a log as it stands there, whatever that is; None without one."""
    lines = (line for line in reversed(text.splitlines()) if line.startswith(RESULT_MARK))
    found = next(lines, RESULT_MARK + TOO_LONG).removeprefix(RESULT_MARK)
    return None if found == TOO_LONG else found
