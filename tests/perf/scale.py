"""Many objects, and another version beside this one: `python -m tests.perf.scale`.

    python -m tests.perf.scale --sizes 500,1000 --against ../v0.1.0 --namespaces 10

Each version has a server of its own with the same objects, made while no operator is there, with
artifacts that were converted some other day. Then the operator starts: what it costs until all is
said, and at rest. Then all pods become ready, the operator ends, an object is changed, and it
starts a second time. `carried out` is the time from the start of its process until that change is
in the Deployment, `next change` the same of one that is made then, and `verified` the time until
the last object has been looked at. `start-up` is the process alone, with nothing to list.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.component.client import Api
from tests.component.objects import path, service
from tests.perf.load import FLOOR_CONNECTIONS, each, put_vouched, until
from tests.perf.rig import ROOT, Operator, Rig, bare_server, difference, is_write, rig

STILL_SECONDS = 3.0  # without a hundredth of a second of CPU
ALIVE_SECONDS = 3600.0
TELL_SECONDS = 30.0
LISTED = b"all objects are listed"
MERGE = {"content_type": "application/merge-patch+json"}
REPLICAS = 2  # what a change asks for


def place(number: int, namespaces: int) -> str:
    return f"scale-{number % namespaces:03}"


async def fill(api: Api, size: int, namespaces: int) -> None:
    for number in range(namespaces):
        await api.request("POST", "/api/v1/namespaces", {"metadata": {"name": place(number, 1000)}})

    async def make(number: int) -> None:
        manifest = service(f"scale-{number:05}")
        await put_vouched(api, place(number, namespaces), manifest, manifest)

    await each(range(size), make, workers=FLOOR_CONNECTIONS)


def tell(what: str, numbers: dict[str, float]) -> None:
    said = ", ".join(f"{key} {value:.2f}" for key, value in numbers.items())
    print(f"{what}: {said}", flush=True)


async def settle(operator: Operator, is_done: Any = None) -> float:
    """Wait until the operator stands still; returns the seconds until it did."""
    begun = changed = told = time.monotonic()
    used = operator.cpu_seconds()
    while (now := time.monotonic()) - begun < ALIVE_SECONDS:
        await asyncio.sleep(0.5)
        if now - told > TELL_SECONDS:
            told = now
            numbers = {"CPU s": operator.cpu_seconds(), "MB": operator.memory_megabytes()}
            tell(f"  after {now - begun:.0f} s", numbers)
        if operator.cpu_seconds() - used > 0.02:
            used, changed = operator.cpu_seconds(), time.monotonic()
        elif now - changed > STILL_SECONDS and (is_done is None or await is_done()):
            return changed - begun
    raise AssertionError(f"the operator did not come to rest in {ALIVE_SECONDS:g} s")


async def until_listed(operator: Operator) -> None:
    """Wait until the operator says that it sees everything."""
    end = time.monotonic() + ALIVE_SECONDS
    while LISTED not in Path(operator.log.name).read_bytes():
        assert time.monotonic() < end, "the operator has not listed everything"
        await asyncio.sleep(0.02)


async def make_ready(api: Api, size: int, namespaces: int) -> None:
    """Have all pods of all Deployments ready, as their controller would say it."""

    async def one(number: int) -> None:
        where = path("Deployment", place(number, namespaces), f"scale-{number:05}")
        body = await api.request("GET", where)
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        status = dict.fromkeys(counts, body["spec"]["replicas"])
        status["observedGeneration"] = body["metadata"]["generation"]
        await api.request("PATCH", f"{where}/status", {"status": status}, **MERGE)

    await each(range(size), one, workers=FLOOR_CONNECTIONS)


async def change(api: Api, number: int, namespaces: int) -> None:
    where = path("ResNetService", place(number, namespaces), f"scale-{number:05}")
    await api.request("PATCH", where, {"spec": {"serving": {"replicas": REPLICAS}}}, **MERGE)


async def carried_out(api: Api, number: int, namespaces: int) -> None:
    """Wait until the Deployment of an object is as a change has it."""
    where = path("Deployment", place(number, namespaces), f"scale-{number:05}")

    async def is_so() -> bool:
        return bool((await api.request("GET", where))["spec"]["replicas"] == REPLICAS)

    await until(is_so, what="a change to be carried out", seconds=ALIVE_SECONDS)


async def deployments(api: Api) -> int:
    found = json.loads(await api.send("GET", "/apis/apps/v1/deployments?limit=1", None))
    return len(found["items"]) + int(found["metadata"].get("remainingItemCount") or 0)


async def listing_seconds(api: Api) -> float:
    """Return what the API server alone takes to list what the operator lists."""
    begun = time.perf_counter()
    for kind in ("resnetservices", "configmaps", "deployments", "services", "pods", "jobs"):
        group = {
            "resnetservices": "apis/serving.resnet-operator.io/v1alpha1",
            "deployments": "apis/apps/v1",
            "jobs": "apis/batch/v1",
        }.get(kind, "api/v1")
        await api.send("GET", f"/{group}/{kind}", None)
    return time.perf_counter() - begun


async def measure(tree: Path, size: int, namespaces: int, rest: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, bare_server() as kubeconfig:
        async with rig(kubeconfig, Path(folder)) as ready:
            begun = time.monotonic()
            async with ready.operator(tree=tree) as empty:
                await until_listed(empty)
                found = {"start-up s": time.monotonic() - begun}
                await settle(empty)
                start = empty.cpu_seconds()
            await fill(ready.api, size, namespaces)
            tell("  filled", found)
            found |= await first_run(ready, tree, size, namespaces, rest, start)
            tell("  first run", found)
            found |= await again(ready, tree, size, namespaces)
            assert len(await jobs(ready.api)) == 0, "nothing was converted"
            return found


async def first_run(
    ready: Rig, tree: Path, size: int, namespaces: int, rest: float, start: float
) -> dict[str, float]:
    async def all_there() -> bool:
        return await deployments(ready.api) >= size

    before = await ready.counts()
    async with ready.operator(tree=tree) as operator:
        seconds = await settle(operator, all_there)
        calls = difference(before, await ready.counts())
        found = {
            "seconds": seconds,
            "cpu ms each": (operator.cpu_seconds() - start) / size * 1000,
            "writes each": sum(n for c, n in calls.items() if is_write(c)) / size,
            "memory MB": operator.memory_megabytes(),
            "peak MB": operator.memory_megabytes("VmHWM"),
        }
        found |= await at_rest(ready, operator, rest)
        before_ready = operator.cpu_seconds()
        await make_ready(ready.api, size, namespaces)
        await settle(operator)
        found["ready cpu ms each"] = (operator.cpu_seconds() - before_ready) / size * 1000
        return found


async def jobs(api: Api) -> list[Any]:
    found = await api.request("GET", "/apis/batch/v1/jobs")
    return list(found["items"])


async def at_rest(ready: Rig, operator: Operator, seconds: float) -> dict[str, float]:
    before, cpu, begun = await ready.counts(), operator.cpu_seconds(), time.monotonic()
    memory = operator.memory_megabytes()
    await asyncio.sleep(seconds)
    calls = difference(before, await ready.counts())
    passed = time.monotonic() - begun
    return {
        "rest requests": sum(n for c, n in calls.items() if c[0] != "WATCH"),
        "rest writes": sum(n for c, n in calls.items() if is_write(c)),
        "rest cpu %": (operator.cpu_seconds() - cpu) / passed * 100,
        "rest growth MB": operator.memory_megabytes() - memory,
    }


async def again(ready: Rig, tree: Path, size: int, namespaces: int) -> dict[str, float]:
    listing = min([await listing_seconds(ready.api) for _ in range(3)])
    await change(ready.api, size - 1, namespaces)
    before, begun = await ready.counts(), time.monotonic()
    async with ready.operator(tree=tree) as operator:
        await carried_out(ready.api, size - 1, namespaces)
        found = {
            "carried out s": time.monotonic() - begun,
            "carried out cpu s": operator.cpu_seconds(),
        }
        again = time.monotonic()
        await change(ready.api, size - 2, namespaces)
        await carried_out(ready.api, size - 2, namespaces)
        found["next change s"] = time.monotonic() - again
        later = time.monotonic() - begun
        found["verified s"] = later + await settle(operator)
        calls = difference(before, await ready.counts())
        return found | {
            "verified cpu s": operator.cpu_seconds(),
            "restart MB": operator.memory_megabytes("VmHWM"),
            "restart writes": sum(n for c, n in calls.items() if is_write(c)),
            "listing s": listing,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", default="500,1000")
    parser.add_argument("--namespaces", type=int, default=10)
    parser.add_argument("--against", type=Path, help="the tree of another version")
    parser.add_argument("--rest", type=float, default=20.0)
    chosen = parser.parse_args()
    trees = {"here": ROOT} | ({"against": chosen.against} if chosen.against else {})
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    for size in map(int, chosen.sizes.split(",")):
        for name, tree in trees.items():
            found = asyncio.run(measure(tree.resolve(), size, chosen.namespaces, chosen.rest))
            tell(f"{size} {name}", found)


if __name__ == "__main__":
    main()
