"""Times as the API writes them, and the only arithmetic the plan does with them."""

from __future__ import annotations

import functools
from datetime import UTC, datetime


@functools.lru_cache(maxsize=16)
def to_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@functools.lru_cache(maxsize=256)
def from_text(text: str) -> datetime:
    """Return the moment; what is no time of the API, nobody waits for: it was long ago."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return LONG_AGO


def left_of(pause: float, since: str, now: datetime) -> float:
    """Return the seconds that are left of a pause; 0 when it is over.

    A clock that is put back makes a beginning lie in the future. Up to the pause's own length that
    is waited for; beyond it nobody knows how long it has been, and the pause is over.
    """
    elapsed = seconds_since(since, now)
    return max(pause - elapsed, 0.0) if elapsed >= -pause else 0.0


def seconds_since(text: str, now: datetime) -> float:
    """Return the seconds from `text` to `now`; 0 when there is no text."""
    return (now - from_text(text)).total_seconds() if text else 0.0
