"""A graph of OneFlow from the object to its pods, on a real API server."""

from __future__ import annotations

import json
from typing import Any

from tests.component.objects import messages_of, service
from tests.component.world import World

from resnet_operator import names

NAME = "resnet50"
IMAGE = "localhost/oneflow-serving:test"
CONTRACT = {
    "inputs": [{"name": "INPUT_0", "dataType": "FP32", "dims": [3, 224, 224]}],
    "outputs": [{"name": "OUTPUT_0", "dataType": "FP32", "dims": [1000]}],
}


def graph() -> dict[str, Any]:
    manifest = service(NAME, chip="GPU")
    manifest["spec"]["model"] |= {
        "uri": "https://models.example/resnet50.tar.gz",
        "format": "OneFlow",
        "name": "resnet50_oneflow",
        **CONTRACT,
    }
    return manifest


async def test_a_graph_is_fetched_packed_and_unpacked(world: World) -> None:
    await world.start(RESNET_SERVING_IMAGES=json.dumps({"OneFlow": IMAGE}))
    manifest = graph()
    await world.create(manifest)
    job = await world.job(manifest)
    containers = job["spec"]["template"]["spec"]["initContainers"]
    assert [entry["name"] for entry in containers] == ["fetch", "prepare"], "nothing is converted"
    said = messages_of(manifest)
    said.pop("convert", None)
    said["prepare"] = {"ok": True, **CONTRACT, "batchSizes": [1], "notes": []}
    said["publish"] |= {"file": "model.tar", "origin": "Copied"}
    await world.finish_job(manifest, said)
    body = await world.is_ready(NAME)
    assert body["status"]["model"]["outputs"] == CONTRACT["outputs"]
    assert (body["status"]["artifact"]["chip"], body["status"]["batch"]) == ("GPU", "1")
    (revision,) = await world.ours("ConfigMap", names.REVISION_COMPONENT)
    assert 'backend: "oneflow"' in revision["data"]["config.pbtxt"]
    deployment = await world.get("Deployment", NAME)
    (triton,) = deployment["spec"]["template"]["spec"]["containers"]
    assert triton["image"] == IMAGE
    assert triton["resources"]["limits"]["nvidia.com/gpu"] == "1"


async def test_another_batch_rolls_out_and_fetches_nothing(world: World) -> None:
    await world.start(RESNET_SERVING_IMAGES=json.dumps({"OneFlow": IMAGE}))
    manifest = graph()
    await world.create(manifest)
    said = messages_of(manifest)
    said.pop("convert", None)
    said["prepare"] = {"ok": True, **CONTRACT, "batchSizes": [1], "notes": []}
    said["publish"] |= {"file": "model.tar", "origin": "Copied"}
    await world.finish_job(manifest, said)
    await world.is_ready(NAME)
    change = {"spec": {"serving": {"batching": {"maxBatchSize": 8}}}}
    await world.patch("ResNetService", NAME, change)
    body = await world.is_ready(NAME)
    assert body["status"]["batch"] == "8"
    assert len(await world.ours("Job")) == 1


async def test_without_an_image(world: World) -> None:
    await world.start()
    await world.create(graph())
    said = await world.condition(NAME, "Stalled", "True", "InvalidSpec")
    assert "no serving image is set for runtime OneFlow; set serving.image" in said["message"]
