"""What concerns a revision that is analysed: its Deployment, its pods, and what pods count.

Called by `observe`. Counters are read while both revisions have pods to compare, and never else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from resnet_operator import names
from resnet_operator.cluster.kube import Kube
from resnet_operator.cluster.pod_metrics import PodMetrics
from resnet_operator.observe_pods import is_named_by, is_quiet, serving_pods
from resnet_operator.reading.counters import Counters
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
    pods += _left(service, {one.meta.name for one in canaries}, views)
    if metrics is None or resolved.rollout.analysis is None or not new:
        return CanaryObserved(canaries=canaries, pods=tuple(pods), services=services)
    counters = await metrics.read(new | _asked(old), resolved.model_name)
    return CanaryObserved(canaries=canaries, pods=tuple(pods), services=services, counters=counters)


def _left(service: Meta, canaries: Collection[str], views: Views) -> list[Pod]:
    """Return pods of Deployments beside that are gone: the garbage collector comes a moment later.

    The Service could still select them. Nobody vouches for them, so only quiet ones count.
    """
    labelled = views.pods.some(("instance", service.namespace, service.name))
    named = ((pod, pod.meta.labels.get(names.REVISION, "")) for pod in labelled)
    return [
        pod
        for pod, name in named
        if name not in canaries and is_named_by(pod, name) and is_quiet(pod)
    ]


def _asked(pods: Iterable[Pod]) -> dict[str, str]:
    """Return the addresses of pods that serve, by their UIDs."""
    return {pod.meta.uid: pod.ip for pod in pods if pod.ready and pod.ip and not pod.meta.deleting}
