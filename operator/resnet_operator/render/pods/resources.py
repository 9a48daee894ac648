"""CPU and memory of a container: what the user gave, and defaults that do not contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.api.pod import Resources
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.settings.pods import ContainerResources

Quantities = dict[str, str | int]
LOCAL_STORAGE = "ephemeral-storage"


def with_defaults(
    given: Resources | None,
    *,
    requests: Mapping[str, str],
    limits: Mapping[str, str],
    cluster: ContainerResources | None = None,
) -> tuple[Quantities, Quantities]:
    """Return requests and limits; default limits stand only where the user gives none.

    Those of the `cluster` stand wherever the user has not written the same resource. The API server
    refuses a request above its limit, so a default gives way to what it meets.
    """
    asked: Quantities = dict((given and given.requests) or {})
    allowed: Quantities = dict((given and given.limits) or {})
    if not allowed:
        allowed = {name: _larger(asked.get(name), limit) for name, limit in limits.items()}
    wide = cluster or ContainerResources()
    for name, limit in wide.limits.items():
        if given is None or name not in (given.limits or {}):
            allowed[name] = _larger(asked.get(name), limit)
    defaults: Quantities = {**requests, **wide.requests}
    wanted = {name: _smaller(allowed.get(name), request) for name, request in defaults.items()}
    return {**wanted, **asked}, allowed


def with_local_storage(
    requests: Quantities, limits: Quantities, most_bytes: int
) -> dict[str, Quantities]:
    """Return both with the local disk in them, where the user has not said anything of it."""
    if LOCAL_STORAGE not in {*requests, *limits}:
        requests = requests | {LOCAL_STORAGE: "64Mi"}
        limits = limits | {LOCAL_STORAGE: str(most_bytes)}
    return {"requests": requests, "limits": limits}


def serving_resources(
    resolved: Resolved,
    memory_bytes: int,
    *,
    disk_bytes: int,
    cluster: ContainerResources | None = None,
) -> dict[str, Any]:
    """Return those of Triton; what only we know of, such as /dev/shm, is added to the limit."""
    requests, limits = with_defaults(
        resolved.spec.serving.resources,
        requests={"cpu": "500m", "memory": "1Gi"},
        limits={"memory": "4Gi"},
        cluster=cluster,
    )
    memory = parse_quantity(limits["memory"]) if "memory" in limits else None
    if memory is not None:
        limits["memory"] = str(int(memory) + memory_bytes)
    if resolved.resource:
        limits[resolved.resource] = str(resolved.chip_count)
        requests[resolved.resource] = str(resolved.chip_count)
    limits.update(resolved.more_resources)
    requests.update(resolved.more_resources)
    return with_local_storage(requests, limits, disk_bytes)


def _larger(given: str | int | None, default: str | int) -> str | int:
    return default if given is None or is_less(given, default) else given


def _smaller(given: str | int | None, default: str | int) -> str | int:
    return given if given is not None and is_less(given, default) else default


def is_less(one: str | int, other: str | int) -> bool:
    """Tell whether one quantity is below another."""
    left, right = parse_quantity(one), parse_quantity(other)
    return left is not None and right is not None and left < right
