"""Ingress, NetworkPolicy, budget and HTTPRoute on a real API server, with the chart's rights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.component.client import MERGE
from tests.component.gateway import gateway_rights, route_kind
from tests.component.objects import service
from tests.component.world import RunningOperator, World, until
from tests.support.apiserver import ApiServer

from resnet_operator import names
from resnet_operator.watch.stream import LIMITS

Body = dict[str, Any]
NAME = "resnet50"
SERVING: Body = {
    "replicas": 2,
    "ingress": {"host": "resnet50.example.com", "tlsSecretName": "certificate"},
    "networkPolicy": {"allowFrom": [{"namespaceSelector": {}}]},
    "service": {
        "type": "LoadBalancer",
        "loadBalancerClass": "example.com/internal",
        "externalTrafficPolicy": "Local",
    },
}
MANIFEST = service(NAME, serving=SERVING)
KINDS = ("Ingress", "NetworkPolicy", "PodDisruptionBudget")
ROUTED = service(NAME, serving={"httpRoute": {"parentRefs": [{"name": "public"}]}})


async def serve(world: World, manifest: Body, **environment: str) -> RunningOperator:
    operator = await world.start(**environment)
    await world.known_artifact(manifest)
    await world.create(manifest)
    await world.has("Deployment", NAME)
    await operator.idle()
    return operator


async def test_the_api_server_takes_every_child_and_keeps_what_is_stated(world: World) -> None:
    """Nothing is written a second time: what the server adds or drops is not taken for a change."""
    operator = await serve(world, MANIFEST)
    for kind in KINDS:
        body = await world.has(kind, NAME)
        assert body["metadata"]["ownerReferences"][0]["name"] == NAME
    await operator.idle()
    mark = len(world.proxy.calls)
    operator.look_at_all()
    await operator.idle()
    assert not world.proxy.since(mark, lambda call: call.is_write)
    found = await world.get("Service", NAME)
    assert found["spec"]["loadBalancerClass"] == "example.com/internal"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_child_is_put_back_and_made_again(world: World, kind: str) -> None:
    operator = await serve(world, MANIFEST)
    before = await world.has(kind, NAME)
    edit = {"metadata": {"annotations": {names.TEMPLATE_DIGEST: "other"}}}
    await world.patch(kind, NAME, edit)
    await world.becomes(
        kind,
        NAME,
        lambda b: b["metadata"]["annotations"] == before["metadata"]["annotations"],
        what="the digest to be put back",
    )
    await world.delete(kind, NAME)
    await world.has_not(kind, NAME, uid=before["metadata"]["uid"])
    again = await world.has(kind, NAME)
    assert again["spec"] == before["spec"]
    await operator.idle()


async def test_what_is_wanted_no_longer_goes(world: World) -> None:
    operator = await serve(world, MANIFEST)
    for kind in KINDS:
        await world.has(kind, NAME)
    await operator.idle()
    pods = (await world.get("Deployment", NAME))["spec"]["template"]
    change = {"replicas": 1, "ingress": None, "networkPolicy": None}
    await world.patch("ResNetService", NAME, {"spec": {"serving": change}})
    for kind in KINDS:
        await world.has_not(kind, NAME)
    assert (await world.get("Deployment", NAME))["spec"]["template"] == pods, "no pod restarts"


async def test_a_strangers_ingress_is_not_taken_over(world: World) -> None:
    backend = {"defaultBackend": {"service": {"name": "mine", "port": {"number": 80}}}}
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": NAME}}
    before = await world.create(body | {"spec": backend})
    await serve(world, MANIFEST)
    ready = await world.condition(NAME, "Ready", "False", "NameConflict")
    assert f'Ingress "{NAME}"' in ready["message"]
    assert await world.get("Ingress", NAME) == before


async def test_a_cluster_without_the_gateway_api(installed_crd: ApiServer, world: World) -> None:
    """Said clearly, nothing watched; and made as soon as the kind is there."""
    if not installed_crd.embedded:
        pytest.skip("would install a CRD into somebody's cluster")
    world.limits = replace(LIMITS, absent_seconds=0.5)
    with gateway_rights(installed_crd):
        await serve(world, ROUTED, RESNET_GATEWAY_API="true")
        await world.run_pods(NAME)
        ready = await world.condition(NAME, "Ready", "False", "KindMissing")
        assert "install the Gateway API" in ready["message"]
        asked = world.proxy.since(0, lambda call: call.resource == "httproutes")
        assert {call.verb for call in asked} == {"list"}, "no watch on a kind that is not there"
        async with route_kind(world):
            route = await world.has("HTTPRoute", NAME)
            (rule,) = route["spec"]["rules"]
            (backend,) = rule["backendRefs"]
            assert (backend["name"], backend["port"], backend["kind"]) == (NAME, 8000, "Service")
            await world.is_ready(NAME)
            await world.delete("HTTPRoute", NAME)
            await world.has_not("HTTPRoute", NAME, uid=route["metadata"]["uid"])
            await world.has("HTTPRoute", NAME)


async def test_a_route_is_refused_where_it_is_switched_off(world: World) -> None:
    await world.start()
    await world.create(ROUTED)
    ready = await world.condition(NAME, "Ready", "False", "InvalidSpec")
    assert "set gatewayAPI in the operator's settings" in ready["message"]
    change = {"spec": {"serving": {"httpRoute": None}}}
    where = world.path("ResNetService", NAME)
    await world.api.request("PATCH", where, change, content_type=MERGE)

    async def is_heard() -> bool:
        body = await world.get("ResNetService", NAME)
        return bool(body["status"]["phase"] != "Failed")

    await until(is_heard, what="the corrected spec to be worked on")
