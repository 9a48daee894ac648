"""How long a problem may last before a person must look. Called by `make`.

The Deployment has a deadline of its own, but for rollouts only: pods that were ready once may crash
for ever without it. And before there is a Deployment, nobody counts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from resnet_operator.plan.actions import Problem
from resnet_operator.plan.times import seconds_since
from resnet_operator.seen.service import ServiceObject


def seconds_left(
    problem: Problem, service: ServiceObject, *, deadline: float, now: datetime
) -> float:
    """Return the seconds until the problem makes the object Stalled; 0 when it does already."""
    stalled = _condition(service, "Stalled")
    same_spec = stalled.get("observedGeneration") == service.generation
    if stalled.get("reason") == problem.reason.value and same_spec:
        # Being Stalled begins a new phase: asking the phase's age again would take it back.
        return 0.0
    if _condition(service, "Ready").get("reason") != problem.reason.value:
        return deadline
    age = seconds_since(service.status.get("phaseStartTime") or "", now)
    # After a clock was put back, `status` begins the phase again.
    return min(max(deadline - age, 0.0), deadline)


def _condition(service: ServiceObject, kind: str) -> dict[str, Any]:
    conditions = service.status.get("conditions") or ()
    return next((item for item in conditions if item["type"] == kind), {})
