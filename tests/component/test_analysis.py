"""A revision on trial on a real API server: its Deployment, the counters of pods, and both ends.

The pods' counters are what the test says: there is no Triton, and no network of pods.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from devkit.ecosystem import gateway_api
from tests.component.gateway import gateway_rights, route_kind
from tests.component.objects import service
from tests.component.world import condition_of, ended, until

from resnet_operator import names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.component.world import RunningOperator, World
    from tests.support.apiserver import ApiServer

Body = dict[str, Any]
NAME = "resnet50"
ANALYSIS = {"minutes": 1, "maxErrorRatio": "0.01", "steps": [10, 100]}
MANIFEST = service(NAME, serving={"replicas": 2}, rollout={"analysis": ANALYSIS})
ROUTE = {"parentRefs": [{"name": "public"}]}
WITH_GATEWAY = {"RESNET_GATEWAY_API": "true"}
LONG_AGO = "2026-01-01T00:00:00Z"
OLD, NEW = "10.9.0.", "10.9.1."


class Counted:
    """What each pod's Triton says: [answered, failed], by the beginning of its address."""

    def __init__(self) -> None:
        self.said: dict[str, tuple[int, int]] = {OLD: (1000, 0), NEW: (0, 0)}
        self.read: set[tuple[int, int]] = set()

    def of(self, operator: RunningOperator) -> None:
        operator.app.pod_metrics.fetch = self._fetch  # type: ignore[method-assign]

    async def _fetch(self, url: str) -> str:
        host = urlsplit(url).hostname or ""
        answered, failed = next(n for start, n in self.said.items() if host.startswith(start))
        self.read.add((answered, failed))
        model = f'model="{NAME}",version="1"'
        return (
            f"nv_inference_request_success{{{model}}} {answered}\n"
            f'nv_inference_request_failure{{{model},reason="OTHER"}} {failed}\n'
            f'nv_inference_request_summary_us{{{model},quantile="0.99"}} 5000\n'
        )


async def serving(world: World, manifest: Body, **environment: str) -> Counted:
    """Bring one service up to Ready, with pods that are counted."""
    counted = Counted()
    counted.of(await world.start(**environment))
    await world.known_artifact(manifest)
    await world.create(manifest)
    await world.is_ready(NAME)
    await have_addresses(world, NAME, OLD)
    return counted


@pytest_asyncio.fixture
async def counted(world: World) -> Counted:
    """A world in which one service is Ready and its pods are counted."""
    return await serving(world, MANIFEST)


@pytest_asyncio.fixture
async def gateway(
    request: pytest.FixtureRequest, installed_crd: ApiServer, world: World
) -> AsyncIterator[None]:
    """Install the Gateway API's kind, of the version that the test says."""
    if not installed_crd.embedded:
        pytest.skip("would install a CRD into somebody's cluster")
    with gateway_rights(installed_crd):
        async with route_kind(world, request.param):
            yield


def revision_of(deployment: Body) -> str:
    return str(deployment["spec"]["template"]["metadata"]["labels"][names.REVISION])


async def pods_of(world: World, revision: str) -> list[Body]:
    found = await world.all("Pod", **{names.REVISION.replace("/", "%2F"): revision})
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


async def have_addresses(world: World, deployment: str, start: str) -> None:
    """Give the pods their addresses, as the kubelet does."""
    revision = revision_of(await world.get("Deployment", deployment))
    for number, pod in enumerate(await pods_of(world, revision)):
        ip = f"{start}{number + 1}"
        status = {"podIP": ip, "podIPs": [{"ip": ip}]}
        await world.patch("Pod", pod["metadata"]["name"], {"status": status}, status=True)


async def on_trial(world: World, delay: int = 5) -> str:
    """Change the batching, bring the new pods up, and wait until they are watched."""
    batching = {"batching": {"maxQueueDelayMicroseconds": delay}}
    await world.patch("ResNetService", NAME, {"spec": {"serving": batching}})

    async def canary() -> str | None:
        found = await world.ours("Deployment", names.CANARY)
        return str(found[0]["metadata"]["name"]) if found else None

    new: str = await until(canary, what="a Deployment of the new revision")
    await world.run_pods(new)
    await have_addresses(world, new, NEW)
    await world.becomes("Deployment", new, lambda b: state_of(b).get("base"), what="a step's base")
    return new


