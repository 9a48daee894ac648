"""Which loads are measured: ranges as perf_analyzer writes them, read into numbers. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count, takewhile

from resnet_cli.exits import CliError, Exit

MOST_CONCURRENCY = 256
MOST_BATCH = 1024
MOST_POINTS = 64
RANGE = re.compile(r"(\d+)(?::(\d+)(?::(\d+))?)?")


def read_range(text: str, *, option: str, most: int) -> list[int]:
    """Read `4`, `1:64` (doubled each time, and the end), `1:64:8` (in steps), and lists of them."""
    found: set[int] = set()
    for part in text.split(","):
        matched = RANGE.fullmatch(part.strip())
        if matched is None:
            raise _misread(option, text)
        start, end, step = matched.groups()
        numbers = _numbers(int(start), int(end or start), int(step) if step else None)
        if not numbers:
            raise _misread(option, text)
        if numbers[-1] > most:
            raise CliError(f"{option} {text}: the most is {most}", Exit.USAGE)
        found |= set(numbers)
    return sorted(found)


def _numbers(start: int, end: int, step: int | None) -> Sequence[int]:
    """Return the numbers in ascending order; none where there are none."""
    if not 1 <= start <= end or step == 0:
        return []
    if step is not None:
        return range(start, end + 1, step)
    doubled = takewhile(lambda at: at < end, (start * 2**power for power in count()))
    return [*doubled, end]


def _misread(option: str, text: str) -> CliError:
    return CliError(
        f"{option} {text!r} cannot be read; write a number, start:end or start:end:step, "
        "from 1 upwards",
        Exit.USAGE,
    )


def points_of(concurrency: str, batch: str) -> list[tuple[int, int]]:
    """Return (batch, concurrency) of each measurement, in the order in which they are made."""
    loads = read_range(concurrency, option="--concurrency", most=MOST_CONCURRENCY)
    sizes = read_range(batch, option="--batch", most=MOST_BATCH)
    points = [(size, load) for size in sizes for load in loads]
    if len(points) > MOST_POINTS:
        raise CliError(
            f"--concurrency and --batch make {len(points)} measurements; the most is {MOST_POINTS}",
            Exit.USAGE,
        )
    return points
