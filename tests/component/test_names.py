"""Names that others hold: told, left as they are, and taken when they are free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.objects import service

from resnet_operator import names
from resnet_operator.plan import make
from resnet_operator.render.serving import runtime_config_map, runtime_digest

if TYPE_CHECKING:
    from tests.component.world import World

Body = dict[str, Any]
NAME = "resnet50"


@dataclass(frozen=True)
class Stranger:
    reason: str
    body: Body
    manager: str = "Helm"


def network_service(spec: Body, **metadata: Any) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, **metadata},
        "spec": spec,
    }


STRANGERS = (
    Stranger(
        "a Service with a selector of its own",
        network_service({"selector": {"app": "shop"}, "ports": [{"port": 80}]}),
    ),
    Stranger(
        "a Service without a selector contradicts nothing that we would apply",
        network_service({"ports": [{"name": "web", "port": 80}]}),
    ),
    Stranger(
        "a Service that even bears our label",
        network_service(
            {"selector": {"app": "shop"}, "ports": [{"port": 80}]},
            labels={names.MANAGED_BY: names.MANAGER},
            ownerReferences=[
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": "kube-root-ca.crt",
                    "uid": "OWNER",
                    "controller": True,
                }
            ],
        ),
    ),
    Stranger(
        "a Deployment",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {
                    "metadata": {"labels": {"app": "shop"}},
                    "spec": {"containers": [{"name": "shop", "image": "shop:1"}]},
                },
            },
        },
    ),
)


def facts(body: Body) -> Body:
    """Return all that a stranger can see of an object; no word of it may change."""
    return {key: value for key, value in body.items() if key != "status"}


@pytest.mark.parametrize("case", STRANGERS, ids=lambda case: case.reason)
async def test_a_stranger_is_told_left_alone_and_succeeded(
    case: Stranger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "REFUSED_SECONDS", 0.5)
    kind = case.body["kind"]
    body = case.body
    for owner in body["metadata"].get("ownerReferences", ()):
        live = await world.has("ConfigMap", owner["name"])
        owner["uid"] = live["metadata"]["uid"]
    await world.apply(body, manager=case.manager)
    # The Deployment controller has its own to add.
    before = await world.becomes(
        kind,
        NAME,
        lambda b: kind == "Service" or b["status"]["observedGeneration"] == 1,
        what="the stranger to settle",
    )
    await world.start()
    manifest = service(NAME)
    await world.known_artifact(manifest)
    await world.create(manifest)
    said = await world.condition(NAME, "Ready", "False", "NameConflict")
    assert f'{kind} "{NAME}" belongs to {case.manager}' in said["message"]
    after = await world.get(kind, NAME)
    assert facts(after) == facts(before), case.reason
    status = (await world.get("ResNetService", NAME))["status"]
    assert status["phase"] in {"Pending", "Deploying"}

    await world.delete(kind, NAME)
    await world.becomes(
        "ResNetService",
        NAME,
        lambda b: b["status"]["phase"] == "Deploying" and "endpoints" in b["status"],
        what="the name to be taken once it is free",
    )
    ours = await world.has(kind, NAME)
    assert ours["metadata"]["labels"][names.MANAGED_BY] == names.MANAGER


async def test_a_stranger_that_holds_the_name_of_the_store(world: World) -> None:
    """Nobody's Deployment is taken over, whatever it is called."""
    stranger = network_service({"selector": {"app": "shop"}, "ports": [{"port": 80}]})
    stranger["metadata"]["name"] = names.STORE_NAME
    before = await world.apply(stranger, manager="Helm")
    await world.start()
    manifest = service(NAME)
    await world.known_artifact(manifest)
    await world.create(manifest)
    said = await world.condition(NAME, "Ready", "False", "NameConflict")
    assert f'Service "{names.STORE_NAME}" belongs to Helm' in said["message"]
    assert facts(await world.get("Service", names.STORE_NAME)) == facts(before)


async def test_a_forged_runtime_that_cannot_be_changed_is_replaced(world: World) -> None:
    """Somebody with rights on ConfigMaps made it first, and signed as the operator would."""
    name = names.runtime_name(runtime_digest())
    forged = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "immutable": True,
        "data": {"launch.py": "forged"},
    }
    where = f"{world.path('ConfigMap')}?fieldManager={names.MANAGER}"
    await world.api.request("POST", where, forged)
    await world.start()
    await world.known_artifact(service(NAME))
    for one in (NAME, "another"):
        await world.create(service(one, model=NAME))
        await world.is_ready(one)
    assert (await world.get("ConfigMap", name))["data"] == runtime_config_map("x")["data"]


async def test_what_an_object_of_the_same_name_left_behind_is_taken_over(world: World) -> None:
    """`kubectl delete --cascade=orphan` and apply: the pods go on, under the new object."""
    operator = await world.start()
    manifest = service(NAME)
    await world.known_artifact(manifest)
    await world.create(manifest)
    await world.is_ready(NAME)
    before = await world.get("Deployment", NAME)
    await world.api.request(
        "DELETE", world.path("ResNetService", NAME) + "?propagationPolicy=Orphan"
    )
    await world.has_not("ResNetService", NAME)
    await world.create(manifest)
    uid = (await world.get("ResNetService", NAME))["metadata"]["uid"]
    await world.becomes(
        "Deployment",
        NAME,
        lambda b: [o["uid"] for o in b["metadata"]["ownerReferences"]] == [uid],
        what="the Deployment to have its new owner",
    )
    await operator.idle()
    after = await world.get("Deployment", NAME)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["template"] == before["spec"]["template"], "nobody is restarted"