def state_of(deployment: Body) -> Body:
    found: Body = json.loads(deployment["metadata"]["annotations"][names.ANALYSIS])
    return found


async def comes_up(world: World, revision: str) -> Body:
    """Have pods of a revision run as they come, one after the other; return the status."""
    states = {"artifact": ended(0), "triton": {"running": {}}}

    async def is_ready() -> Body | None:
        for pod in await pods_of(world, revision):
            await world.pod_states(pod, "Running", states, ready=True)
        body = await world.get("ResNetService", NAME)
        return body["status"] if condition_of(body, "Ready")["status"] == "True" else None

    status: Body = await until(is_ready, what="Ready", seconds=60)
    return status


async def are_read(world: World, counted: Counted) -> None:
    """Wait until the operator has read what is said now: it asks again after some seconds."""

    async def is_so() -> bool:
        world.operators[-1].look_at_all()
        return set(counted.said.values()) <= counted.read

    await until(is_so, what="the counters to be read again")


async def time_passes(world: World, new: str) -> None:
    """Put the beginning of the step back, which is where time is remembered."""
    state = state_of(await world.get("Deployment", new)) | {"since": LONG_AGO}
    annotations = {names.ANALYSIS: json.dumps(state)}
    await world.patch("Deployment", new, {"metadata": {"annotations": annotations}})


async def test_a_revision_that_fails_two_in_a_hundred_is_withdrawn(
    world: World, counted: Counted
) -> None:
    old = revision_of(await world.get("Deployment", NAME))
    before = {pod["metadata"]["uid"] for pod in await pods_of(world, old)}
    new = await on_trial(world)
    condition = await world.condition(NAME, "Ready", "False", "Analyzing")
    assert "10 % of the requests (1 of 3 pods)" in condition["message"]
    counted.said = {OLD: (4000, 0), NEW: (2940, 60)}
    world.operators[-1].look_at_all()
    condition = await world.condition(NAME, "Ready", "False", "RolledBack", seconds=30)
    assert "60 of 3000 requests failed" in condition["message"]
    await world.has_not("Deployment", new)
    assert revision_of(await world.get("Deployment", NAME)) == old
    assert {pod["metadata"]["uid"] for pod in await pods_of(world, old)} == before
    status = (await world.get("ResNetService", NAME))["status"]
    assert status["revisions"]["failed"]["reason"] == "ErrorRatioExceeded"
    assert status["revisions"]["failed"]["name"] == new
    assert status["rollout"]["analysis"]["result"] == "Withdrawn"
    assert status["ready"] == "2/2"


async def test_a_good_revision_goes_through_though_the_operator_is_killed(
    world: World, counted: Counted
) -> None:
    new = await on_trial(world)
    state = state_of(await world.get("Deployment", new))
    await world.operators[-1].kill()
    counted.of(await world.start())
    await world.operators[-1].at_peace(world.proxy)
    assert state_of(await world.get("Deployment", new)) == state, "the step goes on"
    counted.said = {OLD: (4000, 0), NEW: (1000, 0)}
    await are_read(world, counted)
    await time_passes(world, new)
    await world.becomes(
        "Deployment", NAME, lambda b: revision_of(b) == new, what="the new revision to have all"
    )
    await world.has_not("Deployment", new)
    said = (await comes_up(world, new))["rollout"]["analysis"]
    assert said["result"] == "Passed"
    assert said["message"].startswith("0 of 1000 requests failed")


async def test_pods_that_show_no_counters_are_told_of(world: World, counted: Counted) -> None:
    old = revision_of(await world.get("Deployment", NAME))
    new = await on_trial(world)
    counted.said = {OLD: (4000, 0), NEW: (-1, 0)}
    await are_read(world, counted)
    await time_passes(world, new)
    condition = await world.condition(NAME, "Ready", "False", "CountersUnreadable", seconds=30)
    assert "serving.networkPolicy.allowMetricsFrom" in condition["message"]
    assert revision_of(await world.get("Deployment", NAME)) == old


async def test_a_deployment_of_somebody_else_is_not_taken_over(
    world: World, counted: Counted
) -> None:
    new = await on_trial(world)
    await world.patch("ResNetService", NAME, {"spec": {"serving": {"batching": None}}})
    await world.has_not("Deployment", new)
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": new},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "theirs"}},
            "template": {
                "metadata": {"labels": {"app": "theirs"}},
                "spec": {"containers": [{"name": "theirs", "image": "theirs"}]},
            },
        },
    }
    await world.create(theirs)
    batching = {"batching": {"maxQueueDelayMicroseconds": 5}}
    await world.patch("ResNetService", NAME, {"spec": {"serving": batching}})
    await world.condition(NAME, "Ready", "False", "NameConflict")
    live = await world.get("Deployment", new)
    assert live["spec"]["selector"]["matchLabels"] == {"app": "theirs"}


