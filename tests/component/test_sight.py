"""The operator never goes blind for long, and never without saying so."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from devkit.cluster.cluster import Cluster
from tests.component.client import Access, Api
from tests.component.conftest import rights
from tests.component.objects import service
from tests.component.proxy import Fault, Proxy
from tests.component.test_health import free_port, get
from tests.component.world import World, until
from tests.support.apiserver import ApiServer

from resnet_operator.watch.stream import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


NAME = "resnet50"
MANIFEST = service(NAME)
# Everything is the same, and an hour is a minute.
QUICK = replace(
    LIMITS,
    watch_seconds=3.0,
    silence_seconds=4.0,
    blind_seconds=6.0,
    short_seconds=1.0,
    max_pause_seconds=1.0,
)
# Versions: far more than a server writes by itself while a test runs.
AHEAD = 500
Deed = Callable[[World], Awaitable[None]]


def injected(*faults: dict[str, Any]) -> Deed:
    async def do(world: World) -> None:
        for fault in faults:
            world.proxy.inject(Fault(times=None, **fault))
        world.proxy.cut_watches()

    return do


async def heal(world: World) -> None:
    for fault in list(world.proxy._faults):
        world.proxy.lift(fault)


async def rotate(world: World) -> None:
    """Let nobody in any more who has the token of before."""
    world.proxy.token = "the-next-token"
    world.proxy.cut_watches()


async def renew(world: World) -> None:
    world.proxy.kubeconfig(world.folder)


async def leave(world: World) -> None:
    await world.proxy.disconnect()


async def come_back(world: World) -> None:
    await world.proxy.connect()


@dataclass(frozen=True)
class Blindness:
    reason: str
    breaks: Deed
    # What readiness says of it, and of which kinds it says nothing.
    says: str
    heals: Deed = heal
    silent_of: str = ""


BOTH = ({"verb": "list"}, {"verb": "watch"})
BLINDNESS = (
    Blindness("401 for all", injected({"status": 401}), "does not accept the credentials"),
    Blindness("the token was exchanged", rotate, "does not accept the credentials", renew),
    Blindness(
        "403 for one kind",
        injected(*({**verb, "resource": "deployments", "status": 403} for verb in BOTH)),
        "Deployment in ",
        silent_of="Pod in ",
    ),
    Blindness(
        "404 for our own kind, as while its CRD is away",
        injected(*({**verb, "resource": "resnetservices", "status": 404} for verb in BOTH)),
        "ResNetService in ",
        silent_of="Pod in ",
    ),
    Blindness("429 for all", injected({"status": 429}), "429: injected: 429"),
    Blindness("500 for all", injected({"status": 500}), "500: injected: 500"),
    Blindness(
        "no answer", injected(*({**verb, "hold": "before"} for verb in BOTH)), "not seen for"
    ),
    Blindness("nobody is there", leave, "cannot be reached", come_back),
)


@pytest.mark.parametrize("case", BLINDNESS, ids=lambda case: case.reason)
async def test_blindness_is_said_and_heals(case: Blindness, world: World) -> None:
    """Readiness says which kind is not seen and why, and liveness does not kill for it."""
    port, world.limits = free_port(), QUICK
    await world.known_artifact(MANIFEST)
    await world.start(RESNET_HTTP_PORT=str(port))
    assert await get(port, "/readyz") == (200, "ok\n")
    await case.breaks(world)
    await world.create(MANIFEST)

    async def is_said() -> bool:
        status, text = await get(port, "/readyz")
        return status == 503 and case.says in text and "not seen for" in text

    await until(is_said, what=f"readiness to say {case.says!r}", seconds=30)
    _, text = await get(port, "/readyz")
    assert not case.silent_of or case.silent_of not in text
    assert (await get(port, "/healthz"))[0] == 200, "a restart would not help"
    await case.heals(world)
    await world.is_ready(NAME)
    await until(lambda: is_ready(port), what="readiness to come back")


STARTS = (("nobody is there", leave, come_back), ("an old token", rotate, renew))


@pytest.mark.parametrize(("reason", "breaks", "heals"), STARTS, ids=[case[0] for case in STARTS])
async def test_a_start_that_meets_it_waits(
    reason: str, breaks: Deed, heals: Deed, world: World
) -> None:
    """As when a whole cluster starts: no restart is needed, and none would help."""
    port, world.limits = free_port(), QUICK
    await world.known_artifact(MANIFEST)
    world.proxy.kubeconfig(world.folder)
    operator = world.begin(RESNET_HTTP_PORT=str(port))
    await breaks(world)

    async def is_said() -> bool:
        with contextlib.suppress(OSError, aiohttp.ClientError):
            status, text = await get(port, "/readyz")
            return status == 503 and "not listed yet: " in text and "no answer yet" not in text
        return False

    await until(is_said, what="readiness to say why")
    assert (await get(port, "/healthz"))[0] == 200
    await heals(world)
    await operator.synced()
    await world.create(MANIFEST)
    await world.is_ready(NAME)


async def is_ready(port: int) -> bool:
    return await get(port, "/readyz") == (200, "ok\n")


MOMENTS = (
    ("one watch is refused for its token", {"verb": "watch", "status": 401}),
    ("one list is refused for its token", {"verb": "list", "status": 401}),
    ("all watches of a kind are accepted and silent", {"verb": "watch", "silent": True}),
)


@pytest.mark.parametrize(("reason", "fault"), MOMENTS, ids=lambda value: str(value)[:50])
async def test_a_moment_of_it_heals_by_itself(
    reason: str, fault: dict[str, Any], world: World
) -> None:
    """Nobody takes the fault away: it was there once, for each of these requests."""
    world.limits = QUICK
    await world.known_artifact(MANIFEST)
    await world.start()
    found = world.proxy.inject(Fault(times=10, **fault))
    world.proxy.cut_watches()
    await until(lambda: has_hit(found), what="all kinds to meet it", seconds=30)
    await world.create(MANIFEST)
    await world.is_ready(NAME)


async def has_hit(fault: Fault) -> bool:
    return fault.hits >= 10


GARBAGE = (b"<html>\n", b'{"type": "ADDED"}\n', b"\xff\xff\n", b"[]\n", b'{"type":"ERROR"}\n')


async def test_garbage_in_a_stream(world: World) -> None:
    world.limits = QUICK
    await world.known_artifact(MANIFEST)
    await world.start()
    for data in GARBAGE:
        mark = len(world.proxy.calls)
        await world.proxy.send(data)
        await until(lambda mark=mark: has_listed(world, mark), what="a new list")  # type: ignore[misc]
    await world.create(MANIFEST)
    await world.is_ready(NAME)


async def has_listed(world: World, mark: int) -> bool:
    return world.proxy.count(mark)["list", "resnetservices"] > 0


async def test_nothing_is_decided_before_everything_is_listed(world: World) -> None:
    """The resync comes first: a Deployment that is not seen yet is not missing."""
    await world.known_artifact(MANIFEST)
    first = await world.start()
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    await first.idle()
    await first.stop()
    fault = world.proxy.inject(Fault(verb="list", resource="deployments", status=503, times=None))
    world.limits, mark = QUICK, len(world.proxy.calls)
    second = world.begin(RESNET_RESYNC_SECONDS="1")

    async def has_tried() -> bool:
        return fault.hits >= 5  # 0.2, 0.6, 1.4 and 2.4 s: two resyncs

    await until(has_tried, what="five tries")
    assert world.proxy.writes(mark) == []
    world.proxy.lift(fault)
    await second.synced()
    await second.idle()
    assert world.proxy.writes(mark) == [], "all was as it should be, and is known now"


# Another history behind the same address.


@pytest.fixture(scope="module")
def other() -> Iterator[ApiServer]:
    """A second API server, with its garbage collector, that never heard of the first one."""
    with Cluster.start(mode="api") as cluster:
        server = ApiServer(
            kubeconfig=cluster.kubeconfig, bin_dir=cluster.bin_dir, proxy_port=0, embedded=True
        )
        server.install_crd()
        yield server


@contextlib.asynccontextmanager
async def upstream(proxy: Proxy, access: Access) -> AsyncIterator[None]:
    before, proxy.upstream = proxy.upstream, access
    try:
        yield
    finally:
        proxy.upstream = before


async def version_of(api: Api) -> int:
    """Return how far a server's history goes."""
    found = await api.request("GET", "/api/v1/namespaces?limit=1")
    return int(found["metadata"]["resourceVersion"])


