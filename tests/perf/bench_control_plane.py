"""`make bench`: the control plane against a floor, on a bare API server, in one run.

Prints a table of times as ratios and of costs for each object. The counts are asserted in the
component tests; times are only reported, because a busy machine is not a bug.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.component.client import Api
from tests.component.objects import path
from tests.component.test_health import free_port, get
from tests.perf.load import (
    WARM_UP,
    children_of,
    names_of,
    prepare,
    quiet,
    run_floor,
    run_operator,
    warm_up,
)
from tests.perf.rig import Operator, Rig, bare_server, difference, is_write, rig

SIZES = (500, 1000)
REST_SECONDS = 30
REPAIRS = 10
SCRAPES = 10

Row = tuple[str, str, str]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def measure(size: int, folder: Path) -> dict[str, Any]:
    """Run the floor before and after the operator on a server of its own, then rest and restart."""
    with bare_server() as kubeconfig:
        async with rig(kubeconfig, folder) as ready:
            say(f"{size} objects: the operator, and the floor before and after it ...")
            port = free_port()
            async with ready.operator(RESNET_HTTP_PORT=str(port)) as operator:
                await prepare(ready.api, "bench", size)
                await warm_up(ready.api, "bench")
                children = await children_of(ready.api, "bench", WARM_UP)
                floors = [await run_floor(ready.api, children, "floor-1", size)]
                await quiet(operator)
                found: dict[str, Any] = await run_operator(ready, operator, "bench", size)
                found |= await scrape(port)
                found |= await rest(ready, operator)
                found["repairs"] = await repairs(ready.api, "bench")
            floors.append(await run_floor(ready.api, children, "floor-2", size))
            found |= {"floor": statistics.mean(floors), "floors": floors}
            found["restart"] = await restart(ready)
            return found


async def scrape(port: int) -> dict[str, Any]:
    """Return what Prometheus waits for and reads."""
    seconds, text = [], ""
    for _ in range(SCRAPES):
        begun = time.perf_counter()
        _, text = await get(port, "/metrics")
        seconds.append(time.perf_counter() - begun)
    return {"scrape_seconds": seconds, "scrape_bytes": len(text.encode())}


async def rest(ready: Rig, operator: Operator) -> dict[str, Any]:
    """Return requests and share of a core while nothing happens."""
    before, cpu, begun = await ready.counts(), operator.cpu_seconds(), time.monotonic()
    await asyncio.sleep(REST_SECONDS)
    counts = difference(before, await ready.counts())
    share = (operator.cpu_seconds() - cpu) / (time.monotonic() - begun)
    return {"rest_calls": counts, "rest_cpu": share * 100}


async def restart(ready: Rig) -> dict[str, int]:
    """Return the requests of an operator that finds everything as it should be, by verb."""
    before = await ready.counts()
    async with ready.operator() as operator:
        await asyncio.sleep(3)
        await quiet(operator)
    counts = difference(before, await ready.counts())
    verbs: dict[str, int] = {}
    for (verb, _, _), number in counts.items():
        verbs[verb] = verbs.get(verb, 0) + number
    writes = sum(number for call, number in counts.items() if is_write(call))
    return {"writes": writes, **verbs}


async def repairs(api: Api, namespace: str) -> dict[str, list[float]]:
    """Return the seconds until a hand edit is put back, for each kind of edit."""
    container = {"name": "triton", "image": "localhost/other:1"}
    edits: dict[str, tuple[str, dict[str, Any] | None, Callable[[dict[str, Any]], bool]]] = {
        "image": (
            "Deployment",
            {"spec": {"template": {"spec": {"containers": [container]}}}},
            lambda d: d["spec"]["template"]["spec"]["containers"][0]["image"] != container["image"],
        ),
        "env": (
            "Deployment",
            {
                "spec": {
                    "template": {
                        "spec": {
                            "containers": [
                                {"name": "triton", "env": [{"name": "HOME", "value": "/elsewhere"}]}
                            ]
                        }
                    }
                }
            },
            lambda d: all(
                e["value"] != "/elsewhere"
                for e in d["spec"]["template"]["spec"]["containers"][0]["env"]
            ),
        ),
        "replicas": (
            "Deployment",
            {"spec": {"replicas": 7}},
            lambda d: d["spec"]["replicas"] != 7,
        ),
        "selector": (
            "Service",
            {"spec": {"selector": {"app": "other"}}},
            lambda d: "app" not in d["spec"]["selector"],
        ),
        "deletion": ("Service", None, lambda _: True),
    }
    found: dict[str, list[float]] = {}
    for kind, (resource, patch, is_back) in edits.items():
        for name in names_of(REPAIRS):
            where = path(resource, namespace, name)
            begun = time.perf_counter()
            if patch is None:
                uid = (await api.request("GET", where))["metadata"]["uid"]
                begun = time.perf_counter()
                await api.request("DELETE", where)
                while await _uid(api, where) in {None, uid}:
                    await asyncio.sleep(0.002)
            else:
                merge = {"content_type": "application/strategic-merge-patch+json"}
                await api.request("PATCH", where, patch, **merge)
                while not is_back(await api.request("GET", where)):
                    await asyncio.sleep(0.002)
            found.setdefault(kind, []).append(time.perf_counter() - begun)
    return found


async def _uid(api: Api, where: str) -> str | None:
    found = await api.find(where)
    return str(found["metadata"]["uid"]) if found else None


def scraped(found: dict[str, Any]) -> str:
    milliseconds = statistics.median(found["scrape_seconds"]) * 1000
    return f"{milliseconds:.0f} ms, {found['scrape_bytes'] / 1e6:.2f} MB"


def table(results: dict[int, dict[str, Any]]) -> list[Row]:
    small, large = (results[size] for size in SIZES)
    ratio = small["deployed"] / small["floor"]
    rows = [
        ("500 objects, to the last Deployment", f"{small['deployed']:.1f} s", ""),
        ("the floor (before, after)", ", ".join(f"{s:.1f} s" for s in small["floors"]), ""),
        ("500 against the floor", f"{ratio:.2f} x", "< 1.5 x"),
        ("500, to the last status", f"{small['settled']:.1f} s", ""),
        ("1,000 objects, to the last Deployment", f"{large['deployed']:.1f} s", ""),
        ("1,000 against 500", f"{large['deployed'] / small['deployed']:.2f} x", "<= 2.1 x"),
        ("stored writes for each", f"{large['writes']:.2f}", "<= 6"),
        ("reads for each", f"{large['reads']:.2f}", "0"),
        ("operator CPU for each", f"{large['cpu']:.1f} ms", "< 5 ms"),
        ("memory at 1,000", f"{large['memory']:.0f} MB", "< 120 MB"),
        ("a scrape at 1,000", scraped(large), "< 300 ms, < 2 MB"),
    ]
    others = {call[0] for call in large["rest_calls"]} - {"LIST", "WATCH", "GET"}
    writes = sum(n for call, n in large["rest_calls"].items() if is_write(call))
    rows += [
        (f"writes at rest, {REST_SECONDS} s", f"{writes}", "0"),
        ("verbs at rest besides LIST and WATCH", ", ".join(sorted(others)) or "none", "none"),
        ("CPU at rest", f"{large['rest_cpu']:.2f} % of a core", "< 1 %"),
        ("writes at restart, 1,000 objects", f"{large['restart']['writes']}", "0"),
    ]
    for kind, seconds in large["repairs"].items():
        text = f"{statistics.median(seconds):.3f} s, at most {max(seconds):.3f} s"
        rows.append((f"repair of a hand edit: {kind}", text, "< 0.2 s"))
    return rows


def main() -> None:
    say(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        results = {size: asyncio.run(measure(size, Path(folder))) for size in SIZES}
    for what, value, target in (("what", "measured", "target"), *table(results)):
        print(f"{what:44}{value:34}{target}")
    if "--json" in sys.argv:
        print(json.dumps(results, default=str))


if __name__ == "__main__":
    main()
