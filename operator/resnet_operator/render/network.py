"""What lies between clients and pods: Service, Ingress, HTTPRoute, NetworkPolicy and budget.

Called by `plan.serving` and `plan.network`. Each child has an annotation with the digest of all
that we state, so that something stated no longer is seen too.
"""

from __future__ import annotations

from typing import Any

from resnet_operator import names
from resnet_operator.api.serving.network import (
    DisruptionBudget,
    NetworkPolicyOptions,
    ServiceOptions,
)
from resnet_operator.render.autoscaler import autoscaler
from resnet_operator.render.canary import PLAIN, Traffic
from resnet_operator.render.engine import render_one
from resnet_operator.render.objects import owner_reference, selector
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.settings.operator import Settings

# Every kind that `network_children` can return, and its API version.
KINDS = {
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "ScaledObject": "keda.sh/v1alpha1",
}
HTTP_PORT = 8000
PLAIN_SERVICE = ServiceOptions()
SAME_NAMESPACE: list[dict[str, Any]] = [{"podSelector": {}}]
EVERY_POD: list[dict[str, Any]] = [{"namespaceSelector": {}}]


def network_service(*, service: Meta, resolved: Resolved, only: str = "") -> dict[str, Any]:
    """Return the Service. The digest shows that what the user took away is to go again.

    `only` is the revision whose pods it selects while another one is on trial by the route.
    """
    options = resolved.spec.serving.service or PLAIN_SERVICE
    annotations = dict(options.annotations or {})
    given = options.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"annotations", "type"}
    )
    stated: Any = {**given, "annotations": annotations} if given else annotations
    return render_one(
        "service.yaml.j2",
        name=service.name,
        namespace=service.namespace,
        labels=names.labels(names.SERVING, **{names.INSTANCE: service.name}),
        annotations={**annotations, names.TEMPLATE_DIGEST: names.digest(stated, 10)},
        owners=[owner_reference(service, controller=True)],
        type=options.type or "ClusterIP",
        options=sorted(given.items()),
        http=resolved.spec.serving.publishes_http,
        selector=selector(service) | ({names.REVISION: only} if only else {}),
    )


def network_children(
    *, service: Meta, resolved: Resolved, settings: Settings, traffic: Traffic = PLAIN
) -> tuple[dict[str, Any], ...]:
    """Return the children that the spec asks for."""
    found = (
        _disruption_budget(service, resolved),
        _network_policy(service, resolved),
        _ingress(service, resolved),
        _http_route(service, resolved, traffic),
        _autoscaler(service, resolved, settings),
    )
    return tuple(body for body in found if body is not None)


def _disruption_budget(service: Meta, resolved: Resolved) -> dict[str, Any] | None:
    """Return a budget where it can help: the only pod of a service could never be drained."""
    off = resolved.spec.serving.pod_disruption_budget is DisruptionBudget.DISABLED
    if off or resolved.replicas < 2 or resolved.suspended:
        return None
    return _child("poddisruptionbudget.yaml.j2", service, selector=selector(service))


def _network_policy(service: Meta, resolved: Resolved) -> dict[str, Any] | None:
    options = resolved.spec.serving.network_policy
    if options is None:
        return None
    return _child(
        "networkpolicy.yaml.j2",
        service,
        selector=selector(service),
        callers=[*(options.allow_from or SAME_NAMESPACE), *_own_pods(service, resolved, options)],
        scrapers=options.allow_metrics_from or EVERY_POD,
    )


def _own_pods(
    service: Meta, resolved: Resolved, options: NetworkPolicyOptions
) -> list[dict[str, Any]]:
    """Return the service's own pods, where new ones ask old ones and the callers are listed."""
    analysis = resolved.rollout.analysis
    if not options.allow_from or analysis is None or analysis.min_agreement is None:
        return []
    return [{"podSelector": {"matchLabels": selector(service)}}]


def _ingress(service: Meta, resolved: Resolved) -> dict[str, Any] | None:
    options = resolved.spec.serving.ingress
    if options is None:
        return None
    return _child(
        "ingress.yaml.j2",
        service,
        users=options.annotations,
        host=options.host,
        class_name=options.class_name,
        tls_secret_name=options.tls_secret_name,
    )


def _http_route(service: Meta, resolved: Resolved, traffic: Traffic) -> dict[str, Any] | None:
    options = resolved.spec.serving.http_route
    if options is None:
        return None
    parents = [
        parent.model_dump(mode="json", by_alias=True, exclude_none=True)
        for parent in options.parent_refs
    ]
    # A route of no trial states what it always did: nothing is written for the sake of a digest.
    trial: dict[str, Any] = {"trial": _on_trial(service, traffic)} if traffic.routed else {}
    return _child(
        "httproute.yaml.j2",
        service,
        users=options.annotations,
        parent_refs=parents,
        hostnames=options.hostnames,
        **trial,
    )


def _on_trial(service: Meta, traffic: Traffic) -> dict[str, Any]:
    """Return filters and backends of the route's rule, as the Gateway API has them."""
    old: dict[str, Any] = {"name": service.name, "port": HTTP_PORT}
    new: dict[str, Any] = {"name": traffic.to, "port": HTTP_PORT}
    if traffic.copies:
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": new}}
        return {"filters": [mirror], "backendRefs": [old]}
    weights = (100 - traffic.percent, traffic.percent)
    backends = [one | {"weight": n} for one, n in zip((old, new), weights, strict=True)]
    return {"backendRefs": backends}


def _autoscaler(service: Meta, resolved: Resolved, settings: Settings) -> dict[str, Any] | None:
    found = autoscaler(service, resolved, settings)
    return _child(found[0], service, **found[1]) if found else None


def _child(
    template: str, service: Meta, *, users: dict[str, str] | None = None, **context: Any
) -> dict[str, Any]:
    stated = {**context, "annotations": users}
    return render_one(
        template,
        name=service.name,
        namespace=service.namespace,
        labels=names.labels(names.SERVING, **{names.INSTANCE: service.name}),
        annotations={**(users or {}), names.TEMPLATE_DIGEST: names.digest(stated, 10)},
        owners=[owner_reference(service, controller=True)],
        **context,
    )
