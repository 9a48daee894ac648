"""A list of namespaces: only these are looked at, and Roles in them are enough."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.component.client import Access
from tests.component.conftest import rights
from tests.component.objects import path, record_of, service
from tests.component.proxy import Proxy
from tests.component.world import World, open_world
from tests.support.apiserver import fresh_namespace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.apiserver import ApiServer

NAME = "resnet50"
MANIFEST = service(NAME)


async def test_only_the_namespaces_of_the_list(
    world: World, installed_crd: ApiServer, tmp_path: Path
) -> None:
    """With the rights of the chart's Roles alone, which are none outside of these namespaces."""
    access = Access.from_kubeconfig(installed_crd.kubeconfig)
    with fresh_namespace(installed_crd) as second, fresh_namespace(installed_crd) as foreign:
        watched = [world.namespace, second]
        roles = rights(installed_crd, f"watchNamespaces={{{','.join(watched)}}}", release="scoped")
        assert "ClusterRole" not in roles
        installed_crd.kubectl("apply", "--server-side", "-f", "-", input=roles)
        proxy = Proxy(access, account="scoped:scoped-resnet-operator")
        folder = tmp_path / "scoped"
        folder.mkdir()
        for namespace in (*watched, foreign):
            await world.api.request(
                "POST", path("ConfigMap", namespace), record_of(MANIFEST, namespace)
            )
            await world.api.request("POST", path("ResNetService", namespace), MANIFEST)
        async with open_world(
            proxy=proxy, api=world.api, namespace=world.namespace, folder=folder
        ) as scoped:
            scoped.vouch(MANIFEST)
            operator = await scoped.start(RESNET_NAMESPACES=json.dumps(watched))
            await scoped.has("Service", NAME)
            there = World(api=world.api, proxy=proxy, namespace=second, folder=folder)
            await there.has("Service", NAME)
            await operator.idle()
            assert {call.namespace for call in proxy.since(0)} == set(watched)
        nobody = World(api=world.api, proxy=proxy, namespace=foreign, folder=folder)
        body = await nobody.get("ResNetService", NAME)
        assert body["status"] == {"observedGeneration": -1}
        assert await nobody.find("Deployment", NAME) is None


async def test_all_namespaces(world: World, installed_crd: ApiServer) -> None:
    """The default: one watch for each kind, whatever the number of namespaces."""
    with fresh_namespace(installed_crd) as second:
        world.vouch(MANIFEST)
        operator = await world.start(RESNET_NAMESPACES="[]")
        for namespace in (world.namespace, second):
            await world.api.request(
                "POST", path("ConfigMap", namespace), record_of(MANIFEST, namespace)
            )
            await world.api.request("POST", path("ResNetService", namespace), MANIFEST)
        there = World(api=world.api, proxy=world.proxy, namespace=second, folder=world.folder)
        await there.has("Service", NAME)
        await world.has("Service", NAME)
        await operator.stop()
        watches = [call for call in world.proxy.since(0) if call.verb == "watch"]
        assert {call.namespace for call in watches} == {""}
