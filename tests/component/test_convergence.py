"""From nothing to Ready, by the path of a chip and by that of a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.component.objects import key_of, service
from tests.component.world import condition_of

from resnet_operator import names

if TYPE_CHECKING:
    from tests.component.world import World


@pytest.mark.parametrize("chip", ["Ascend310P3", "CPU"])
async def test_from_nothing_to_ready(world: World, chip: str) -> None:
    """One Job, one record, one revision, one Deployment, one Service; and the status says all."""
    await world.start()
    manifest = service("resnet50", chip=chip)
    await world.create(manifest)
    job = await world.job(manifest)
    converters = [c["name"] for c in job["spec"]["template"]["spec"]["initContainers"]]
    assert ("convert" in converters) is (chip != "CPU")
    await world.finish_job(manifest)
    body = await world.is_ready("resnet50")

    status = body["status"]
    assert status["phase"] == "Ready"
    assert status["ready"] == "1/1"
    assert status["observedGeneration"] == body["metadata"]["generation"]
    assert status["artifact"]["origin"] == ("Copied" if chip == "CPU" else "Converted")
    assert condition_of(body, "ArtifactReady")["status"] == "True"
    assert "Reconciling" not in {c["type"] for c in status["conditions"]}

    (revision,) = await world.ours("ConfigMap", names.REVISION_COMPONENT)
    assert revision["metadata"]["name"] == status["revisions"]["serving"]
    (record,) = await world.ours("ConfigMap", names.RECORD)
    assert record["metadata"]["name"] == names.record_name(key_of(manifest))
    assert record["immutable"] is True
    (only_job,) = await world.ours("Job")
    assert only_job["spec"]["ttlSecondsAfterFinished"] == 600
    assert {d["metadata"]["name"] for d in await world.ours("Deployment")} == {
        "resnet50",
        names.STORE_NAME,
    }


async def test_deletion_leaves_nothing_but_the_store(world: World) -> None:
    """No finalizer: owner references do all of it, with the operator or without."""
    operator = await world.start()
    manifest = service("resnet50")
    await world.known_artifact(manifest)
    await world.create(manifest)
    await world.is_ready("resnet50")
    await operator.stop()
    await world.delete("ResNetService", "resnet50")
    await world.has_not("ResNetService", "resnet50")
    for kind, name in (
        ("Deployment", "resnet50"),
        ("Service", "resnet50"),
        ("ConfigMap", names.record_name(key_of(manifest))),
    ):
        await world.has_not(kind, name)
    assert await world.ours("ConfigMap", names.REVISION_COMPONENT) == []
    await world.has("Deployment", names.STORE_NAME)
