"""Conversions that fail: what is tried again, when, and what has to be done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.client import ApiError
from tests.component.objects import key_of, messages_of, service
from tests.component.proxy import Fault
from tests.component.world import until

from resnet_operator import names
from resnet_operator.plan.artifact.recording import job_ttl
from resnet_operator.seen.workload import JobObject

if TYPE_CHECKING:
    from tests.component.world import World

NAME = "resnet50"
MANIFEST = service(NAME)


def failure(reason: str) -> dict[str, Any]:
    return {"ok": False, "reason": reason, "message": f"{reason}: do this", "detail": "the log"}


@dataclass(frozen=True)
class Failure:
    reason: str
    container: str
    code: int
    said: dict[str, Any] | None
    want: str
    tried_again: bool


FAILURES = (
    Failure("no such file", "fetch", 66, failure("ModelNotFound"), "ModelNotFound", False),
    Failure("the host is away", "fetch", 80, failure("DownloadFailed"), "DownloadFailed", True),
    Failure("ATC says no", "convert", 69, failure("ConversionFailed"), "ConversionFailed", False),
    Failure("the store is full", "publish", 83, failure("StoreFull"), "StoreFull", True),
    Failure("killed without a word", "convert", 137, None, "ResultLost", True),
)


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.reason)
async def test_a_failed_conversion(case: Failure, world: World) -> None:
    await world.start(RESNET_RETRY_SECONDS="[0.5, 60]")
    await world.create(MANIFEST)
    await world.fail_job(MANIFEST, case.container, case.code, case.said)
    if case.tried_again:
        await world.finish_job(MANIFEST, attempt=2)
        await world.is_ready(NAME)
        assert len(await world.ours("Job")) == 2
        return
    said = await world.condition(NAME, "Ready", "False", case.want)
    assert said["message"] == f"{case.want}: do this"
    await world.condition(NAME, "Stalled", "True", case.want)
    assert (await world.get("ResNetService", NAME))["status"]["phase"] == "Failed"
    assert len(await world.ours("Job")) == 1


async def test_a_result_that_the_watch_of_pods_did_not_show_is_not_lost(world: World) -> None:
    """Jobs and pods come by two watches: a conversion was done three times, and given up."""
    await world.start()
    silent = world.proxy.inject(Fault(verb="watch", resource="pods", silent=True, times=None))
    world.proxy.cut_watches()
    await until(lambda: is_hit(silent), what="the watch of pods to be silent")
    await world.create(MANIFEST)
    await world.finish_job(MANIFEST)
    await world.condition(NAME, "ArtifactReady", "True", "Converted")
    assert len(await world.ours("Job")) == 1
    world.proxy.lift(silent)
    await world.is_ready(NAME)


async def test_last_words_to_a_job_that_is_gone_make_none(world: World) -> None:
    """They are applied: without the uid they would be a Job without pods, refused as such."""
    await world.start()
    await world.create(MANIFEST)
    job = await world.job(MANIFEST)
    name = job["metadata"]["name"]
    words = job_ttl(JobObject.from_body(job), 600)
    words["metadata"]["name"] = f"{name}0"
    with pytest.raises(ApiError) as refused:
        await world.apply(words, manager=names.MANAGER)
    assert refused.value.status == 409, refused.value.message
    assert [one["metadata"]["name"] for one in await world.ours("Job")] == [name]


async def is_hit(fault: Fault) -> bool:
    return fault.hits > 0


@pytest.mark.parametrize("origin", ["Converted", "Reused"])
async def test_where_the_artifact_is_from_is_an_event(origin: str, world: World) -> None:
    await world.start()
    await world.create(MANIFEST)
    said = messages_of(MANIFEST)
    said["publish"]["origin"] = origin
    said["convert"]["hit"] = origin == "Reused"
    await world.finish_job(MANIFEST, said)
    await world.is_ready(NAME)
    ready = await world.condition(NAME, "ArtifactReady", "True", origin)
    told = await world.event(NAME, origin)
    assert (told["type"], told["message"]) == ("Normal", ready["message"])


async def test_the_retry_annotation_tries_again_at_once(world: World) -> None:
    await world.start()
    await world.create(MANIFEST)
    await world.fail_job(MANIFEST, "fetch", 66, failure("ModelNotFound"))
    await world.condition(NAME, "Stalled", "True", "ModelNotFound")
    await world.patch("ResNetService", NAME, {"metadata": {"annotations": {names.RETRY: "1"}}})
    await world.finish_job(MANIFEST, attempt=2)
    body = await world.is_ready(NAME)
    assert body["status"]["lastHandledRetry"] == "1"


async def test_a_missing_claim_is_told_and_seen_when_it_comes(world: World) -> None:
    """No Job waits without success, and no user has to set anything once the claim is there."""
    await world.start()
    manifest = service(NAME)
    manifest["spec"]["model"] = {"uri": "pvc://models/resnet50.onnx"}
    await world.create(manifest)
    said = await world.condition(NAME, "Ready", "False", "VolumeMountFailed")
    assert '"models"' in said["message"]
    assert await world.ours("Job") == []
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    await world.create(claim)
    await world.job(manifest)


async def test_a_model_in_a_config_map(world: World) -> None:
    await world.start()
    manifest = service(NAME)
    manifest["spec"]["model"] = {"uri": "configmap://models/resnet50.onnx"}
    await world.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "models"}, "data": {"a": ""}}
    )
    await world.create(manifest)
    said = await world.condition(NAME, "Ready", "False", "VolumeMountFailed")
    assert 'no key "resnet50.onnx", only a' in said["message"]


async def test_labels_of_the_classes_go_into_the_revision(world: World) -> None:
    await world.start()
    text = "cat\n" * 999 + "dog\n"
    labels = {"kind": "ConfigMap", "metadata": {"name": "labels"}, "data": {"labels.txt": text}}
    manifest = service(NAME)
    reference = {"name": "labels", "key": "labels.txt"}
    manifest["spec"]["model"]["classLabels"] = {"configMapKeyRef": reference}
    await world.known_artifact(service(NAME))
    await world.create(manifest)
    said = await world.condition(NAME, "Ready", "False", "InvalidSpec")
    assert '"labels"' in said["message"]
    await world.create({"apiVersion": "v1", **labels})
    # A user's ConfigMap is not watched: it is looked for when something happens, or in a minute.
    await world.patch("ResNetService", NAME, {"metadata": {"annotations": {names.RETRY: "1"}}})
    await world.is_ready(NAME)
    (revision,) = await world.ours("ConfigMap", names.REVISION_COMPONENT)
    assert revision["data"]["labels.txt"] == text


async def test_a_lost_artifact_is_made_again(world: World) -> None:
    await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    record = names.record_name(key_of(MANIFEST))
    before = await world.has("ConfigMap", record)
    await world.becomes("ResNetService", NAME, lambda b: b["status"]["replicas"] == 1, what="a pod")
    (pod,) = await world.all("Pod", **{names.INSTANCE.replace("/", "%2F"): NAME})
    lost = {"reason": "ArtifactMissing", "message": "the store has lost it"}
    state = {"terminated": {"exitCode": 86, "reason": "Error", "message": json.dumps(lost)}}
    await world.pod_states(pod, "Pending", {"artifact": state})
    await world.has_not("ConfigMap", record, uid=before["metadata"]["uid"])
    await world.finish_job(MANIFEST)
    after = await world.becomes(
        "ConfigMap", record, lambda b: b.get("immutable"), what="the record to be written again"
    )
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


OM_FACTS: dict[str, Any] = {
    "inputs": [{"name": "image", "dataType": "UINT8", "dims": [224, 224, 3], "layout": "NHWC"}],
    "outputs": [{"name": "scores", "dataType": "FP32", "dims": [1000]}],
    "batchSizes": [4, 16],
    "argv": ["atc.bin", "--dynamic_batch_size=4,16"],
    "durationSeconds": 0.5,
}


async def test_an_om_tells_its_own_contract(world: World) -> None:
    await world.start()
    manifest = service(NAME)
    manifest["spec"]["model"]["uri"] = "https://models.example/resnet50.om"
    await world.create(manifest)
    job = await world.job(manifest)
    containers = job["spec"]["template"]["spec"]["initContainers"]
    (convert,) = [entry for entry in containers if entry["name"] == "convert"]
    assert convert["command"] == ["python3", "-s", "/scratch/driver/om.py"]
    said = messages_of(manifest)
    said["prepare"] = {"ok": True, "notes": []}
    said["convert"] = {"ok": True, "compiler": None, "arch": None, **OM_FACTS}
    said["publish"] = said["publish"] | {"origin": "Copied"}
    await world.finish_job(manifest, said)
    body = await world.is_ready(NAME)
    assert body["status"]["batch"] == "4,16"
    assert body["status"]["model"]["inputs"] == OM_FACTS["inputs"]
    (revision,) = await world.ours("ConfigMap", names.REVISION_COMPONENT)
    assert "max_batch_size: 16" in revision["data"]["config.pbtxt"]


async def test_an_om_for_another_chip(world: World) -> None:
    await world.start()
    manifest = service(NAME)
    manifest["spec"]["model"]["uri"] = "https://models.example/resnet50.om"
    await world.create(manifest)
    await world.fail_job(manifest, "convert", 73, failure("ChipMismatch"))
    said = await world.condition(NAME, "Stalled", "True", "ChipMismatch")
    assert said["message"] == "ChipMismatch: do this"
    assert len(await world.ours("Job")) == 1, "no retry can help"


def script() -> dict[str, Any]:
    manifest = service(NAME)
    manifest["spec"]["model"] |= {
        "uri": "https://models.example/resnet50.torchscript",
        "inputs": [{"name": "input", "dataType": "FP32", "dims": [3, 224, 224]}],
    }
    return manifest


async def test_weights_need_no_container_of_their_own(world: World) -> None:
    await world.start()
    manifest = service(NAME)
    manifest["spec"]["model"]["uri"] = "https://models.example/resnet50.safetensors"
    await world.create(manifest)
    job = await world.job(manifest)
    containers = job["spec"]["template"]["spec"]["initContainers"]
    assert [entry["name"] for entry in containers] == ["fetch", "prepare", "convert"]
    await world.finish_job(manifest, messages_of(manifest))
    await world.is_ready(NAME)


async def test_a_script_is_exported_before_it_is_inspected(world: World) -> None:
    await world.start(RESNET_EXPORT_IMAGE="localhost/torch:test")
    manifest = script()
    await world.create(manifest)
    job = await world.job(manifest)
    containers = job["spec"]["template"]["spec"]["initContainers"]
    assert [entry["name"] for entry in containers] == ["fetch", "export", "prepare", "convert"]
    assert containers[1]["image"] == "localhost/torch:test"
    said = messages_of(manifest)
    said = {"fetch": said.pop("fetch"), "export": {"ok": True, "torch": "2.4.1"}, **said}
    await world.finish_job(manifest, said)
    await world.is_ready(NAME)


async def test_a_script_without_an_image_with_torch(world: World) -> None:
    await world.start()
    await world.create(script())
    said = await world.condition(NAME, "Stalled", "True", "InvalidSpec")
    assert "set images.export in the operator's settings, or bring an ONNX file" in said["message"]
    assert await world.ours("Job") == []
