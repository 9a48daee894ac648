"""What a pod that loads its model says: the longer it takes, the more. Called by `serving`.

The text changes at few moments only, each of which is a write of the status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from resnet_operator.plan.times import seconds_since
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.workload import Pod
from resnet_operator.settings.pods import Maker

SHORT_SECONDS = 60.0


@dataclass(frozen=True)
class Loading:
    """What is said, and after how long something else will be."""

    message: str
    requeue_after: float | None = None


def loading_of(
    pods: Sequence[Pod], resolved: Resolved, *, service: str, now: datetime
) -> Loading | None:
    """Return what to say of the pods that are running and not ready; None when there are none."""
    loading = [pod for pod in pods if pod.phase == "Running" and not pod.ready]
    if not loading:
        return None
    begun = min((time for pod in loading if (time := _begun(pod))), default="")
    age, limit = seconds_since(begun, now), float(resolved.load_timeout_seconds)
    if not begun or age < SHORT_SECONDS:
        return Loading(
            "Triton is loading the model", SHORT_SECONDS - max(age, 0) if begun else None
        )
    since = f"{resolved.model_name} on {resolved.chip} since {begun[11:]}"
    remedy = f"read its log: kubectl logs deploy/{service} -c triton"
    if age < limit / 2:
        return Loading(f"Triton has been loading {since}; {remedy}", limit / 2 - age)
    used = "more than half of serving.loadTimeoutSeconds"
    return Loading(f"Triton has been loading {since}, {used}; {remedy}")


def _begun(pod: Pod) -> str:
    return next((one.begun for one in pod.containers if one.name == Maker.TRITON), "")
