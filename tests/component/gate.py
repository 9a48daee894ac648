"""The gate's Job, its pod and the numbers, as the component suite plays them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.component.objects import key_of, service, sha256_of
from tests.component.world import ended, until

from resnet_operator import names

if TYPE_CHECKING:
    from tests.component.world import World

Body = dict[str, Any]
NAME = "resnet50"
RESOURCE = "huawei.com/Ascend310P"
NO_CHIP = f"0/3 nodes are available: 3 Insufficient {RESOURCE}."
INIT = ("fetch", "prepare", "artifact")
VALIDATION: Body = {
    "dataset": {
        "uri": "https://data.example.com/held-out.tar",
        "sha256": sha256_of("held out"),
        "format": "ImageFolder",
    },
    "thresholds": {"minTop1": "0.78"},
}
BORROWING = VALIDATION | {"onNoFreeChip": "BorrowReplica"}
LATENCY: Body = {
    "requests": 400,
    "failedRequests": 0,
    "requestsPerSecond": 49.9,
    "p50Milliseconds": 3.0,
    "p90Milliseconds": 5.0,
    "p99Milliseconds": 12.5,
}
NUMBERS: Body = {
    "ok": True,
    "samples": 200,
    "top1": 0.785,
    "top1Reference": 0.79,
    "cosineSimilarity": 0.9991,
    "top1Agreement": 0.995,
    "imagesPerSecond": 512.7,
    "throughput": {"8": 1900.4},
    "resultKey": "results/abc.json",
}


def gated(
    name: str = NAME, *, gate: Body = VALIDATION, model: str = "first", replicas: int = 1
) -> Body:
    return service(name, model=model, serving={"replicas": replicas}, validation=gate)


async def gate_jobs(world: World) -> list[Body]:
    """Return the gate's Jobs that are not about to go, in the order they came."""
    found = await world.ours("Job", names.VALIDATION)
    alive = [job for job in found if "deletionTimestamp" not in job["metadata"]]
    return sorted(alive, key=lambda job: str(job["metadata"]["creationTimestamp"]))


async def candidate(world: World, *, attempt: int = 1, manifest: Body | None = None) -> Body:
    """Wait for the candidate's pod of an attempt; the scheduler has no node for it."""
    key = key_of(manifest or gated())

    async def job() -> Body | None:
        for found in await gate_jobs(world):
            name = found["metadata"]["name"]
            if name.startswith(f"rns-{key}-v") and name.endswith(f"-{attempt}"):
                return found
        return None

    found: Body = await until(job, what=f"the gate's Job {attempt} of {key}")
    return await refused_by_scheduler(world, await world.pod_of_job(found))


async def candidate_after(world: World, gone: Body) -> Body:
    """Wait for the candidate's pod of a Job in the place of one that is gone."""
    old = gone["metadata"]["uid"]

    async def pod() -> Body | None:
        for job in await gate_jobs(world):
            meta = job["metadata"]
            for found in await world.all("Pod", **{"job-name": meta["name"]}):
                owners = [owner["uid"] for owner in found["metadata"]["ownerReferences"]]
                if meta["uid"] != old and owners == [meta["uid"]]:
                    return found
        return None

    found: Body = await until(pod, what="a candidate of another Job", seconds=60)
    return await refused_by_scheduler(world, found)


async def refused_by_scheduler(world: World, pod: Body) -> Body:
    """Wait for its word, which would else come after the test's."""
    return await world.becomes(
        "Pod",
        pod["metadata"]["name"],
        lambda b: any(c["type"] == "PodScheduled" for c in b["status"]["conditions"]),
        what="the scheduler to look at the pod",
    )


async def begins(world: World, pod: Body) -> None:
    await world.pod_states(pod, "Pending", {"fetch": {"running": {}}})


def done(**containers: Body) -> dict[str, Body]:
    return {name: ended(0) for name in INIT} | containers


async def runs(world: World, pod: Body) -> None:
    states = done(evaluate={"running": {}}, triton={"running": {}})
    await world.pod_states(pod, "Running", states)


async def is_measured(world: World, pod: Body, **numbers: Any) -> None:
    said = NUMBERS | numbers
    await world.pod_states(pod, "Succeeded", done(evaluate=ended(0, said), triton=ended(0)))


async def waits_for_chip(world: World, pod: Body) -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": NO_CHIP,
    }
    change = {"status": {"phase": "Pending", "conditions": [condition]}}
    await world.patch("Pod", pod["metadata"]["name"], change, status=True)
