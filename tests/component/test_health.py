"""What the kubelet and Prometheus ask of the operator itself."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import aiohttp
from tests.component.objects import service
from tests.component.proxy import Fault
from tests.component.world import until

if TYPE_CHECKING:
    from tests.component.world import World

# Dashboards and alerts are written with these names.
METRICS = {
    "resnet_operator_api_requests_total",
    "resnet_operator_contested_namespaces",
    "resnet_operator_held",
    "resnet_operator_internal_errors_total",
    "resnet_operator_last_event_timestamp_seconds",
    "resnet_operator_leading",
    "resnet_operator_login_errors_total",
    "resnet_operator_queue_depth",
    "resnet_operator_queue_latency_seconds_bucket",
    "resnet_operator_queue_latency_seconds_count",
    "resnet_operator_queue_latency_seconds_sum",
    "resnet_operator_reconcile_seconds_bucket",
    "resnet_operator_reconcile_seconds_count",
    "resnet_operator_reconcile_seconds_sum",
    "resnet_operator_reconciles_total",
    "resnet_operator_services",
    "resnet_operator_slow_plans_total",
    "resnet_operator_unhealthy_chips",
    "resnet_operator_watch_age_seconds",
}
# Said once there is something to say.
RARE = {"resnet_operator_relists_total", "resnet_operator_unreadable_total"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def get(port: int, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.text()


async def test_health_and_metrics(world: World) -> None:
    port = free_port()
    await world.start(RESNET_HTTP_PORT=str(port))
    manifest = service("resnet50")
    await world.known_artifact(manifest)
    await world.create(manifest)
    await world.is_ready("resnet50")
    assert await get(port, "/healthz") == (200, "ok\n")
    assert await get(port, "/readyz") == (200, "ok\n")
    status, text = await get(port, "/metrics")
    assert status == 200
    found = set(re.findall(r"^(resnet_operator_[a-z_]+)", text, re.MULTILINE))
    assert {name for name in found if not name.endswith("_created")} - RARE == METRICS
    assert 'resnet_operator_services{phase="Ready"} 1.0' in text
    assert 'resnet_operator_api_requests_total{method="PATCH",resource="deployments"}' in text


async def test_not_ready_until_everything_has_been_listed(world: World) -> None:
    """A new pod that knows half of the cluster must not replace the old one yet."""
    port = free_port()
    fault = world.proxy.inject(Fault(verb="list", resource="pods", hold="before"))
    starting = world.begin(RESNET_HTTP_PORT=str(port))

    async def answers() -> bool:
        try:
            return (await get(port, "/healthz"))[0] == 200
        except aiohttp.ClientError:
            return False

    await until(answers, what="the server")
    said = f"Pod in {world.namespace} not listed yet: no answer yet\n"

    async def only_pods_are_missing() -> bool:
        return await get(port, "/readyz") == (503, said)

    await until(only_pods_are_missing, what="all but the pods to be listed")
    await world.create(service("resnet50"))
    assert world.proxy.writes() == []
    world.proxy.lift(fault)
    await starting.synced()
    assert await get(port, "/readyz") == (200, "ok\n")
