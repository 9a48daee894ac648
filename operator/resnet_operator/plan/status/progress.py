"""What the status says of the way to the artifact and to Ready. Called by `status`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resnet_contract.progress import MOST_BYTES
from resnet_operator import names
from resnet_operator.plan.artifact.stages import Step
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
    job = situation.conversion.job or (before if is_of_this else "")
    found = {"job": job, "nextAttemptTime": situation.conversion.next_attempt}
    return {key: value for key, value in found.items() if value}


def served_artifact(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the artifact that is served, as far as the status before told of one."""
    served = status.get("artifact") or {}
    kept = {key: value for key, value in served.items() if key not in OF_ATTEMPTS}
    return {"artifact": kept} if kept else {}


def progress_of(situation: Situation) -> dict[str, Any]:
    """Return the stage that is under way, since when, and how far; nothing at rest."""
    if situation.serving.complete or situation.stalled:
        return {}
    if situation.artifact is None:
        return _of_step(situation.conversion.step, _before(situation))
    if situation.held:
        return {"stage": "gate"}
    return {"stage": "load"} if situation.serving.target and situation.serving.wanted else {}


def _before(situation: Situation) -> Mapping[str, Any]:
    said = situation.observed.service.status.get("progress")
    return said if isinstance(said, Mapping) else {}


def _of_step(step: Step, before: Mapping[str, Any]) -> dict[str, Any]:
    """Say what the step does; of the same step nothing is taken back while nothing new is known.

    So an operator that was restarted has read no log yet and writes nothing. The percentage does
    not fall either where a second file begins, the bytes are those of that file.
    """
    if not step.name:
        return {}
    same = (before.get("stage"), before.get("startTime", "")) == (step.name, step.began)
    earlier = {key: _number(before.get(key)) for key in NUMBERS} if same else {}
    moved = step.moved
    found: dict[str, Any] = {"stage": step.name, "startTime": step.began}
    if moved is not None:
        found |= {"bytes": moved.done, "totalBytes": moved.total}
    else:
        found |= {key: earlier.get(key) for key in ("bytes", "totalBytes")}
    found["percent"] = max(min(earlier.get("percent") or 0, step.most), step.percent or 0)
    return {key: value for key, value in found.items() if value not in (None, "")}


NUMBERS = ("percent", "bytes", "totalBytes")


def _number(said: object) -> int | None:
    """Read what may be anything: only we write the status, and others may all the same."""
    is_one = isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= MOST_BYTES
    return said if is_one and isinstance(said, int) else None
