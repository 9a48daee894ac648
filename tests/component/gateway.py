"""The Gateway API on a test's API server: its kind for a while, and the operator's rights to it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from tests.component.conftest import rights
from tests.component.world import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.component.world import World
    from tests.support.apiserver import ApiServer

Body = dict[str, Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# What the Gateway API's own CRD is to the operator: the kind, and nothing of its rules.
ROUTE_CRD: Body = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "httproutes.gateway.networking.k8s.io",
        "annotations": {
            "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/2997"
        },
    },
    "spec": {
        "group": "gateway.networking.k8s.io",
        "names": {"kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


@contextlib.contextmanager
def gateway_rights(server: ApiServer) -> Iterator[None]:
    """Give the operator the rights that the chart gives with gatewayAPI, and take them back."""
    allowed = rights(server, "gatewayAPI=true")
    server.kubectl("apply", "--server-side", "-f", "-", input=allowed)
    try:
        yield
    finally:
        server.kubectl("apply", "--server-side", "-f", "-", input=rights(server))


@contextlib.asynccontextmanager
async def route_kind(world: World) -> AsyncIterator[None]:
    """Install the kind, and remove it with all its objects."""
    await world.api.request("POST", CRDS, ROUTE_CRD)
    where = f"{CRDS}/{ROUTE_CRD['metadata']['name']}"
    try:
        yield
    finally:
        await world.api.request("DELETE", where)

        async def is_gone() -> bool:
            found = await world.api.request("GET", CRDS)
            names = {one["metadata"]["name"] for one in found["items"]}
            return ROUTE_CRD["metadata"]["name"] not in names

        await until(is_gone, what="the kind to go")
