"""What a user changes on a running service, and how little happens for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tests.component.client import MERGE
from tests.component.objects import key_of, service
from tests.component.world import condition_of

from resnet_operator import names

if TYPE_CHECKING:
    from tests.component.world import World

NAME = "resnet50"
MANIFEST = service(NAME)


@pytest_asyncio.fixture
async def serving(world: World) -> World:
    """A world in which one service is Ready."""
    await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    return world


async def change(world: World, spec: dict[str, Any]) -> None:
    await world.patch("ResNetService", NAME, {"spec": spec})


async def has_replicas(world: World, number: int) -> None:
    await world.becomes(
        "Deployment", NAME, lambda b: b["spec"]["replicas"] == number, what=f"{number} replicas"
    )


async def is_said(world: World, field: str, value: Any) -> None:
    await world.becomes(
        "ResNetService", NAME, lambda b: b["status"][field] == value, what=f"{field} {value}"
    )


async def test_the_scale_subresource(serving: World) -> None:
    """What `kubectl scale` and an autoscaler do."""
    where = serving.path("ResNetService", NAME) + "/scale"
    for replicas in (3, 1):
        await serving.api.request(
            "PATCH", where, {"spec": {"replicas": replicas}}, content_type=MERGE
        )
        await has_replicas(serving, replicas)
        await serving.run_pods(NAME)
        await is_said(serving, "ready", f"{replicas}/{replicas}")
        scale = await serving.api.request("GET", where)
        assert scale["spec"]["replicas"] == scale["status"]["replicas"] == replicas
        assert f"{names.INSTANCE}={NAME}" in scale["status"]["selector"]
    assert len(await serving.ours("ConfigMap", names.REVISION_COMPONENT)) == 1


async def test_no_replicas_and_back(serving: World) -> None:
    await change(serving, {"serving": {"replicas": 0}})
    await serving.condition(NAME, "Ready", "True", "ScaledToZero")
    await change(serving, {"serving": {"replicas": 1}})
    await serving.becomes(
        "Deployment", NAME, lambda b: b["spec"]["replicas"] == 1, what="a replica"
    )
    await serving.is_ready(NAME)


async def test_suspend_and_back(serving: World) -> None:
    """The pods go, the artifact stays: afterwards nothing is converted again."""
    mark = len(serving.proxy.calls)
    await change(serving, {"suspend": True})
    said = await serving.condition(NAME, "Ready", "True", "Suspended")
    assert "artifact is kept" in said["message"]
    await serving.becomes("Deployment", NAME, lambda b: b["spec"]["replicas"] == 0, what="0")
    await serving.has("ConfigMap", names.record_name(key_of(MANIFEST)))
    assert (await serving.get("ResNetService", NAME))["status"]["phase"] == "Suspended"
    await change(serving, {"suspend": None})
    await serving.becomes("Deployment", NAME, lambda b: b["spec"]["replicas"] == 1, what="1")
    await serving.is_ready(NAME)
    assert not [call for call in serving.proxy.since(mark) if call.resource == "jobs"]


async def test_suspended_from_the_start(world: World) -> None:
    """Nothing is fetched, converted or made for who does not want it yet."""
    await world.start()
    manifest = service(NAME, suspend=True)
    await world.create(manifest)
    await world.condition(NAME, "Ready", "True", "Suspended")
    assert await world.ours("Job") == []
    assert await world.ours("Deployment") == []
    await world.patch("ResNetService", NAME, {"spec": {"suspend": False}})
    await world.finish_job(manifest)
    await world.is_ready(NAME)


async def test_a_change_of_batching_rolls_and_does_not_convert(serving: World) -> None:
    before = await serving.get("Deployment", NAME)
    mark = len(serving.proxy.calls)
    await change(serving, {"serving": {"batching": {"maxBatchSize": 4}}})
    await serving.becomes(
        "Deployment",
        NAME,
        lambda b: b["spec"]["template"] != before["spec"]["template"],
        what="a new revision",
    )
    await serving.is_ready(NAME)
    revisions = {
        body["metadata"]["name"]: body["data"]["config.pbtxt"]
        for body in await serving.ours("ConfigMap", names.REVISION_COMPONENT)
    }
    assert len(revisions) == 2, "the one before is kept"
    status = (await serving.get("ResNetService", NAME))["status"]
    assert "max_batch_size: 4" in revisions[status["revisions"]["serving"]]
    assert not [call for call in serving.proxy.since(mark) if call.resource == "jobs"]


async def test_a_change_of_the_chip_converts_while_the_old_one_serves(serving: World) -> None:
    before = await serving.get("Deployment", NAME)
    await change(serving, {"accelerator": {"chip": "Ascend310P1"}})
    other = service(NAME, chip="Ascend310P1")
    await serving.job(other)
    await serving.condition(NAME, "Ready", "False")
    live = await serving.get("ResNetService", NAME)
    assert condition_of(live, "Available")["status"] == "True"
    during = await serving.get("Deployment", NAME)
    assert during["spec"]["template"] == before["spec"]["template"]
    await serving.finish_job(other)
    await serving.becomes(
        "Deployment",
        NAME,
        lambda b: b["spec"]["template"] != before["spec"]["template"],
        what="the new artifact to roll out",
    )
    await serving.is_ready(NAME)
    await serving.has_not("ConfigMap", names.record_name(key_of(MANIFEST)))


async def test_back_to_an_earlier_spec_is_the_earlier_revision(serving: World) -> None:
    first = (await serving.get("ResNetService", NAME))["status"]["revisions"]["serving"]
    await change(serving, {"serving": {"batching": {"maxBatchSize": 4}}})
    await serving.becomes(
        "ResNetService",
        NAME,
        lambda b: b["status"]["revisions"]["desired"] != first,
        what="another revision",
    )
    await serving.is_ready(NAME)
    await change(serving, {"serving": {"batching": None}})
    await serving.becomes(
        "ResNetService",
        NAME,
        lambda b: b["status"]["revisions"]["desired"] == first,
        what="the first revision again",
    )
    await serving.is_ready(NAME)


async def test_only_the_newest_revisions_are_kept(serving: World) -> None:
    """Three of those that do not serve any more."""
    for size in (1, 2, 3, 4, 5):
        await change(serving, {"serving": {"batching": {"maxBatchSize": size}}})
        generation = (await serving.get("ResNetService", NAME))["metadata"]["generation"]
        await is_said(serving, "observedGeneration", generation)
        await serving.is_ready(NAME)
    revisions = await serving.ours("ConfigMap", names.REVISION_COMPONENT)
    assert len(revisions) == 4


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            {"accelerator": {"chip": "Ascend910B3", "resourceName": None}},
            "images.converter",
            id="a chip that the settings know no converter for",
        ),
    ],
)
async def test_a_spec_that_cannot_work_is_refused_in_words(
    world: World, spec: dict[str, Any], words: str
) -> None:
    """It passed the API server; only the operator knows its own settings."""
    await world.start(RESNET_CONVERTER_IMAGES='{"Ascend310P": "cann:1"}')
    await world.create(service(NAME) | {"spec": service(NAME)["spec"] | spec})
    said = await world.condition(NAME, "Ready", "False", "InvalidSpec")
    assert words in said["message"]
    await world.condition(NAME, "Stalled", "True", "InvalidSpec")
