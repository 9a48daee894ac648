"""What is said of an object at which the operator itself has failed. Called by `reconcile`.

Made of the old status alone: whatever failed must not be asked again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Event, Plan
from resnet_operator.plan.times import to_text
from resnet_operator.seen.service import ServiceObject


def failed_plan(service: ServiceObject, message: str, *, now: datetime) -> Plan:
    """Return a plan that does nothing and says why; what serves, serves on."""
    old = service.status
    before = {c["type"]: c for c in old.get("conditions") or ()}
    said = [_condition(kind, before, service, message, now=now) for kind in ("Ready", "Stalled")]
    others = [c for kind, c in before.items() if kind not in {"Ready", "Stalled", "Reconciling"}]
    status = {
        **old,
        "observedGeneration": service.generation,
        "conditions": sorted([*others, *said], key=lambda condition: str(condition["type"])),
    }
    is_news = (before.get("Ready") or {}).get("reason") != Reason.INTERNAL_ERROR.value
    event = Event(type="Warning", reason=Reason.INTERNAL_ERROR.value, message=message)
    return Plan(status=status, events=(event,) if is_news else ())


def _condition(
    kind: str, before: dict[str, Any], service: ServiceObject, message: str, *, now: datetime
) -> dict[str, Any]:
    status = "True" if kind == "Stalled" else "False"
    old = before.get(kind) or {}
    same = old.get("status") == status and old.get("lastTransitionTime")
    return {
        "type": kind,
        "status": status,
        "reason": Reason.INTERNAL_ERROR.value,
        "message": message,
        "observedGeneration": service.generation,
        "lastTransitionTime": old["lastTransitionTime"] if same else to_text(now),
    }
