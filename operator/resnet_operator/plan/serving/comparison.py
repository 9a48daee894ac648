"""Is it the revision that fails, or the node? The old revision's pods are the control group.

An overloaded or broken node fails every pod on it: while pods of an older revision fail there too,
a rollback would change nothing and blame the wrong one. Pure; called by `rollout`.
"""

from __future__ import annotations

from datetime import datetime

from resnet_operator import names
from resnet_operator.plan.times import seconds_since
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import Container, Pod

# An end that lies further back has nothing to do with what the new pods meet now.
RECENT_SECONDS = 900.0


def fails_as_well(observed: Observed, revision: str, now: datetime) -> str | None:
    """Return an older revision that fails on a node where pods of this revision fail too."""
    pods = [pod for pod in observed.pods if pod.node and not pod.meta.deleting]
    nodes = {pod.node for pod in pods if _revision(pod) == revision and not pod.ready}
    control = (pod for pod in pods if _revision(pod) != revision and pod.node in nodes)
    return next((_revision(pod) for pod in control if _is_failing(pod, now)), None)


def _is_failing(pod: Pod, now: datetime) -> bool:
    """Tell whether a pod that has served is unready now, or a container of it has ended lately."""
    main = [container for container in pod.containers if not container.init]
    return any(_was_ready_once(pod, one) or _ended_lately(one, now) for one in main)


def _was_ready_once(pod: Pod, container: Container) -> bool:
    lost = pod.unready_since > container.begun > ""
    return not pod.ready and container.running and container.started and lost


def _ended_lately(container: Container, now: datetime) -> bool:
    if container.exit_code is None:
        return False
    return not container.finished or abs(seconds_since(container.finished, now)) < RECENT_SECONDS


def _revision(pod: Pod) -> str:
    return pod.meta.labels.get(names.REVISION, "")
