"""The one line of a container's last words that a person should read. Called by `trouble`."""

from __future__ import annotations

import re

MAX_CHARS = 72
# Triton's prefix: severity, date, time, process, place in its source.
PREFIX = re.compile(r"^[EWIF]\d{4} [\d:.]+ \d+ [^\]]*\] ?")
TIME = re.compile(r"^\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(Z|[+-]\d\d:?\d\d)?\]?[: ]*")
TELLING = re.compile(
    r"error|exception|fatal|panic|fail|cannot|can't|unable|denied|no such|not found|refused",
    re.IGNORECASE,
)


def log_summary(text: str) -> str:
    """Return the last line that tells of a failure, else the last line, without its time."""
    lines = [TIME.sub("", PREFIX.sub("", line.strip())) for line in text.splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        return ""
    line = next((line for line in reversed(lines) if TELLING.search(line)), lines[-1])
    return line if len(line) <= MAX_CHARS else f"{line[: MAX_CHARS - 1]}…"
