"""What the cluster and the user ask of a pod, put into one that is rendered already.

Called at the end by whoever renders a pod, so that no template has to know of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resnet_operator import names
from resnet_operator.api.pod import ContainerResources, Resources
from resnet_operator.render.pods.resources import is_less
from resnet_operator.settings.operator import Settings
from resnet_operator.settings.pods import Maker, PodSecurity

Pod = dict[str, Any]
# Their defaults are the user's fields' own: see `render.resources`.
OF_THE_SPEC = {Maker.TRITON, Maker.CONVERT, Maker.QUANTIZE}
SECURITY = {"runAsUser": "run_as_user", "runAsGroup": "run_as_group", "fsGroup": "fs_group"}


def shape_digest(template: Pod) -> str:
    """Return the digest of what decides whether a pod that waits could start another way."""
    spec = template["spec"]
    found = [
        [one["name"], one["image"], one.get("resources") or {}]
        for one in (*(spec.get("initContainers") or ()), *spec["containers"])
    ]
    return names.digest(found, 10)


def fit(template: Pod, *, settings: Settings, asked: ContainerResources | None = None) -> Pod:
    """Return the pod template with the resources and the users that are asked for."""
    spec = template["spec"]
    changed = {
        group: [_with_resources(one, settings, asked) for one in spec[group]]
        for group in ("initContainers", "containers")
        if group in spec
    }
    context = _security(spec.get("securityContext") or {}, settings.pod_security)
    return {**template, "spec": {**spec, **changed, "securityContext": context}}


def fit_helper(
    template: Pod, *, settings: Settings, asked: ContainerResources | None = None
) -> Pod:
    """Return a pod that no client asks anything, with what keeps sidecars out of it."""
    template = fit(template, settings=settings, asked=asked)
    meta, helper = template["metadata"], settings.helper_pods
    annotations = {**(meta.get("annotations") or {}), **helper.annotations}
    meta = {**meta, "labels": {**meta["labels"], **helper.labels}}
    if annotations:
        meta["annotations"] = annotations
    return {**template, "metadata": meta}


def _security(context: dict[str, Any], wanted: PodSecurity) -> dict[str, Any]:
    kept = {key: value for key, value in context.items() if key not in SECURITY}
    given = {key: getattr(wanted, field) for key, field in SECURITY.items() if key in context}
    return {**kept, **{key: value for key, value in given.items() if value is not None}}


def _with_resources(
    container: dict[str, Any], settings: Settings, asked: ContainerResources | None
) -> dict[str, Any]:
    name = container["name"]
    ours = settings.container_resources.get(name)
    layers: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    if ours is not None and name not in OF_THE_SPEC:
        layers.append((ours.requests, ours.limits))
    given: Resources | None = getattr(asked, name, None) if asked else None
    if given is not None:
        layers.append((given.requests or {}, given.limits or {}))
    if not layers:
        return container
    old = container.get("resources") or {}
    requests, limits = dict(old.get("requests") or {}), dict(old.get("limits") or {})
    for more_requests, more_limits in layers:
        # What is only a default gives way to what somebody wrote.
        for key, limit in more_limits.items():
            if key in requests and key not in more_requests and is_less(limit, requests[key]):
                requests[key] = limit
        for key, request in more_requests.items():
            if key in limits and key not in more_limits and is_less(limits[key], request):
                limits[key] = request
        requests |= more_requests
        limits |= more_limits
    return {**container, "resources": {"requests": requests, "limits": limits}}
