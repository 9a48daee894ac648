"""The component suite: the real operator against a real API server, with a proxy between them.

The operator has the rights that the chart gives it, and no others: a call that the chart does
not allow fails the test that made it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.component.client import Access, Api
from tests.component.proxy import Proxy
from tests.component.world import World, open_world
from tests.support.apiserver import ROOT, ApiServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent
RELEASE = "component"
ACCOUNT = f"{RELEASE}:{RELEASE}-resnet-operator"
# Of all suites with an API server: a minute and more each.
LONGEST = {
    "cluster/test_devkit",
    *(f"component/test_{name}" for name in ("analysis", "batch_preempted", "calls", "cli")),
    *(f"component/test_{name}" for name in ("drift", "faults", "gate", "leader")),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, so that `-m "not cluster"` leaves them out.

    The files that take longest come first, or one worker is waited for with the last of them.
    """
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cluster)
    items.sort(key=lambda item: f"{item.path.parent.name}/{item.path.stem}" not in LONGEST)


def rights(server: ApiServer, *settings: str, release: str = RELEASE) -> str:
    """Return the chart's roles and bindings as YAML."""
    chart = str(ROOT / "charts" / "resnet-operator")
    flags = [flag for setting in settings for flag in ("--set", setting)]
    return server.helm(
        *("template", release, chart, "--namespace", release),
        *("--show-only", "templates/rbac.yaml", *flags),
    )


@pytest.fixture(scope="session")
def account(installed_crd: ApiServer) -> str:
    """The service account whose rights the operator has, as namespace:name."""
    installed_crd.kubectl("apply", "--server-side", "-f", "-", input=rights(installed_crd))
    return ACCOUNT


@pytest_asyncio.fixture
async def world(
    installed_crd: ApiServer, account: str, namespace: str, tmp_path: Path
) -> AsyncIterator[World]:
    """A fresh namespace with a proxy for the operator; nothing runs yet."""
    access = Access.from_kubeconfig(installed_crd.kubeconfig)
    proxy = Proxy(access, account=account)
    async with (
        Api(access) as api,
        open_world(proxy=proxy, api=api, namespace=namespace, folder=tmp_path) as it,
    ):
        yield it
