"""The status is true: through every repair, Ready of a healthy service is never False for long."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from tests.component.lies import a_witness as reading
from tests.component.objects import service
from tests.component.proxy import Fault as ProxyFault
from tests.component.world import World, condition_of, until

from resnet_operator import names

Body = dict[str, Any]
NAME = "resnet50"
MANIFEST = service(NAME)
MAY_LIE_SECONDS = 2.0
LABEL = "/metadata/labels/" + names.MANAGED_BY.replace("/", "~1")


async def _named(_: World) -> str:
    return NAME


async def _revision(world: World) -> str:
    (found,) = await world.ours("ConfigMap", names.REVISION_COMPONENT)
    return str(found["metadata"]["name"])


async def _runtime(world: World) -> str:
    (found,) = await world.ours("ConfigMap", names.RUNTIME_COMPONENT)
    return str(found["metadata"]["name"])


def is_owned_by(uid: str, body: Body) -> bool:
    return [owner["uid"] for owner in body["metadata"]["ownerReferences"]] == [uid]


@dataclass(frozen=True)
class Fault:
    reason: str
    kind: str
    name: Callable[[World], Awaitable[str]]
    remove: str = ""  # a path; without one the object is deleted


FAULTS = (
    Fault("the revision is deleted", "ConfigMap", _revision),
    Fault("the revision's label is taken", "ConfigMap", _revision, LABEL),
    Fault("the revision's owner is taken", "ConfigMap", _revision, "/metadata/ownerReferences"),
    Fault("all labels of the revision are taken", "ConfigMap", _revision, "/metadata/labels"),
    Fault("the runtime is deleted", "ConfigMap", _runtime),
    Fault("the runtime's label is taken", "ConfigMap", _runtime, LABEL),
    Fault("the Deployment's label is taken", "Deployment", _named, LABEL),
    Fault("the Deployment's owner is taken", "Deployment", _named, "/metadata/ownerReferences"),
    Fault("all labels of the Deployment are taken", "Deployment", _named, "/metadata/labels"),
    Fault("the Service is deleted", "Service", _named),
    Fault("the Service's label is taken", "Service", _named, LABEL),
)


@dataclass
class Witness:
    """Looks at Ready all the time; `longest` is how long it was False at one stretch."""

    longest: float = 0.0
    is_ready: bool = False

    async def look(self, world: World) -> None:
        since: float | None = None
        while True:
            said = condition_of(await world.get("ResNetService", NAME), "Ready")
            self.is_ready = said.get("status") == "True"
            if self.is_ready:
                since = None
            else:
                since = since or time.monotonic()
                self.longest = max(self.longest, time.monotonic() - since)
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def a_witness(world: World) -> AsyncIterator[Witness]:
    witness = Witness()
    task = asyncio.create_task(witness.look(world))
    try:
        yield witness
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def shape(body: Body) -> Body:
    meta = body["metadata"]
    return {
        "labels": meta.get("labels"),
        "owners": [owner["uid"] for owner in meta.get("ownerReferences") or ()],
        "data": body.get("data"),
        "selector": (body.get("spec") or {}).get("selector"),
    }


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.reason)
async def test_a_repair_is_no_outage(case: Fault, world: World) -> None:
    operator = await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    await operator.idle()
    name = await case.name(world)
    before = await world.get(case.kind, name)
    async with a_witness(world) as witness, reading(world) as reader:
        if case.remove:
            await world.json_patch(case.kind, name, {"op": "remove", "path": case.remove})
        else:
            await world.delete(case.kind, name)

        def is_repaired(body: Body) -> bool:
            is_new = body["metadata"]["uid"] != before["metadata"]["uid"]
            return shape(body) == shape(before) and is_new == (not case.remove)

        await world.becomes(case.kind, name, is_repaired, what=case.reason)
        await operator.idle()

        async def is_ready_again() -> bool:
            return witness.is_ready and operator.app.watches.background.is_idle()

        await until(is_ready_again, what="Ready")
    assert witness.longest <= MAY_LIE_SECONDS, case.reason
    assert reader.lies == []
    await operator.at_peace(world.proxy)


async def test_an_orphaned_object_that_comes_back_is_ready(world: World) -> None:
    """Its pods run on; the revision, which lost its owner, is adopted, and can be pinned."""
    operator = await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    await operator.idle()
    revision = await _revision(world)
    before = await world.get("Deployment", NAME)
    where = world.path("ResNetService", NAME)
    await world.api.request("DELETE", f"{where}?propagationPolicy=Orphan")
    await world.has_not("ResNetService", NAME)
    pinned = MANIFEST | {"spec": MANIFEST["spec"] | {"rollout": {"pinRevision": revision}}}
    await world.create(pinned)
    await world.condition(NAME, "Ready", "True")
    uid = (await world.get("ResNetService", NAME))["metadata"]["uid"]
    for kind, name in (("Deployment", NAME), ("Service", NAME), ("ConfigMap", revision)):
        owners = (await world.get(kind, name))["metadata"]["ownerReferences"]
        assert [owner["uid"] for owner in owners] == [uid]
    after = await world.get("Deployment", NAME)
    assert after["spec"]["template"] == before["spec"]["template"], "nobody is restarted"


async def test_a_status_is_of_the_object_that_it_was_made_for(world: World) -> None:
    """By the time it is written another object has the name, which then told of the old spec."""
    await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    for replicas in (2, 1):
        await world.patch("ResNetService", NAME, {"spec": {"serving": {"replicas": replicas}}})
        await world.becomes(
            "ResNetService",
            NAME,
            lambda b: b["status"]["observedGeneration"] == b["metadata"]["generation"],
            what="the status to be of this spec",
        )
    held = ProxyFault(verb="patch", resource="resnetservices/status", hold="before")
    world.proxy.inject(held)
    await world.patch("ResNetService", NAME, {"spec": {"serving": {"replicas": 3}}})
    await held.reached.wait()
    async with reading(world) as reader:
        await world.delete("ResNetService", NAME)
        await world.has_not("ResNetService", NAME)
        await world.create(MANIFEST)
        world.proxy.lift(held)
        await world.becomes(
            "ResNetService",
            NAME,
            lambda b: b["status"]["observedGeneration"] == b["metadata"]["generation"],
            what="the new object to be told of its own spec",
        )
    assert reader.lies == []


async def test_objects_that_are_deleted_and_created_at_once_become_ready(world: World) -> None:
    """The garbage collector takes what the old ones left while the new ones are being made."""
    await world.start()
    manifests = [service(f"twin-{number}", model="twin") for number in range(10)]
    # Without one that stays, the collector may take the record of the artifact too.
    stays = service("stays", model="twin")
    await world.known_artifact(stays)
    for manifest in (*manifests, stays):
        await world.create(manifest)
    for manifest in (*manifests, stays):
        await world.is_ready(manifest["metadata"]["name"])
    for manifest in manifests:
        await world.delete("ResNetService", manifest["metadata"]["name"])
        await world.create(manifest)
    for manifest in manifests:
        name = manifest["metadata"]["name"]
        uid = (await world.get("ResNetService", name))["metadata"]["uid"]
        await world.becomes(
            "Deployment",
            name,
            partial(is_owned_by, uid),
            what="the new object's own Deployment",
            seconds=90,
        )
        await world.is_ready(name)