async def get_ahead(world: World, behind: Api) -> None:
    """Write to the world until its history is longer, by more than the other will write soon."""
    await world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "history"}})
    end, number = await version_of(behind) + AHEAD, 0
    while await version_of(world.api) < end:
        number += 1
        await world.patch("ConfigMap", "history", {"data": {"number": str(number)}})


async def see_children_first(world: World, port: int) -> None:
    """Have all kinds but our own listed from the other history: their owner is known, and lost."""
    held = world.proxy.inject(Fault(verb="list", resource="resnetservices", hold="before"))
    ours = f"a new list of ResNetService in {world.namespace}"
    mark = len(world.proxy.calls)
    world.proxy.cut_watches()

    async def is_said() -> bool:
        status, text = await get(port, "/readyz")
        return status == 503 and "went back" in text and text.rstrip().endswith(ours)

    await until(is_said, what="decisions to be held until our own kind is listed")
    assert "resnet_operator_held 1.0" in (await get(port, "/metrics"))[1]
    await held.reached.wait()
    assert world.proxy.writes(mark) == [], "its children are gone, and it is as well"
    world.proxy.lift(held)


async def test_an_api_server_of_another_history(
    world: World, other: ApiServer, installed_crd: ApiServer, tmp_path: Path
) -> None:
    """First one whose versions are lower, as after a restore; then one whose are higher."""
    port, world.limits = free_port(), QUICK
    other.kubectl("apply", "--server-side", "-f", "-", input=rights(installed_crd))
    other.kubectl("create", "namespace", world.namespace)
    await world.known_artifact(MANIFEST)
    access = Access.from_kubeconfig(other.kubeconfig)
    async with Api(access) as api:
        await get_ahead(world, api)
        operator = await world.start(RESNET_HTTP_PORT=str(port))
        await world.create(MANIFEST)
        await world.is_ready(NAME)
        await operator.idle()
        views = operator.app.views
        there = World(api=api, proxy=world.proxy, namespace=world.namespace, folder=tmp_path)
        restored = service("restored")
        await there.known_artifact(restored)
        world.vouch(restored)
        await there.create(restored)
        async with upstream(world.proxy, access):
            await see_children_first(world, port)
            await there.has("Service", "restored")
            assert [view.meta.name for view in views.services.all()] == ["restored"]

            async def is_lost() -> bool:
                return views.deployments.one(world.namespace, NAME) is None

            await until(is_lost, what="the Deployment to be lost with its history", seconds=60)
    later = service("later")
    await world.known_artifact(later)
    await world.create(later)
    world.proxy.cut_watches()
    await world.is_ready("later")
    assert {view.meta.name for view in views.services.all()} == {NAME, "later"}
    await until(lambda: is_ready(port), what="readiness")
