"""The shape of the pod templates that we make: whatever it was stored in, nothing else is applied.

A closed list of fields and values. It holds for the templates of all versions of this operator, so
it is wider than what this version renders; which images and commands run is decided by the digest
of the revision (`plan.trust`), not here. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resnet_operator.settings.devices import Driver
from resnet_operator.settings.operator import Settings

POD_FIELDS = {
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "enableServiceLinks",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
    "readinessGates",
}
CONTAINERS = {"initContainers": {"artifact"}, "containers": {"triton"}}
CONTAINER_FIELDS = {
    "args",
    "command",
    "env",
    "image",
    "imagePullPolicy",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "startupProbe",
    "terminationMessagePolicy",
    "volumeMounts",
    "workingDir",
}
# Word for word; where several values are listed, one of them.
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY: Mapping[str, tuple[type, ...]] = {
    "runAsUser": (int,),
    "runAsGroup": (int,),
    "fsGroup": (int,),
    "fsGroupChangePolicy": (str,),
    "supplementalGroups": (list,),
}
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
PROJECTED = {"configMap"}
PORT_FIELDS = {"name", "containerPort", "protocol"}
ENV_FIELDS = {"name", "value", "valueFrom"}
METADATA = {"labels", "annotations"}


def misfit(template: Any, settings: Settings) -> str | None:
    """Say what is not of our shape, or nothing."""
    try:
        return _misfit(template, settings)
    except (KeyError, TypeError, AttributeError, ValueError):
        return "it is not a pod template"


def _misfit(template: Any, settings: Settings) -> str | None:
    if set(template) != {"metadata", "spec"} or not set(template["metadata"]) <= METADATA:
        return "it is not a pod template"
    pod = template["spec"]
    if extra := sorted(set(pod) - POD_FIELDS):
        return f"it sets {extra[0]}"
    if pod["automountServiceAccountToken"] is not False:
        return "it mounts a service account's token"
    if problem := _security(pod["securityContext"]):
        return problem
    for volume in pod["volumes"]:
        if problem := _volume(volume, settings):
            return problem
    for kind, known in CONTAINERS.items():
        for container in pod.get(kind) or ():
            if problem := _container(container, known):
                return problem
    return None if pod["containers"] else "it has no container"


def _security(context: Mapping[str, Any]) -> str | None:
    for field, value in context.items():
        if field == "runAsNonRoot" and value is True:
            continue
        if field == "seccompProfile" and value == {"type": "RuntimeDefault"}:
            continue
        kinds = POD_SECURITY.get(field)
        if kinds is None or isinstance(value, bool) or not isinstance(value, kinds):
            return f"its securityContext sets {field}"
        if value == 0:
            return f"its securityContext sets {field} to root"
    if not {"runAsNonRoot", "seccompProfile"} <= set(context):
        return "its securityContext is not restricted"
    return None


def _volume(volume: Mapping[str, Any], settings: Settings) -> str | None:
    (kind,) = set(volume) - {"name"}
    if kind == "hostPath":
        devices = settings.devices
        path = volume[kind].get("path")
        if devices.driver is Driver.HOST_PATH and path == devices.driver_path:
            return None
        return f"it mounts {path} of the node"
    if kind not in VOLUMES:
        return f"it has a volume of kind {kind}"
    if kind == "projected":
        for source in volume[kind]["sources"]:
            if not set(source) <= PROJECTED:
                return f"it projects {min(source)}"
    return None


def _container(container: Mapping[str, Any], known: set[str]) -> str | None:
    name = container["name"]
    if name not in known:
        return f"it has a container {name}"
    if extra := sorted(set(container) - CONTAINER_FIELDS):
        return f"its container {name} sets {extra[0]}"
    if container["securityContext"] != RESTRICTED:
        return f"its container {name} is not restricted"
    if any(not set(port) <= PORT_FIELDS for port in container.get("ports") or ()):
        return f"its container {name} takes a port of the node"
    if any(not set(item) <= ENV_FIELDS for item in container.get("env") or ()):
        return f"its container {name} has another environment"
    if any("mountPropagation" in mount for mount in container.get("volumeMounts") or ()):
        return f"its container {name} propagates mounts"
    return None
