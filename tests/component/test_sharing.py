"""One model, several objects: one conversion, one record, as many owners as there are users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.component.objects import key_of, service
from tests.component.world import until

from resnet_operator import names

if TYPE_CHECKING:
    from tests.component.world import World

FIRST = service("first", model="shared")
SECOND = service("second", model="shared")
RECORD = names.record_name(key_of(FIRST))


async def owners(world: World) -> dict[str, str]:
    """Return the owners of the record and the field manager that put each of them there."""
    record = await world.find("ConfigMap", RECORD)
    if record is None:
        return {}
    managers = {
        uid: entry["manager"]
        for entry in record["metadata"]["managedFields"]
        for key in entry["fieldsV1"].get("f:metadata", {}).get("f:ownerReferences", {})
        for uid in [key.partition('"uid":"')[2].rstrip('"}')]
        if uid
    }
    return {
        owner["name"]: managers[owner["uid"]] for owner in record["metadata"]["ownerReferences"]
    }


async def are_owners(world: World, *wanted: str) -> None:
    async def is_so() -> bool:
        return set(await owners(world)) == set(wanted)

    # The garbage collector needs its time to take away the reference to what is gone.
    await until(is_so, what=f"owners {wanted}", seconds=90)


async def uid_of(world: World, name: str) -> str:
    return str((await world.get("ResNetService", name))["metadata"]["uid"])


async def test_two_objects_share_a_conversion_and_each_outlives_the_other(world: World) -> None:
    await world.start()
    for manifest in (FIRST, SECOND):
        await world.create(manifest)
    await are_owners(world, "first", "second")
    assert await owners(world) == {
        name: names.owner_manager(await uid_of(world, name)) for name in ("first", "second")
    }
    await world.finish_job(FIRST)
    for name in ("first", "second"):
        await world.is_ready(name)
    assert [job["metadata"]["name"] for job in await world.ours("Job")] == [
        names.job_name(key_of(FIRST), 1)
    ]

    before = await world.get("Deployment", "second")
    await world.delete("ResNetService", "first")
    await are_owners(world, "second")
    await world.has_not("Deployment", "first")
    after = await world.get("Deployment", "second")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert (await world.get("ResNetService", "second"))["status"]["phase"] == "Ready"

    await world.delete("ResNetService", "second")
    await world.has_not("ConfigMap", RECORD)
    await world.has_not("Job", names.job_name(key_of(FIRST), 1))


async def test_who_comes_later_finds_the_artifact(world: World) -> None:
    await world.start()
    await world.known_artifact(FIRST)
    await world.create(FIRST)
    await world.is_ready("first")
    mark = len(world.proxy.calls)
    await world.create(SECOND)
    await world.is_ready("second")
    assert "create jobs" not in {f"{c.verb} {c.resource}" for c in world.proxy.since(mark)}
    await are_owners(world, "first", "second")


async def test_who_wants_another_model_leaves_and_the_last_one_takes_the_record_along(
    world: World,
) -> None:
    await world.start()
    await world.known_artifact(FIRST)
    for manifest in (FIRST, SECOND):
        await world.create(manifest)
        await world.is_ready(manifest["metadata"]["name"])
    other = service("first", model="other")
    await world.known_artifact(other)
    await change_model(world, "first", other)
    await are_owners(world, "second")
    assert (await world.get("ResNetService", "second"))["status"]["phase"] == "Ready"
    await change_model(world, "second", other)
    await world.has_not("ConfigMap", RECORD)


async def change_model(world: World, name: str, manifest: dict[str, Any]) -> None:
    await world.patch("ResNetService", name, {"spec": {"model": manifest["spec"]["model"]}})
    generation = (await world.get("ResNetService", name))["metadata"]["generation"]
    await world.becomes(
        "ResNetService",
        name,
        lambda b: b["status"]["observedGeneration"] == generation,
        what="the new model to be seen",
    )
    await world.is_ready(name)
