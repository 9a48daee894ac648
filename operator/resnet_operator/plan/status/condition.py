"""One condition of a status, of whatever kind of object, and the words in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from resnet_operator.plan.times import to_text

# How a clause begins that says what to do.
VERBS = (
    "add check choose correct create declare delete export free give install lower make name opt "
    "put raise remove rename replace set use write"
)
IMPERATIVES = frozenset(VERBS.split())
OBEYED = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def condition(
    kind: str,
    status: str,
    reason: str,
    message: str,
    *,
    generation: int,
    old: Mapping[str, Any] | None,
    now: datetime,
) -> dict[str, Any]:
    """Return it; the time is that of the last change of `status`, by what was said before."""
    unchanged = old is not None and old.get("status") == status
    since = old.get("lastTransitionTime") if old is not None and unchanged else None
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": plain(message),
        "observedGeneration": generation,
        "lastTransitionTime": since or to_text(now),
    }


def plain(text: str) -> str:
    """Return the text with a blank for each character that a terminal obeys, but line feeds.

    Containers write the messages that a status repeats.
    """
    return text if text.isprintable() else OBEYED.sub(" ", text)
