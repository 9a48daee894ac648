"""A service with a part of a chip: it serves, what does not fit is told, and pods serve on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.component.objects import CHIP, service

from resnet_operator import names

if TYPE_CHECKING:
    from tests.component.world import World

NAME = "resnet50"
DEVICES = json.dumps({"dialect": "MindCluster", "shareCount": 4})


async def test_a_share_serves_and_more_than_a_share_is_refused(world: World) -> None:
    await world.start(RESNET_DEVICES=DEVICES)
    manifest = service(NAME, accelerator={"chip": CHIP, "share": {"memory": "4Gi"}})
    await world.known_artifact(manifest)
    await world.create(manifest)
    await world.is_ready(NAME)
    template = (await world.get("Deployment", NAME))["spec"]["template"]
    limits = template["spec"]["containers"][0]["resources"]["limits"]
    assert limits["huawei.com/Ascend310P"] == "1"

    await world.patch(
        "ResNetService", NAME, {"spec": {"accelerator": {"share": {"memory": "8Gi"}}}}
    )
    said = await world.condition(NAME, "Ready", "False", "InvalidSpec")
    assert "one of 4 shares of an Ascend310P3 has 5381Mi" in said["message"]
    after = (await world.get("Deployment", NAME))["spec"]["template"]
    revision = template["metadata"]["labels"][names.REVISION]
    assert after["metadata"]["labels"][names.REVISION] == revision, "what served serves on"


async def test_a_whole_chip_is_refused_where_all_are_shared(world: World) -> None:
    await world.start(RESNET_DEVICES=DEVICES)
    manifest = service(NAME)
    await world.known_artifact(manifest)
    await world.create(manifest)
    said = await world.condition(NAME, "Ready", "False", "InvalidSpec")
    assert "each Ascend310P3 here is shared by 4 pods; write accelerator.share" in said["message"]
    assert await world.find("Deployment", NAME) is None
    await world.patch("ResNetService", NAME, {"spec": {"accelerator": {"share": {}}}})
    await world.is_ready(NAME)
