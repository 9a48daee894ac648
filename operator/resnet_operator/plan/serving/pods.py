"""What the pods of a revision say: the first cause among them, or what they are loading.

Called by `serving` and `analysis`.
"""

from __future__ import annotations

from datetime import datetime

from resnet_operator.plan.actions import Problem
from resnet_operator.plan.revision import Revision
from resnet_operator.plan.serving.loading import Loading, loading_of
from resnet_operator.plan.serving.rollout import pods_of
from resnet_operator.plan.trouble.chip_full import found_full, with_neighbours
from resnet_operator.plan.trouble.pod import pod_trouble
from resnet_operator.plan.trouble.refusal import creation_failure
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import Pod


def pods_say(
    observed: Observed, resolved: Resolved, target: Revision | None, *, now: datetime
) -> tuple[Problem | None, Loading | None]:
    """Return the first cause among the pods of the target revision, or what they are loading."""
    if target is None:
        return None, None
    pods = pods_of(observed, target.name)
    live = observed.deployment
    if live and live.failure:
        return creation_failure(live.failure), None
    not_ready = sorted((pod for pod in pods if not pod.ready), key=lambda pod: pod.meta.created)
    for pod in not_ready:
        if found := _trouble(pod, observed, resolved):
            return found, None
    name = observed.service.meta.name
    return None, loading_of(not_ready, resolved, service=name, now=now)


def _trouble(pod: Pod, observed: Observed, resolved: Resolved) -> Problem | None:
    # The ReplicaSet replaces a pod that its node ended; it is told only while none runs.
    if pod.phase == "Failed" and any(other.phase != "Failed" for other in observed.pods):
        return None
    found = pod_trouble(
        pod,
        resource=resolved.resource,
        count=resolved.chip_count,
        warnings=observed.warnings,
    )
    return with_neighbours(found, observed.neighbours) if found and found_full(pod) else found
