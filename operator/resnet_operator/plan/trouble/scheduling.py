"""Why the scheduler places a pod nowhere, and what would change that. Called by `trouble`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.seen.pod_facts import Request
from resnet_operator.seen.workload import Pod

MISSING_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
INSUFFICIENT = re.compile(r"Insufficient ([A-Za-z0-9./_-]*[A-Za-z0-9])")
NODES = re.compile(r"^\d+/(\d+) nodes are available")
UNBOUND_CLAIM = "unbound immediate PersistentVolumeClaims"
MANY_PODS = "Too many pods"

# Where a container's resources stand; those of the others in containerResources, by their names.
FIELDS = {
    "triton": "serving.resources",
    "convert": "conversion.resources",
    "quantize": "conversion.resources",
}
OURS = {"fetch", "export", "prepare", "publish", "evaluate", "artifact"}


def unschedulable(pod: Pod, resource: str | None, count: int) -> Problem | None:
    """Return what the scheduler says, in a sentence that ends with what to do."""
    text = pod.unschedulable
    if not text:
        return None
    if missing := MISSING_CLAIM.search(text):
        return missing_claim(missing[1])
    if UNBOUND_CLAIM in text:
        return Problem(
            Reason.VOLUME_MOUNT_FAILED,
            "a PersistentVolumeClaim of the pod is not bound; check its storage class",
            detail=text,
        )
    message = _message(pod, text, resource, count)
    return Problem(Reason.UNSCHEDULABLE, message, detail=text)


def missing_claim(name: str) -> Problem:
    return Problem(
        Reason.VOLUME_MOUNT_FAILED,
        f'PersistentVolumeClaim "{name}" does not exist here; create it or change the URI',
    )


def _message(pod: Pod, text: str, resource: str | None, count: int) -> str:
    nodes = NODES.match(text)
    total = nodes[1] if nodes else "0"
    lacking = sorted(set(INSUFFICIENT.findall(text)))
    if resource and resource in lacking:
        return (
            f"0/{total} nodes have {count} free {resource}; free a chip, replace an unhealthy one "
            "or add a node"
        )
    if lacking:
        return _too_much(pod.requests, lacking, total)
    if MANY_PODS in text:
        return f"0/{total} nodes take another pod; add nodes or raise the kubelet's maxPods"
    if total != "0":
        return f"0/{total} nodes fit the pod; check nodeSelector, affinity and taints"
    if nodes or "no nodes available" in text:
        return "the cluster has no ready node; add one"
    return "the scheduler cannot place the pod; see the condition for its words"


def _too_much(requests: Sequence[Request], lacking: list[str], total: str) -> str:
    """Name the amount that no node has, and the container and field that ask for most of it."""
    asked = {name: found for name in lacking if (found := _asked(requests, name))}
    if not asked:
        return f"0/{total} nodes have enough free {', '.join(lacking)}; add nodes or ask for less"
    parts = [f"{_amount(name, sum(found.values()))} {name}" for name, found in asked.items()]
    name, found = next(iter(asked.items()))
    container = max(found, key=lambda one: found[one])
    share = f"{container} asks for {_amount(name, found[container])}"
    return f"0/{total} nodes have {' and '.join(parts)} free; {_remedy(container, name, share)}"


def _asked(requests: Sequence[Request], resource: str) -> dict[str, Decimal]:
    """Return the containers whose requests count: those that run together, or the largest alone."""
    together: dict[str, Decimal] = {}
    alone: dict[str, Decimal] = {}
    for container, is_init, name, amount in requests:
        number = parse_quantity(amount)
        if name == resource and number:
            (alone if is_init else together)[container] = number
    largest = max(alone, key=lambda one: alone[one], default=None)
    if largest is not None and alone[largest] > sum(together.values()):
        return {largest: alone[largest]}
    return together


def _remedy(container: str, resource: str, share: str) -> str:
    field = FIELDS.get(container)
    if field is None and container in OURS:
        field = f"containerResources.{container}"
    if field is None:
        return f"add nodes, or have it injected with less ({share})"
    return f"lower {field}.requests.{resource} ({share}) or add nodes"


def _amount(resource: str, number: Decimal | int) -> str:
    """Write an amount as people do: 500m or 2 of cpu, Mi and Gi of the rest."""
    value = Decimal(number)
    if resource == "cpu":
        return f"{value.normalize():f}" if value == value.to_integral() else f"{value * 1000:.0f}m"
    for suffix, size in (("Gi", 2**30), ("Mi", 2**20)):
        if value >= size:
            return f"{float(value / size):.4g}{suffix}"
    return f"{value.normalize():f}"
