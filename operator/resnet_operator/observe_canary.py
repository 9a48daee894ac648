"""What concerns a revision that is analysed: its Deployment, its pods, and what pods count.

Called by `observe`. Counters are read while both revisions have pods to compare, and never else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from resnet_operator.cluster.kube import Kube
from resnet_operator.cluster.pod_metrics import PodMetrics
from resnet_operator.observe_pods import serving_pods
from resnet_operator.reading.counters import Counters
from resnet_operator.render.triton.pipeline import pipeline_name
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.others import NetworkServiceObject
from resnet_operator.seen.workload import DeploymentObject, Pod
from resnet_operator.watch.views import Views


@dataclass(frozen=True, kw_only=True)
class CanaryObserved:
    canaries: tuple[DeploymentObject, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: tuple[NetworkServiceObject, ...] = ()
    counters: dict[str, Counters] = field(default_factory=dict)


async def observe_canary(
    service: Meta,
    resolved: Resolved,
    old: Iterable[Pod],
    views: Views,
    kube: Kube,
    metrics: PodMetrics | None,
) -> CanaryObserved:
    """Return the Deployments of revisions beside the service's own, and what there is of them."""
    labelled = views.deployments.some(("canary", service.namespace, service.name))
    canaries = tuple(view for view in labelled if view.meta.controller == service.uid)
    named = views.network_services.some(("canary", service.namespace, service.name))
    services = tuple(view for view in named if view.meta.controller == service.uid)
    pods: list[Pod] = []
    for one in canaries:
        name, uid = one.meta.name, one.meta.uid
        pods += await serving_pods(service, uid, views, kube, deployment=name)
    new = _asked(pods)
    if metrics is None or resolved.rollout.analysis is None or not new:
        return CanaryObserved(canaries=canaries, pods=tuple(pods), services=services)
    models = [name for name in (pipeline_name(resolved), resolved.model_name) if name]
    counters = await metrics.read(new | _asked(old), models)
    return CanaryObserved(canaries=canaries, pods=tuple(pods), services=services, counters=counters)


def _asked(pods: Iterable[Pod]) -> dict[str, str]:
    """Return the addresses of pods that serve, by their UIDs."""
    return {pod.meta.uid: pod.ip for pod in pods if pod.ready and pod.ip and not pod.meta.deleting}
