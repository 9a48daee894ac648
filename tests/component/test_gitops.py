"""What GitOps tools see of an object that they applied: no difference, after defaults and status.

Argo CD and Flux apply by server-side apply and compare the answer of a dry run with what is there.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.client import APPLY
from tests.component.objects import service
from tests.component.world import until

if TYPE_CHECKING:
    from tests.component.world import World

NAME = "digits"
MANAGERS = ("argocd-controller", "kustomize-controller")


@dataclass(frozen=True)
class Applied:
    reason: str
    spec: dict[str, Any] = field(default_factory=dict)
    # What others do to the object afterwards.
    scaled_to: int | None = None


APPLIED = (
    Applied("no more than is needed: the API server fills in serving.replicas", {}),
    Applied("an empty serving", {"serving": {}}),
    Applied("replicas that the manifest states", {"serving": {"replicas": 1}}),
    Applied("an autoscaler owns the replicas, which the manifest leaves out", {}, scaled_to=2),
    Applied("parts that are empty maps", {"serving": {"networkPolicy": {}, "batching": {}}}),
    Applied("labels of classes", {"model": {"classLabels": {"configMapKeyRef": {
        "name": "labels", "key": "labels.txt"}}}}),
    Applied("suspended", {"suspend": True}),
    Applied("quantities as people write them", {"serving": {"resources": {
        "requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 2, "memory": "2.5Gi"}}},
        "conversion": {"resources": {"requests": {"cpu": "0.5"}, "limits": {"memory": "2e9"}}},
        "containerResources": {"fetch": {"requests": {"cpu": "0.50"}}}}),
    Applied("an empty list of each kind, and empty maps", {"serving": {
        "tolerations": [], "env": [], "imagePullSecrets": [], "extraArgs": [], "nodeSelector": {},
        "topologySpreadConstraints": [], "affinity": {}, "resources": {}, "service": {}},
        "conversion": {"tolerations": []}}),
    Applied("serving that is null", {"serving": None}),
    Applied("a list by name, out of order, with empty and computed values", {"serving": {"env": [
        {"name": "Z", "value": ""}, {"name": "A", "value": "1"}, {"name": "CPU", "valueFrom": {
            "resourceFieldRef": {"resource": "limits.cpu", "divisor": 1}}}],
        "imagePullSecrets": [{"name": "b"}, {"name": "a"}]}}),
    Applied("times", {"serving": {"loadTimeoutSeconds": 600, "tolerations": [
        {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]},
        "conversion": {"timeoutSeconds": 7200}, "rollout": {"progressDeadlineSeconds": 900}}),
    Applied("floats that are whole", {"suspend": True, "conversion": {
        "preprocessing": {"pixelFormat": "RGB888", "source": {"height": 224, "width": 224},
                          "mean": [78.0, 78.5, 79], "std": [96.0, 96.0, 96.0]}}}),
    Applied("texts of several lines", {"serving": {
        "configOverrides": "dynamic_batching {\n  max_queue_delay_microseconds: 0\n}\n"}}),
    Applied("an autoscaler of its own, whose number is not applied", {"serving": {"autoscaling": {
        "maxReplicas": 3}}}, scaled_to=2),
    Applied("ways in, traces and flags", {"serving": {
        "ingress": {"host": "a.example", "annotations": {}},
        "networkPolicy": {"allowFrom": [{"podSelector": {}}]},
        "tracing": {"otlpEndpoint": "http://collector:4318", "rate": 100},
        "extraArgs": ["--log-verbose=1"]}}),
    Applied("spread and affinity", {"serving": {
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {}}}]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
                                       "whenUnsatisfiable": "ScheduleAnyway"}]}}),
)  # fmt: skip


def manifest(case: Applied) -> dict[str, Any]:
    body = service(NAME)
    del body["spec"]["serving"]
    body["spec"] |= case.spec | {"model": body["spec"]["model"] | case.spec.get("model", {})}
    body["metadata"] |= {"labels": {"team": "vision"}, "annotations": {"example.com/a": "b"}}
    return body


async def differs(world: World, body: dict[str, Any], manager: str) -> bool:
    """Tell whether a tool would call the object out of sync: its dry run against what is there."""
    where = f"{world.path('ResNetService', NAME)}?fieldManager={manager}&force=true&dryRun=All"
    wanted = await world.api.request("PATCH", where, body, content_type=APPLY)
    return seen(wanted) != seen(await world.get("ResNetService", NAME))


def seen(body: dict[str, Any]) -> dict[str, Any]:
    """Return what tools compare: not who wrote what and when."""
    body = copy.deepcopy(body)
    del body["metadata"]["managedFields"]
    return body


def said(value: Any) -> Any:
    """Return what a manifest says without what is null."""
    if isinstance(value, dict):
        return {key: said(one) for key, one in value.items() if one is not None}
    return value


def changed(wanted: Any, live: Any, where: str = "spec") -> list[str]:
    """Return what is there in other words than it was applied, as a comparison by text sees it.

    What is null is not there.
    """
    if isinstance(wanted, dict) and isinstance(live, dict):
        found = [
            changed(value, live.get(key), f"{where}.{key}")
            for key, value in wanted.items()
            if value is not None
        ]
        return [path for paths in found for path in paths]
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        pairs = enumerate(zip(wanted, live, strict=True))
        found = [changed(one, other, f"{where}[{number}]") for number, (one, other) in pairs]
        return [path for paths in found for path in paths]
    return [] if wanted == live else [f"{where}: {wanted!r} is {live!r}"]


@pytest.mark.parametrize("manager", MANAGERS)
@pytest.mark.parametrize("case", APPLIED, ids=lambda case: case.reason)
async def test_an_applied_object_shows_no_difference(
    case: Applied, manager: str, world: World
) -> None:
    await world.start()
    labels = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "labels"}}
    await world.create(labels | {"data": {"labels.txt": "class\n" * 1000}})
    body = manifest(case)
    await world.known_artifact(body | {"spec": said(body["spec"])})
    await world.apply(body, manager=manager)
    if not case.spec.get("suspend"):
        await world.is_ready(NAME)
    await world.condition(NAME, "Ready", "True")
    if case.scaled_to is not None:
        scale = {"spec": {"replicas": case.scaled_to}}
        await world.api.request(
            "PATCH",
            f"{world.path('ResNetService', NAME)}/scale?fieldManager=autoscaler",
            scale,
            content_type="application/merge-patch+json",
        )
        await world.becomes(
            "Deployment", NAME, lambda b: b["spec"]["replicas"] == case.scaled_to, what="two pods"
        )

    async def is_in_sync() -> bool:
        return not await differs(world, body, manager)

    await until(is_in_sync, what="no difference, once the status is written")
    live = await world.get("ResNetService", NAME)
    assert live["spec"]["serving"]["replicas"] == (case.scaled_to or 1)
    assert changed(body["spec"], live["spec"]) == []
    body["spec"]["accelerator"]["count"] = 2
    assert await differs(world, body, manager), "the comparison sees a difference where one is"
