"""Two operators of one installation: one acts, and the other one takes over in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest
from tests.component.conftest import ACCOUNT
from tests.component.objects import ENVIRONMENT, service
from tests.component.proxy import Fault, Proxy
from tests.component.test_health import free_port, get
from tests.component.world import World, until
from tests.support.apiserver import ROOT

from resnet_operator import names
from resnet_operator.telemetry.metrics import LEADING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.apiserver import ApiServer

NAME = "resnet50"
MANIFEST = service(NAME)
RELEASE = "component"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{RELEASE}/leases/{RELEASE}-resnet-operator"
TAKEOVER_SECONDS = 15
SETTINGS = {
    "RESNET_LEASE_NAME": f"{RELEASE}-resnet-operator",
    "RESNET_LEASE_NAMESPACE": RELEASE,
}


@pytest.fixture(scope="module")
def lease_rights(installed_crd: ApiServer) -> None:
    """What the chart allows in the operator's own namespace, and nothing else."""
    with contextlib.suppress(AssertionError):
        installed_crd.kubectl("create", "namespace", RELEASE)
    chart = str(ROOT / "charts" / "resnet-operator")
    roles = installed_crd.helm(
        *("template", RELEASE, chart, "-n", RELEASE, "-s", "templates/rbac-lease.yaml")
    )
    installed_crd.kubectl("apply", "--server-side", "-f", "-", input=roles)


@pytest.fixture
def shared(world: World, lease_rights: None) -> World:
    return world


@contextlib.asynccontextmanager
async def process(world: World, proxy: Proxy, name: str) -> AsyncIterator[tuple[Process, int]]:
    """Run an operator as a process of its own, with a proxy of its own."""
    port = free_port()
    folder = world.folder / name
    folder.mkdir()
    async with proxy.running():
        environment = os.environ | ENVIRONMENT | SETTINGS
        environment |= {
            "KUBECONFIG": str(proxy.kubeconfig(folder)),
            "PYTHONPATH": str(ROOT / "operator"),
            "RESNET_NAMESPACES": f'["{world.namespace}"]',
            "RESNET_HTTP_PORT": str(port),
        }
        with (folder / "operator.log").open("wb") as log:
            command = [sys.executable, "-m", "resnet_operator"]
            operator = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield operator, port
        finally:
            operator.kill()
            operator.wait()


Process = subprocess.Popen[bytes]


async def is_ready(port: int) -> bool:
    with contextlib.suppress(OSError, aiohttp.ClientError):
        return (await get(port, "/readyz"))[0] == 200
    return False


async def leads(port: int) -> bool:
    with contextlib.suppress(OSError, aiohttp.ClientError):
        return "resnet_operator_leading 1.0" in (await get(port, "/metrics"))[1]
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
async def test_the_second_one_takes_over(how: signal.Signals, shared: World) -> None:
    """In the middle of work: nothing is lost, and nothing is done twice."""
    world, access = shared, shared.proxy.upstream
    proxies = [Proxy(access, account=ACCOUNT), Proxy(access, account=ACCOUNT)]
    objects = [service(f"object-{number}") for number in range(12)]
    for manifest in objects:
        await world.used_artifact(manifest)
    async with (
        process(world, proxies[0], "first") as (first, port),
        process(world, proxies[1], "second") as (second, other_port),
    ):
        await until(lambda: is_ready(port), what="the first one", seconds=60)
        await until(lambda: is_ready(other_port), what="the second one", seconds=60)
        ports = {port: proxies[0], other_port: proxies[1]}

        async def who() -> int | None:
            found = [number for number in ports if await leads(number)]
            return found[0] if found else None

        leader = await until(who, what="one of them to lead", seconds=TAKEOVER_SECONDS)
        follower = next(number for number in ports if number != leader)
        # Both may have asked for the Lease; one of them was refused.
        assert [w for w in ports[follower].writes() if "leases" not in w] == []
        for manifest in objects[:6]:
            await world.create(manifest)
        await world.has("Deployment", "object-2")
        process_of_leader = first if leader == port else second
        # What is given back nobody takes before that was seen.
        fault = Fault(resource="leases", status=503, times=None)
        if how is signal.SIGTERM:
            ports[follower].inject(fault)
        process_of_leader.send_signal(how)
        ended = time.monotonic()
        for manifest in objects[6:]:
            await world.create(manifest)
        if how is signal.SIGTERM:
            await asyncio.to_thread(process_of_leader.wait)
            lease = await world.api.request("GET", LEASE)
            assert lease["spec"]["holderIdentity"] == "", "given back"
            ended = time.monotonic()
            ports[follower].lift(fault)
        await until(lambda: leads(follower), what="the other one", seconds=TAKEOVER_SECONDS)
        took = time.monotonic() - ended
        print(f"takeover after {how.name}: {took:.1f} s")
        for manifest in objects:
            name = manifest["metadata"]["name"]
            await world.is_ready(name)
            assert (await world.get("Deployment", name))["metadata"]["generation"] == 1
            revisions = await world.all("ConfigMap", **{names.INSTANCE.replace("/", "%2F"): name})
            assert len(revisions) == 1
        assert await world.ours("Job") == [], "every record was believed"


async def test_who_cannot_renew_stops_writing(shared: World) -> None:
    """The API server takes everything but the Lease: then another one may lead already."""
    port = free_port()
    operator = await shared.start(RESNET_HTTP_PORT=str(port), **SETTINGS)
    await shared.known_artifact(MANIFEST)
    await until(lambda: leads(port), what="it to lead", seconds=TAKEOVER_SECONDS)
    fault = shared.proxy.inject(Fault(resource="leases", status=503, times=None))

    async def has_stopped() -> bool:
        return bool(LEADING._value.get() == 0)

    await until(has_stopped, what="it to look on", seconds=TAKEOVER_SECONDS)
    mark = len(shared.proxy.calls)
    await shared.create(MANIFEST)

    async def is_seen() -> bool:
        return operator.app.views.services.one(shared.namespace, NAME) is not None

    await until(is_seen, what="the object to be seen all the same")
    hits = fault.hits
    await until(lambda: has_asked(fault, hits + 2), what="two more tries for the Lease")
    assert [w for w in shared.proxy.writes(mark) if "leases" not in w] == []
    status, text = await get(port, "/readyz")
    assert (status, text[:6]) == (503, "lease:"), "nobody would act"
    shared.proxy.lift(fault)
    await shared.is_ready(NAME)
    await operator.stop()
    lease = await shared.api.request("GET", LEASE)
    assert lease["spec"]["holderIdentity"] == "", "given back"


async def has_asked(fault: Fault, times: int) -> bool:
    await asyncio.sleep(0)
    return fault.hits >= times
