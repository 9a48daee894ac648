"""What the status says of the way to the artifact and to Ready. Called by `status`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resnet_operator import names
from resnet_operator.plan.status.conditions import Situation

# Of the newest attempt, and not of what is served.
OF_ATTEMPTS = ("job", "nextAttemptTime")


def attempts_of(situation: Situation) -> dict[str, str]:
    """Return the Job of the newest attempt and when the next one is.

    A Job that is gone keeps its name here: that it went is no news that is worth a write.
    """
    resolved = situation.observed.service.resolved
    said = situation.observed.service.status.get("artifact") or {}
    before = str(said.get("job") or "")
    is_of_this = resolved and before.startswith(f"{names.record_name(resolved.source_key)}-")
    job = situation.job or (before if is_of_this else "")
    found = {"job": job, "nextAttemptTime": situation.next_attempt}
    return {key: value for key, value in found.items() if value}


def served_artifact(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the artifact that is served, as far as the status before told of one."""
    served = status.get("artifact") or {}
    kept = {key: value for key, value in served.items() if key not in OF_ATTEMPTS}
    return {"artifact": kept} if kept else {}


def progress_of(situation: Situation) -> dict[str, str]:
    """Return the stage that is under way and since when; nothing at rest."""
    if situation.complete or situation.stalled:
        return {}
    if situation.artifact is None:
        stage, began = situation.step
    elif situation.held:
        stage, began = "gate", ""
    elif situation.target and situation.wanted:
        stage, began = "load", ""
    else:
        return {}
    found = {"stage": stage, "startTime": began}
    return {key: value for key, value in found.items() if value}
