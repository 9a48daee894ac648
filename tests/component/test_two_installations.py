"""Two installations with other images over one namespace: no fight, and everybody is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.component.objects import service
from tests.component.world import World, condition_of, until
from tests.support import yamls
from tests.support.apiserver import ROOT

from resnet_operator import names
from resnet_operator.leadership import holding

if TYPE_CHECKING:
    from tests.support.apiserver import ApiServer

RELEASE = "component"
NAME = "resnet50"
MANIFEST = service(NAME)
OTHER_IMAGES = {
    "RESNET_SERVING_IMAGES": '{"AscendOM": "localhost/other-serving:2"}',
    "RESNET_STORE": '{"type": "Server", "image": "localhost/other-store:2", "size": "1Gi"}',
    "RESNET_ADOPT_NEW_DEFAULTS": "Immediately",
}


@pytest.fixture(scope="module")
def places(installed_crd: ApiServer) -> tuple[str, str]:
    """Two namespaces in which the operator's account may have a Lease."""
    chart = str(ROOT / "charts" / "resnet-operator")
    text = installed_crd.helm(
        *("template", RELEASE, chart, "-n", RELEASE, "-s", "templates/rbac-lease.yaml")
    )
    found = (RELEASE, f"{RELEASE}-2")
    for namespace in found:
        bodies = yamls.read_all(text)
        for body in bodies:
            body["metadata"]["namespace"] = namespace
        bodies.insert(0, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        installed_crd.kubectl("apply", "--server-side", "-f", "-", input=yamls.write_all(bodies))
    return found


def named(namespace: str) -> dict[str, str]:
    return {
        "RESNET_LEASE_NAME": f"{RELEASE}-resnet-operator",
        "RESNET_LEASE_NAMESPACE": namespace,
    }


def image(deployment: dict[str, object]) -> str:
    spec: dict[str, dict[str, dict[str, list[dict[str, str]]]]] = deployment["spec"]  # type: ignore[assignment]
    return spec["template"]["spec"]["containers"][0]["image"]


async def test_the_first_one_acts_and_the_other_one_stands_back(
    world: World, places: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "PATIENCE_SECONDS", 3.0)
    await world.known_artifact(MANIFEST)
    first = await world.start(**named(places[0]))
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    before = image(await world.get("Deployment", NAME))
    second = await world.start(**named(places[1]), **OTHER_IMAGES, RESNET_RESYNC_SECONDS="2")

    contested = await world.condition(NAME, "Contested", "True", "TwoOperators")
    rival = f"{places[1]}/{RELEASE}-resnet-operator"
    assert rival in contested["message"]
    for operator in (first, second):
        assert operator.app._holding is not None
        assert operator.app._holding.contested() == 1
    another = service("another")
    await world.known_artifact(another)
    await world.create(another)
    await world.is_ready("another")
    assert condition_of(await world.get("ResNetService", "another"), "Contested")
    for operator in (first, second):
        await operator.at_peace(world.proxy)
    for name in (NAME, "another"):
        assert image(await world.get("Deployment", name)) == before
    store = await world.get("Deployment", names.STORE_NAME)
    assert image(store) == "localhost/resnet-store:test"

    monkeypatch.setattr(holding, "ASK_SECONDS", 1.0)
    await first.stop()
    await world.becomes(
        "Deployment",
        NAME,
        lambda body: image(body) == "localhost/other-serving:2",
        what="the other one to take over",
        seconds=30,
    )
    await world.is_ready(NAME)

    async def is_settled() -> bool:
        return not condition_of(await world.get("ResNetService", NAME), "Contested")

    await until(is_settled, what="nobody to speak of a fight any more")
