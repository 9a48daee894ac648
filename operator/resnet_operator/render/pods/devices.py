"""What a serving pod says to get its chips: nodes, scheduler, driver.

Called by `render.serving`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from resnet_operator.record.artifact import Artifact
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.devices import DIALECTS, node_labels
from resnet_operator.resolve.runtimes.oneflow import GPU
from resnet_operator.settings.devices import Driver
from resnet_operator.settings.operator import Settings

DRIVER = "/usr/local/Ascend/driver"
# Of the driver: what pyACL loads, and what it reads to tell its version.
DRIVER_FILES = ("lib64", "version.info")
NOT_A_SOC = {"key": "servertype", "operator": "NotIn", "values": ["soc"]}
HOST_ARCH = {"x86_64": "huawei-x86", "aarch64": "huawei-arm"}

Parts = tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class DeviceParts:
    """What is added to the pod and to Triton's container; nothing at all for chip CPU.

    A GPU needs no more than its resource and, in some clusters, a runtime class.
    """

    node_selector: dict[str, str]
    affinity: dict[str, Any] | None
    runtime_class_name: str = ""
    scheduler_name: str = ""
    env: Parts = ()
    mounts: Parts = ()
    volumes: Parts = ()


def device_parts(*, resolved: Resolved, artifact: Artifact, settings: Settings) -> DeviceParts:
    """Return the parts; `affinity` has the user's own in it."""
    users = resolved.spec.serving.affinity
    if not resolved.on_chip:
        runtime_class = settings.gpu_runtime_class_name if resolved.chip == GPU else ""
        return DeviceParts(node_selector={}, affinity=users, runtime_class_name=runtime_class)
    table = DIALECTS[settings.devices.dialect]
    selector = node_labels(resolved.chip, settings)
    if table.volcano and artifact.arch in HOST_ARCH:
        selector["host-arch"] = HOST_ARCH[artifact.arch]
    avoids_soc = table.avoids_soc and resolved.chip.startswith("Ascend310P")
    mounts, volumes = _driver(settings)
    return DeviceParts(
        node_selector=selector,
        affinity=_with_rule(users, NOT_A_SOC) if avoids_soc else users,
        runtime_class_name=settings.runtime_class_name or table.runtime_class_name,
        scheduler_name=settings.scheduler_name or table.scheduler_name,
        env=_visible_devices(resolved) if table.volcano else (),
        mounts=mounts,
        volumes=volumes,
    )


def _visible_devices(resolved: Resolved) -> Parts:
    """Return the chips as Volcano chose them; a static slice must not have this variable."""
    if resolved.virtual_device:
        return ()
    path = f"metadata.annotations['{resolved.resource}']"
    return ({"name": "ASCEND_VISIBLE_DEVICES", "valueFrom": {"fieldRef": {"fieldPath": path}}},)


def _driver(settings: Settings) -> tuple[Parts, Parts]:
    devices = settings.devices
    if devices.driver is Driver.RUNTIME:
        return (), ()
    source: dict[str, Any] = {"hostPath": {"path": devices.driver_path, "type": "Directory"}}
    if devices.driver is Driver.CLAIM:
        claim = {"claimName": devices.driver_claim_name, "readOnly": True}
        source = {"persistentVolumeClaim": claim}
    mounts = tuple(
        {
            "name": "driver",
            "mountPath": f"{DRIVER}/{name}",
            "subPath": name,
            "readOnly": True,
        }
        for name in DRIVER_FILES
    )
    return mounts, ({"name": "driver", **source},)


def _with_rule(affinity: dict[str, Any] | None, rule: dict[str, Any]) -> dict[str, Any]:
    """Return the affinity with a rule for nodes in it: terms are alternatives, so in each one."""
    result: dict[str, Any] = json.loads(json.dumps(affinity or {}))
    node = result.setdefault("nodeAffinity", {})
    required = node.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = required.setdefault("nodeSelectorTerms", [])
    if not terms:
        terms.append({})
    for term in terms:
        rules = term.setdefault("matchExpressions", [])
        if rule not in rules:
            rules.append(rule)
    return result