# With an HTTPRoute.


def routed(**analysis: Any) -> Body:
    return service(
        NAME,
        serving={"replicas": 2, "httpRoute": ROUTE},
        rollout={"analysis": {"minutes": 1, **analysis}},
    )


def rule_of(route: Body) -> Body:
    (found,) = route["spec"]["rules"]
    return dict(found)


def weights_of(route: Body) -> dict[str, int]:
    return {one["name"]: one.get("weight", 1) for one in rule_of(route)["backendRefs"]}


def selected_by(service: Body) -> str | None:
    found: str | None = service["spec"]["selector"].get(names.REVISION)
    return found


async def is_over(world: World, new: str) -> None:
    """Wait until all clients come to all pods by the Service, as before."""
    route = await world.becomes(
        "HTTPRoute", NAME, lambda b: weights_of(b) == {NAME: 1}, what="a plain route"
    )
    assert "filters" not in rule_of(route)
    await world.has_not("Deployment", new)
    await world.has_not("Service", new)
    await world.becomes("Service", NAME, lambda b: selected_by(b) is None, what="all its pods")


@pytest.mark.parametrize("gateway", [gateway_api.NEW], indirect=True)
@pytest.mark.usefixtures("gateway")
async def test_a_share_is_a_weight_of_the_route_though_the_operator_is_killed(world: World) -> None:
    counted = await serving(world, routed(steps=[10, 100]), **WITH_GATEWAY)
    old = revision_of(await world.get("Deployment", NAME))
    new = await on_trial(world)
    shared = {NAME: 90, new: 10}
    await world.becomes("HTTPRoute", NAME, lambda b: weights_of(b) == shared, what="both weights")
    assert selected_by(await world.get("Service", NAME)) == old
    assert selected_by(await world.get("Service", new)) == new
    await world.operators[-1].at_peace(world.proxy)
    await world.operators[-1].kill()
    counted.of(await world.start(**WITH_GATEWAY))
    await world.operators[-1].at_peace(world.proxy)
    assert weights_of(await world.get("HTTPRoute", NAME)) == shared
    counted.said = {OLD: (4000, 0), NEW: (1000, 0)}
    await are_read(world, counted)
    mark = len(world.proxy.calls)
    await time_passes(world, new)
    await world.becomes(
        "Deployment", NAME, lambda b: revision_of(b) == new, what="the new revision to have all"
    )
    await is_over(world, new)
    wrote = [write for write in world.proxy.writes(mark) if "status" not in write]
    order = ("patch services", "patch deployments", "patch httproutes", "delete services")
    firsts = [next(i for i, one in enumerate(wrote) if one.startswith(verb)) for verb in order]
    assert firsts == sorted(firsts), wrote
    said = (await comes_up(world, new))["rollout"]["analysis"]
    assert said["result"] == "Passed"


@pytest.mark.parametrize("gateway", [gateway_api.OLD], indirect=True)
@pytest.mark.usefixtures("gateway")
async def test_copies_of_requests_withdraw_what_no_client_has_seen(world: World) -> None:
    counted = await serving(world, routed(mode="Mirror"), **WITH_GATEWAY)
    old = revision_of(await world.get("Deployment", NAME))
    new = await on_trial(world)
    route = await world.becomes(
        "HTTPRoute", NAME, lambda b: rule_of(b)["filters"], what="a filter that copies"
    )
    (mirror,) = rule_of(route)["filters"]
    assert mirror["requestMirror"]["backendRef"]["name"] == new
    assert weights_of(route) == {NAME: 1}
    assert (await world.get("Deployment", new))["spec"]["replicas"] == 2
    counted.said = {OLD: (4000, 0), NEW: (2940, 60)}
    world.operators[-1].look_at_all()
    await world.condition(NAME, "Ready", "False", "RolledBack", seconds=30)
    assert selected_by(await world.get("Service", NAME)) in {old, None}
    await is_over(world, new)
    assert revision_of(await world.get("Deployment", NAME)) == old
