"""The load of the control plane benchmark: N objects by 8 connections, and the floor beside it.

The floor is the least that any operator could need: a plain program that POSTs the same finished
children, which were read back from the API server, with 16 connections and nothing to decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from tests.component.client import Api
from tests.component.objects import (
    OURS,
    elder_of,
    path,
    record_of,
    service,
    vouching_status,
)
from tests.perf.rig import Operator, Rig, difference, is_write

from resnet_operator import names

CREATORS = 8
FLOOR_CONNECTIONS = 16
WARM_UP = "warm-up"
FLOOR_MANAGER = "the-floor-label"  # as long as ours, and not ours


def names_of(size: int) -> list[str]:
    return [f"bench-{number:04}" for number in range(size)]


async def each(
    items: Iterable[Any], do: Callable[[Any], Awaitable[object]], *, workers: int
) -> None:
    """Do something for all items with so many connections."""
    waiting = iter(list(items))

    async def work() -> None:
        for item in waiting:
            await do(item)

    await asyncio.gather(*(work() for _ in range(workers)))


async def until(claim: Callable[[], Awaitable[bool]], *, what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not await claim():
        assert time.monotonic() < end, f"waited {seconds:g} s without success for {what}"
        await asyncio.sleep(0.02)


async def prepare(api: Api, namespace: str, size: int) -> None:
    """Make the namespace, and the records of artifacts that were converted some other day.

    A record counts when a status vouches for it: beside each object there is a suspended one.
    """
    await api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    manifests = [service(name) for name in (WARM_UP, *names_of(size))]

    async def know(manifest: dict[str, Any]) -> None:
        await put_vouched(api, namespace, elder_of(manifest), manifest)

    await each(manifests, know, workers=FLOOR_CONNECTIONS)


async def put_vouched(
    api: Api, namespace: str, user: dict[str, Any], manifest: dict[str, Any]
) -> None:
    """Make the record of an artifact, an object that uses it, and what its status says of it.

    In this order: an operator that runs makes the record that it does not find.
    """
    await api.request("POST", path("ConfigMap", namespace), record_of(manifest, namespace))
    await api.request("POST", path("ResNetService", namespace), user)
    where = path("ResNetService", namespace, user["metadata"]["name"])
    said = {"status": vouching_status(manifest, namespace)}
    merge = {"content_type": "application/merge-patch+json"}
    await api.request("PATCH", f"{where}/status", said, **merge)


async def warm_up(api: Api, namespace: str) -> None:
    """Have one object realised: from then on the namespace has its store and its runtime."""
    await api.request("POST", path("ResNetService", namespace), service(WARM_UP))

    async def is_said() -> bool:
        found = await api.request("GET", path("ResNetService", namespace, WARM_UP))
        return bool(found.get("status", {}).get("phase") == "Deploying")

    await until(is_said, what="the warm-up object")


async def children_of(api: Api, namespace: str, name: str) -> list[dict[str, Any]]:
    """Return the finished children of one object, as somebody else could POST them."""
    revisions = await api.request(
        "GET",
        path("ConfigMap", namespace) + f"?labelSelector={OURS},{names.INSTANCE}%3D{name}",
    )
    (revision,) = revisions["items"]
    found = [
        {"apiVersion": "v1", "kind": "ConfigMap", **revision},
        await api.request("GET", path("Deployment", namespace, name)),
        await api.request("GET", path("Service", namespace, name)),
    ]
    for child in found:
        child.pop("status", None)
        meta = child["metadata"]
        kept = ("name", "labels", "annotations", "ownerReferences")
        child["metadata"] = {key: meta[key] for key in kept if key in meta}
        for given in ("clusterIP", "clusterIPs"):
            child.get("spec", {}).pop(given, None)
    return found


async def run_floor(api: Api, children: list[dict[str, Any]], namespace: str, size: int) -> float:
    """Return the seconds that the plain program needs."""
    await api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    texts = [
        (path(child["kind"], namespace), json.dumps(child).replace(names.MANAGER, FLOOR_MANAGER))
        for child in children
    ]
    jobs = [
        [(where, text.replace(WARM_UP, name).encode()) for where, text in texts]
        for name in names_of(size)
    ]

    async def post(bodies: list[tuple[str, bytes]]) -> None:
        for where, body in bodies:
            await api.send("POST", where, body)

    started = time.perf_counter()
    await each(jobs, post, workers=FLOOR_CONNECTIONS)
    return time.perf_counter() - started


async def run_operator(rig: Rig, operator: Operator, namespace: str, size: int) -> dict[str, float]:
    """Create all objects; return times until all Deployments and all statuses, and the costs."""
    api = rig.api
    bodies = [json.dumps(service(name)).encode() for name in names_of(size)]
    before, cpu = await rig.counts(), operator.cpu_seconds()
    since = (await api.request("GET", path("Deployment", namespace)))["metadata"]["resourceVersion"]
    watching = asyncio.create_task(_see_deployments(api, namespace, size, since=since))
    started = time.perf_counter()
    await each(
        bodies,
        lambda body: api.send("POST", path("ResNetService", namespace), body),
        workers=CREATORS,
    )
    created = time.perf_counter() - started
    deployed = await watching - started
    await _see_statuses(api, namespace)
    settled = time.perf_counter() - started
    await quiet(operator)
    counts = difference(before, await rig.counts())
    ours = {call: n for call, n in counts.items() if call[1:] != ("resnetservices", "")}
    return {
        "created": created,
        "deployed": deployed,
        "settled": settled,
        "writes": sum(n for call, n in ours.items() if is_write(call)) / size,
        # The driver lists Deployments once and the objects while it waits.
        "reads": sum(n for call, n in ours.items() if call[0] in {"GET", "LIST"}) / size - 1 / size,
        "cpu": (operator.cpu_seconds() - cpu) / size * 1000,
        "memory": operator.memory_megabytes(),
        "peak": operator.memory_megabytes("VmHWM"),
    }


async def _see_deployments(api: Api, namespace: str, size: int, *, since: str) -> float:
    seen = 0
    async with contextlib.aclosing(api.watch(path("Deployment", namespace), since=since)) as lines:
        async for line in lines:
            seen += line.startswith(b'{"type":"ADDED"')
            if seen == size:
                return time.perf_counter()
    raise AssertionError(f"the watch ended after {seen} Deployments")


async def _see_statuses(api: Api, namespace: str) -> None:
    """Return when the last object says where it stands; polling would be a load of its own."""
    found = json.loads(await api.send("GET", path("ResNetService", namespace), None))
    wanted = [i for i in found["items"] if not i["spec"].get("suspend")]
    missing = {i["metadata"]["name"] for i in wanted if not _has_said(i)}
    since = found["metadata"]["resourceVersion"]
    if not missing:
        return
    watch = api.watch(path("ResNetService", namespace), since=since)
    async with contextlib.aclosing(watch) as lines:
        async for line in lines:
            item = json.loads(line)["object"]
            if _has_said(item):
                missing.discard(item["metadata"]["name"])
            if not missing:
                return


def _has_said(item: dict[str, Any]) -> bool:
    return bool(item.get("status", {}).get("phase") == "Deploying")


async def quiet(operator: Operator, *, seconds: float = 30) -> None:
    """Wait until the operator uses next to no CPU any more."""
    end = time.monotonic() + seconds
    used = operator.cpu_seconds()
    while time.monotonic() < end:
        await asyncio.sleep(1)
        now = operator.cpu_seconds()
        if now - used <= 0.03:
            return
        used = now
