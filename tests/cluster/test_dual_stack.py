"""An API server that gives Services addresses of both families: ours have them."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.component.objects import elder_of, path, service
from tests.perf.load import put_vouched, until
from tests.perf.rig import bare_server, rig

if TYPE_CHECKING:
    from tests.component.client import Api

NAMESPACE, NAME, STORE = "families", "resnet50", "resnet-store"


async def families_of(api: Api, name: str) -> list[str]:
    """Wait for a Service; return the families of its addresses."""
    where = path("Service", NAMESPACE, name)

    async def is_there() -> bool:
        return await api.find(where) is not None

    await until(is_there, what=f"the Service {name}")
    spec = (await api.request("GET", where))["spec"]
    assert spec["ipFamilyPolicy"] == "PreferDualStack"
    assert len(spec["clusterIPs"]) == len(spec["ipFamilies"])
    versions = [f"IPv{ipaddress.ip_address(one).version}" for one in spec["clusterIPs"]]
    assert versions == spec["ipFamilies"]
    return versions


def applied(folder: Path) -> Counter[str]:
    """How often the operator has sent each Service, by its own log."""
    (log,) = folder.glob("operator-*.log")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    sent = [line for line in lines if (line["message"], line.get("kind")) == ("applied", "Service")]
    return Counter(line["object"].removeprefix(f"{NAMESPACE}/") for line in sent)


async def test_services_have_addresses_of_both(tmp_path: Path) -> None:
    """And the operator does not write again what the API server has filled in."""
    with bare_server(dual_stack=True) as kubeconfig:
        async with rig(kubeconfig, tmp_path) as ready, ready.operator():
            body = {"metadata": {"name": NAMESPACE}}
            await ready.api.request("POST", "/api/v1/namespaces", body)
            manifest = service(NAME)
            await put_vouched(ready.api, NAMESPACE, elder_of(manifest), manifest)
            await ready.api.request("POST", path("ResNetService", NAMESPACE), manifest)
            assert await families_of(ready.api, NAME) == ["IPv4", "IPv6"]
            assert await families_of(ready.api, STORE) == ["IPv4", "IPv6"]
            # A change lets it compare all that there is with what it wants.
            change = {"spec": {"serving": {"replicas": 2}}}
            merge = {"content_type": "application/merge-patch+json"}
            where = path("ResNetService", NAMESPACE, NAME)
            await ready.api.request("PATCH", where, change, **merge)

            async def is_through() -> bool:
                budget = await ready.api.find(path("PodDisruptionBudget", NAMESPACE, NAME))
                found = await ready.api.request("GET", path("Deployment", NAMESPACE, NAME))
                return budget is not None and bool(found["spec"]["replicas"] == 2)

            await until(is_through, what="the change to arrive, its budget last")
            sent = applied(tmp_path)
            assert sent[NAME] == 1
            assert sent[STORE] <= 2, "two objects share it, and may both have missed it"
