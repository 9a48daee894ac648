"""Facts of a pod that few decisions need: its sick devices, what it asks for, who disturbs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]
# Container, whether it is an init container, resource, amount; as the API server holds it.
Request = tuple[str, bool, str, str]


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Services with chips of the same node: by name in the namespace, and how many beyond it."""

    named: tuple[str, ...] = ()
    elsewhere: int = 0


def unhealthy_devices(statuses: Iterable[Body]) -> tuple[str, ...]:
    """Return "resource id" of each device that its plugin calls unhealthy.

    Kubelets of 1.36 report it by themselves, those from 1.31 on with the feature gate
    ResourceHealthStatus.
    """
    found = {
        f"{allocated.get('name', '')} {device.get('resourceID', '')}"
        for status in statuses
        for allocated in status.get("allocatedResourcesStatus") or ()
        for device in allocated.get("resources") or ()
        if device.get("health") == "Unhealthy"
    }
    return tuple(sorted(found))


def reports_health(statuses: Iterable[Body]) -> bool:
    """Tell whether the kubelet knows how the devices are."""
    return any(
        device.get("health") in {"Healthy", "Unhealthy"}
        for status in statuses
        for allocated in status.get("allocatedResourcesStatus") or ()
        for device in allocated.get("resources") or ()
    )


def requests_of(spec: Body) -> tuple[Request, ...]:
    """Return what each container asks for; init containers too, which run one after another."""
    containers = [(one, True) for one in spec.get("initContainers") or ()]
    containers += [(one, False) for one in spec.get("containers") or ()]
    return tuple(
        (container["name"], is_init, resource, str(amount))
        for container, is_init in containers
        for resource, amount in _requests(container).items()
    )


def _requests(container: Body) -> dict[str, Any]:
    """A limit without a request is a request."""
    resources = container.get("resources") or {}
    return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}


def disruption_of(conditions: Mapping[str, Body]) -> tuple[str, str]:
    """Return why the control plane ends the pod, and its words; nothing when it does not."""
    found = conditions.get("DisruptionTarget") or {}
    if found.get("status") != "True":
        return "", ""
    return found.get("reason") or "", found.get("message") or ""


def replica_set_of(meta: Body) -> str:
    """Return the name of the ReplicaSet that controls the pod; nothing where another kind does."""
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller"):
            is_one = (owner.get("apiVersion"), owner.get("kind")) == ("apps/v1", "ReplicaSet")
            return str(owner.get("name")) if is_one else ""
    return ""
