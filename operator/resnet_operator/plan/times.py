"""Times as the API writes them, and the only arithmetic the plan does with them."""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_text(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def seconds_since(text: str, now: datetime) -> float:
    """Return the seconds from `text` to `now`; 0 when there is no text."""
    return (now - from_text(text)).total_seconds() if text else 0.0
