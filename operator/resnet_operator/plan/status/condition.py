"""One condition of a status, of whatever kind of object. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from resnet_operator.plan.status.plain import plain
from resnet_operator.plan.times import to_text


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
