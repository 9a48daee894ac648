"""Settings that were found: suggested, taken, and applied by themselves, on a real API server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.component.gate import (
    NAME,
    VALIDATION,
    candidate,
    candidate_after,
    gate_jobs,
    gated,
    is_measured,
)
from tests.unit.resnet_operator.plan.gate.test_tuning import FOUND, SETTINGS

if TYPE_CHECKING:
    from tests.component.world import World

Body = dict[str, Any]
TUNING = {"p99Milliseconds": 20, "instancesPerChip": 2}
FOUND_LINES = ("max_batch_size: 8", "count: 2 ", "max_queue_delay_microseconds: 250")


def asks() -> Body:
    manifest = gated(gate=VALIDATION)
    manifest["spec"] |= {"tuning": TUNING, "conversion": {"batchSizes": [1, 4, 8, 16]}}
    return manifest


async def config(world: World) -> str:
    """config.pbtxt of the revision that the Deployment runs, and not of another one."""
    template = (await world.get("Deployment", NAME))["spec"]["template"]["spec"]
    status = (await world.get("ResNetService", NAME))["status"]
    assert f'"{status["repositoryConfigMap"]}"' in json.dumps(template["volumes"])
    return str(
        (await world.get("ConfigMap", status["repositoryConfigMap"]))["data"]["config.pbtxt"]
    )


async def test_a_suggestion_is_taken_and_auto_rolls_out_a_revision(world: World) -> None:
    manifest = asks()
    await world.start()
    await world.known_artifact(manifest)
    await world.create(manifest)
    await is_measured(world, await candidate(world, manifest=manifest), tuning=FOUND)
    said = (await world.is_ready(NAME))["status"]["tuning"]
    assert (said["result"], said["settings"]) == ("Better", SETTINGS)
    assert said["measured"]["imagesPerSecond"] > said["declared"]["imagesPerSecond"]
    served = await config(world)
    assert not any(line in served for line in FOUND_LINES), "only suggested"

    await world.patch("ResNetService", NAME, json.loads(said["patch"]))
    await world.becomes(
        "ResNetService",
        NAME,
        lambda body: "patch" not in body["status"]["tuning"],
        what="the suggestion to be taken",
    )
    await world.is_ready(NAME)
    served = await config(world)
    assert all(line in served for line in FOUND_LINES)
    (first,) = await gate_jobs(world)

    serving = {"batching": None, "instancesPerChip": None}
    again = {"spec": {"tuning": {"apply": "Auto"}, "serving": serving}}
    await world.patch("ResNetService", NAME, again)
    await is_measured(world, await candidate_after(world, first), tuning=FOUND)
    said = await world.becomes(
        "ResNetService",
        NAME,
        lambda body: body["status"].get("tuning", {}).get("applied") is True,
        what="the settings to be applied",
    )
    assert "batching" not in said["spec"]["serving"], "the spec stays as its author wrote it"
    assert "patch" not in said["status"]["tuning"]
    await world.is_ready(NAME)
    served = await config(world)
    assert all(line in served for line in FOUND_LINES)
