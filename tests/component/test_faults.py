"""An API server that refuses, forgets, breaks off and goes away: the world is right in the end."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.component.objects import service
from tests.component.proxy import Fault
from tests.component.world import until

from resnet_operator import names
from resnet_operator.watch.concerns import WATCHED

if TYPE_CHECKING:
    from tests.component.world import World

NAME = "resnet50"
MANIFEST = service(NAME)
GONE = {
    "type": "ERROR",
    "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"},
}
BROKEN = {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd is sad"}}


@dataclass(frozen=True)
class Refusal:
    reason: str
    verb: str
    resource: str
    status: int
    times: int = 2
    headers: tuple[tuple[str, str], ...] = ()


REFUSALS = (
    Refusal("a conflict on the Deployment", "patch", "deployments", 409),
    Refusal("a conflict on the status", "patch", "resnetservices/status", 409),
    Refusal("the revision cannot be stored", "create", "configmaps", 500),
    Refusal("the Deployment cannot be stored", "patch", "deployments", 500),
    Refusal("the Service cannot be stored", "patch", "services", 503),
    Refusal("the status cannot be stored", "patch", "resnetservices/status", 500),
    Refusal(
        "too many requests", "patch", "deployments", 429, headers=(("Retry-After", "1"),), times=1
    ),
    Refusal("a gateway's time-out", "patch", "configmaps", 504),
    Refusal("a list cannot be served", "list", "configmaps", 500, times=1),
    Refusal("a watch cannot be served", "watch", "deployments", 500, times=1),
    Refusal("a watch is refused for its age", "watch", "deployments", 410, times=1),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.reason)
async def test_a_refusal_that_passes(case: Refusal, world: World) -> None:
    fault = world.proxy.inject(
        Fault(
            verb=case.verb,
            resource=case.resource,
            status=case.status,
            times=case.times,
            headers=dict(case.headers),
        )
    )
    await world.known_artifact(MANIFEST)
    await world.start()
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    assert fault.hits == case.times
    (revision,) = await world.ours("ConfigMap", names.REVISION_COMPONENT)
    assert revision["metadata"]["name"].startswith(NAME)


async def test_a_refusal_that_lasts_is_asked_ever_more_seldom(world: World) -> None:
    """0, 0.5, 1.5 and 3.5 s: in three seconds no more than these, and the jitter's delay."""
    fault = world.proxy.inject(Fault(verb="patch", resource="deployments", status=500, times=None))
    await world.known_artifact(MANIFEST)
    operator = await world.start()
    await world.create(MANIFEST)

    async def has_tried() -> bool:
        return fault.hits >= 3

    await until(has_tried, what="three tries")
    first = next(
        call.time
        for call in world.proxy.calls
        if call.resource == "deployments" and call.verb == "patch"
    )
    tried = [
        call.time - first
        for call in world.proxy.calls
        if call.resource == "deployments" and call.verb == "patch"
    ]
    assert tried[1] >= 0.4
    assert tried[2] >= 1.2
    world.proxy.lift(fault)
    await world.is_ready(NAME)
    await operator.idle()


async def test_retry_after_is_heeded(world: World) -> None:
    """The server says when it can again, and that is longer than our own first pause."""
    world.proxy.inject(
        Fault(verb="patch", resource="deployments", status=429, headers={"Retry-After": "2"})
    )
    await world.known_artifact(MANIFEST)
    await world.start()
    await world.create(MANIFEST)
    await world.has("Deployment", NAME)
    tries = [c.time for c in world.proxy.calls if (c.verb, c.resource) == ("patch", "deployments")]
    assert tries[1] - tries[0] >= 2


@pytest.mark.parametrize("event", [GONE, BROKEN], ids=["too old", "broken"])
async def test_what_is_deleted_while_nobody_watches_is_noticed(
    event: dict[str, object], world: World
) -> None:
    """A watch that has to begin again never tells of that deletion: only the list shows it."""
    await world.known_artifact(MANIFEST)
    operator = await world.start()
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    await operator.idle()
    before = await world.get("Deployment", NAME)
    blind = world.proxy.inject(Fault(verb="watch", resource="deployments", status=503, times=None))
    world.proxy.cut_watches()
    await world.delete("Deployment", NAME)
    await world.has_not("Deployment", NAME, uid=before["metadata"]["uid"])
    world.proxy.inject(Fault(verb="watch", resource="deployments", event=event))
    world.proxy.lift(blind)
    await world.becomes(
        "Deployment",
        NAME,
        lambda b: b["metadata"]["uid"] != before["metadata"]["uid"],
        what="the Deployment to come back",
        seconds=30,
    )


async def test_watches_that_are_cut_time_and_again(world: World) -> None:
    """Nothing is missed, and nobody storms the server."""
    operator = await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    mark = len(world.proxy.calls)
    for replicas in (2, 3, 1, 2):
        world.proxy.cut_watches()
        await world.patch("ResNetService", NAME, {"spec": {"serving": {"replicas": replicas}}})
        await has_replicas(world, replicas)
    await operator.idle()
    watches = world.proxy.since(mark, lambda call: call.verb in {"watch", "list"})
    kinds = sum(not watched.is_optional for watched in WATCHED)
    assert len(watches) <= 4 * kinds * 3, "every kind, cut four times"


async def has_replicas(world: World, number: int) -> None:
    await world.becomes(
        "Deployment", NAME, lambda b: b["spec"]["replicas"] == number, what=f"{number} replicas"
    )


async def test_a_watch_that_always_ends_at_once_is_no_storm(world: World) -> None:
    """A proxy on the way that cannot stream: it works somehow, and is not hammered."""
    world.proxy.inject(
        Fault(
            verb="watch",
            resource="deployments",
            times=None,
            event={
                "type": "BOOKMARK",
                "object": {"kind": "Deployment", "metadata": {}},
            },
        )
    )
    await world.known_artifact(MANIFEST)
    await world.start()
    await world.create(MANIFEST)

    async def has_tried() -> int:
        return len(tries(world)) >= 6

    await until(has_tried, what="six tries", seconds=30)
    times = tries(world)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[3] > 1, pauses
    assert await world.find("Deployment", NAME)


def tries(world: World) -> list[float]:
    fits = ("watch", "deployments")
    return [call.time for call in world.proxy.calls if (call.verb, call.resource) == fits]


async def test_an_api_server_that_is_away_for_a_while(world: World) -> None:
    """Three seconds without an answer, as when its node is restarted; changes come meanwhile."""
    await world.known_artifact(MANIFEST)
    operator = await world.start()
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    mark = len(world.proxy.calls)
    await world.proxy.disconnect()
    other = service("other")
    await world.known_artifact(other)
    await world.create(other)
    await world.delete("Service", NAME)
    await asyncio.sleep(3)  # the outage itself
    await world.proxy.connect()
    await world.is_ready("other")
    await world.has("Service", NAME)
    await operator.idle()
    assert len(world.proxy.since(mark)) < 120, world.proxy.count(mark)


async def test_a_slow_api_server(world: World) -> None:
    """Answers that take a while are waited for: nothing is asked twice."""
    await world.known_artifact(MANIFEST)
    operator = await world.start()
    for verb in ("patch", "create"):
        world.proxy.inject(Fault(verb=verb, times=None, delay=0.3))
    mark = len(world.proxy.calls)
    await world.create(MANIFEST)
    await world.has("Service", NAME)
    await operator.idle()
    writes = world.proxy.writes(mark)
    assert writes.count(f"patch deployments {NAME}") == 1
    assert writes.count(f"patch services {NAME}") == 1
