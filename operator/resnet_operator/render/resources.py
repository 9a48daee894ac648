"""CPU and memory of a container: what the user gave, and defaults that do not contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.api.pod import Resources
from resnet_operator.resolve import Resolved

Quantities = dict[str, str | int]
LOCAL_STORAGE = "ephemeral-storage"


def with_defaults(
    given: Resources | None, *, requests: Mapping[str, str], limits: Mapping[str, str]
) -> tuple[Quantities, Quantities]:
    """Return requests and limits; default limits stand only where the user gives none.

    The API server refuses a request above its limit, so a default gives way to what it meets.
    """
    asked: Quantities = dict((given and given.requests) or {})
    allowed: Quantities = dict((given and given.limits) or {})
    if not allowed:
        allowed = {name: _larger(asked.get(name), limit) for name, limit in limits.items()}
    wanted = {name: _smaller(allowed.get(name), request) for name, request in requests.items()}
    return {**wanted, **asked}, allowed


def with_local_storage(
    requests: Quantities, limits: Quantities, most_bytes: int
) -> dict[str, Quantities]:
    """Return both with the local disk in them, where the user has not said anything of it."""
    if LOCAL_STORAGE not in {*requests, *limits}:
        requests = requests | {LOCAL_STORAGE: "64Mi"}
        limits = limits | {LOCAL_STORAGE: str(most_bytes)}
    return {"requests": requests, "limits": limits}


def serving_resources(resolved: Resolved, memory_bytes: int, *, disk_bytes: int) -> dict[str, Any]:
    """Return those of Triton; what only we know of, such as /dev/shm, is added to the limit."""
    requests, limits = with_defaults(
        resolved.spec.serving.resources,
        requests={"cpu": "500m", "memory": "1Gi"},
        limits={"memory": "4Gi"},
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


def _larger(given: str | int | None, default: str) -> str | int:
    return default if given is None or _is_less(given, default) else given


def _smaller(given: str | int | None, default: str) -> str | int:
    return given if given is not None and _is_less(given, default) else default


def _is_less(one: str | int, other: str | int) -> bool:
    left, right = parse_quantity(one), parse_quantity(other)
    return left is not None and right is not None and left < right
