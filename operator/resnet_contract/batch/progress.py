"""How far a batch is: the line in the log that its pod writes, and the operator or a person reads.

A line tells of the pod's own share: what was there before it began counts as done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE = re.compile(
    r"classified (?P<done>\d{1,12}) of (?P<total>\d{1,12}) pictures \(\d{1,3} %\)"
    r"(?:, (?P<rate>\d{1,9}(?:\.\d)?) pictures/s)?"
)


@dataclass(frozen=True)
class Classified:
    """Pictures whose answers are in a finished part; `rate` is that of the pod, in a second."""

    done: int
    total: int
    rate: float | None = None

    def line(self) -> str:
        share = 100 * self.done // self.total if self.total else 100
        text = f"classified {self.done} of {self.total} pictures ({share} %)"
        return text if self.rate is None else f"{text}, {self.rate:.1f} pictures/s"


def read_classified(line: str) -> Classified | None:
    """Read one of these lines; None for every other one, and for what cannot be."""
    found = LINE.match(line.strip())
    if found is None or int(found["done"]) > int(found["total"]):
        return None
    rate = float(found["rate"]) if found["rate"] else None
    return Classified(int(found["done"]), int(found["total"]), rate)
