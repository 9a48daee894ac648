"""Weights for TorchAIE from the object to its pods, on a real API server."""

from __future__ import annotations

import json
from typing import Any

from tests.component.objects import messages_of, service
from tests.component.world import Body, World

from resnet_operator import names

NAME = "resnet50"
IMAGE = "localhost/torch-aie:test"
CONTRACT = {
    "inputs": [{"name": "INPUT", "dataType": "FP32", "dims": [3, 224, 224]}],
    "outputs": [{"name": "OUTPUT", "dataType": "FP32", "dims": [1000]}],
}


def weights() -> Body:
    manifest = service(NAME, serving={"runtime": "TorchAIE", "instancesPerChip": 2})
    manifest["spec"]["model"] |= {
        "uri": "https://models.example/resnet50.pth",
        "pytorch": {"architecture": "resnet50"},
        **CONTRACT,
    }
    manifest["spec"]["accelerator"]["count"] = 2
    return manifest


def said_of(manifest: Body) -> dict[str, Any]:
    said = messages_of(manifest)
    said.pop("convert", None)
    said["prepare"] = {"ok": True, **CONTRACT, "batchSizes": [8], "notes": []}
    said["publish"] |= {"file": "model.pth", "origin": "Copied"}
    return said


async def test_weights_are_checked_stored_and_mounted(world: World) -> None:
    """No image with torch or CANN is needed for the Job; the pod gets the loader and the file."""
    await world.start(
        RESNET_SERVING_IMAGES=json.dumps({"TorchAIE": IMAGE}), RESNET_CONVERTER_IMAGES="{}"
    )
    manifest = weights()
    await world.create(manifest)
    job = await world.job(manifest)
    containers = job["spec"]["template"]["spec"]["initContainers"]
    assert [entry["name"] for entry in containers] == ["fetch", "prepare"], "nothing is converted"
    await world.finish_job(manifest, said_of(manifest))
    body = await world.is_ready(NAME)
    assert body["status"]["model"]["outputs"] == CONTRACT["outputs"]
    assert body["status"]["batch"] == "8"
    deployment = await world.get("Deployment", NAME)
    pod = deployment["spec"]["template"]["spec"]
    (triton,) = pod["containers"]
    assert (triton["image"], triton["startupProbe"]["failureThreshold"]) == (IMAGE, 1800)
    assert triton["resources"]["limits"]["huawei.com/Ascend310P"] == "2"
    assert "--file model.pth" in " ".join(pod["initContainers"][0]["command"])
    (runtime,) = await world.ours("ConfigMap", names.RUNTIME_COMPONENT)
    items = next(
        source["configMap"]["items"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        if source["configMap"]["name"] == runtime["metadata"]["name"]
    )
    assert {item["key"] for item in items} <= set(runtime["data"])
    assert "1/driver/resnet.py" in {item["path"] for item in items}


async def test_another_precision_rolls_out_and_fetches_nothing(world: World) -> None:
    await world.start(RESNET_SERVING_IMAGES=json.dumps({"TorchAIE": IMAGE}))
    manifest = weights()
    await world.create(manifest)
    await world.finish_job(manifest, said_of(manifest))
    await world.is_ready(NAME)
    change = {"spec": {"serving": {"precisionPolicy": "FP16"}}}
    await world.patch("ResNetService", NAME, change)
    await world.is_ready(NAME)
    assert len(await world.ours("Job")) == 1
    configs = [
        revision["data"]["config.pbtxt"]
        for revision in await world.ours("ConfigMap", names.REVISION_COMPONENT)
    ]
    told = 'key: "precision_policy" value {{ string_value: "{}" }}'
    assert sorted(told.format("FP16") in config for config in configs) == [False, True]


async def test_without_an_image(world: World) -> None:
    await world.start()
    await world.create(weights())
    said = await world.condition(NAME, "Stalled", "True", "InvalidSpec")
    assert "no serving image is set for runtime TorchAIE; set serving.image" in said["message"]
