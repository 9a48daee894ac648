"""How the chips under serving pods are, as the kubelet says in each pod's status.

The pods may serve on for now, so Ready stays as it is; a condition says which chips are sick.
"""

from __future__ import annotations

from collections.abc import Iterable

from resnet_operator.api.reasons import Reason
from resnet_operator.seen.workload import Pod

Said = tuple[str, Reason, str]
MOST_NAMED = 8


def _unhealthy(pods: Iterable[Pod]) -> tuple[str, ...] | None:
    """Return the sick devices under pods; None where no kubelet says anything of devices."""
    known = [pod.unhealthy for pod in pods if pod.unhealthy is not None and not pod.meta.deleting]
    return tuple(sorted({one for found in known for one in found})) if known else None


def chips_condition(pods: Iterable[Pod]) -> Said | None:
    """Return what the condition ChipsHealthy says; None where nothing is known."""
    found = _unhealthy(pods)
    if found is None:
        return None
    if not found:
        return "True", Reason.READY, "no chip under a serving pod is reported unhealthy"
    named = ", ".join(found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    message = (
        f"{len(found)} of the chips under serving pods "
        f"{'is' if len(found) == 1 else 'are'} unhealthy ({named}{more}); look at them with "
        "npu-smi, and delete the pods to have them made again on other chips"
    )
    return "False", Reason.CHIP_UNHEALTHY, message
