"""The Gateway API on a test's API server: its kind for a while, and the operator's rights to it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from devkit.ecosystem.gateway_api import NEW
from tests.component.conftest import rights
from tests.component.world import until
from tests.support import yamls
from tests.support.needs import need_gateway_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.component.world import World
    from tests.support.apiserver import ApiServer

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = "httproutes.gateway.networking.k8s.io"


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
async def route_kind(world: World, version: str = NEW) -> AsyncIterator[None]:
    """Install the Gateway API's own kind, with all its rules; remove it with all its objects."""
    crd = yamls.read(need_gateway_api(version).read_text(encoding="utf-8"))
    await world.api.request("POST", CRDS, crd)
    try:
        yield
    finally:
        await world.api.request("DELETE", f"{CRDS}/{NAME}")

        async def is_gone() -> bool:
            found = await world.api.request("GET", CRDS)
            return NAME not in {one["metadata"]["name"] for one in found["items"]}

        await until(is_gone, what="the kind to go")
