"""What is said of an object at which the operator itself has failed. Called by `reconcile`.

Made of the old status alone, of whatever kind: what failed must not be asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Event, Plan
from resnet_operator.plan.status.condition import condition
from resnet_operator.seen.service import ServiceObject

SAID = {"Ready": "False", "Stalled": "True"}


def failed_plan(service: ServiceObject, message: str, *, now: datetime) -> Plan:
    """Return a plan that does nothing and says why; what serves, serves on."""
    status = failed_status(service.status, message, generation=service.generation, now=now)
    before = {c["type"]: c for c in service.status.get("conditions") or ()}
    is_news = (before.get("Ready") or {}).get("reason") != Reason.INTERNAL_ERROR.value
    event = Event(type="Warning", reason=Reason.INTERNAL_ERROR.value, message=message)
    return Plan(status=status, events=(event,) if is_news else ())


def failed_status(
    old: Mapping[str, Any], message: str, *, generation: int, now: datetime
) -> dict[str, Any]:
    """Return the old status with Ready and Stalled that say what failed."""
    before = {c["type"]: c for c in old.get("conditions") or ()}
    said = [
        condition(
            kind,
            value,
            Reason.INTERNAL_ERROR.value,
            message,
            generation=generation,
            old=before.get(kind),
            now=now,
        )
        for kind, value in SAID.items()
    ]
    others = [c for kind, c in before.items() if kind not in {*SAID, "Reconciling"}]
    return {
        **old,
        "observedGeneration": generation,
        "conditions": sorted([*others, *said], key=lambda condition: str(condition["type"])),
    }
