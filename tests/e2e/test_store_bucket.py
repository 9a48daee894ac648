"""The store as a bucket, and what happens when a volume damages an artifact."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from tests.e2e.story import FP16_TOLERANCE, PICTURES, Story, digits_batch, expected_logits
from tests.support.loopback import buckets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bucket(story: Story, tmp_path: Path) -> Iterator[buckets.Bucket]:
    """An S3 server on the test's host, and the Secret with its keys in the story's namespace."""
    if story.cluster is None:
        pytest.skip("pods of a foreign cluster cannot reach this host")
    with buckets.running(tmp_path, host=story.cluster.host_ip) as made:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "bucket-keys"},
            "stringData": buckets.KEYS,
        }
        story.apply(secret)
        yield made


@pytest.mark.alone
def test_a_bucket(story: Story, bucket: buckets.Bucket) -> None:
    story.put_sample()
    described = {
        "endpoint": f"http://host.resnet-devkit.internal:{urlsplit(bucket.spec.location).port}",
        "bucket": bucket.spec.bucket,
        "prefix": "e2e",
        "secretName": "bucket-keys",
    }
    try:
        story.operator.upgrade({"store": {"type": "S3", "s3": described}})
        story.apply(story.service("first"))
        first = story.wait_ready("first")
        story.apply(story.service("second"))
        second = story.wait_ready("second")
        assert "resnet-store" not in story.kubectl("get", "deployments,pvc", "-o", "name")
        pods = story.items("pods")
    finally:
        story.operator.upgrade({})

    assert first["artifact"]["origin"] == "Converted"
    assert second["artifact"]["origin"] == "Reused", "prepare has asked the bucket for convert"
    batch = digits_batch(PICTURES[:3])
    for name in ("first", "second"):
        assert np.abs(story.logits(batch, name) - expected_logits(batch)).max() < FP16_TOLERANCE
    part = bucket.folder.parents[1] / "e2e" / story.namespace
    assert (part / "blobs/sha256" / first["artifact"]["sha256"]).is_file()
    assert {path.name for path in (part / "used").iterdir()} == {first["artifact"]["contentKey"]}
    seen = set().union(*map(keepers, pods))
    assert seen == {"prepare", "publish", "artifact"}, "a foreign image sees no keys"


def keepers(pod: dict[str, Any]) -> set[str]:
    """Return the containers that see the bucket's keys."""
    containers = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    return {
        container["name"]
        for container in containers
        if any(mount["name"] == "store-credentials" for mount in container.get("volumeMounts", ()))
    }


def damage(story: Story, sha256: str) -> None:
    """Put other bytes of the same size in the place of an artifact, as a failing disk might."""
    address = story.address("resnet-store")
    store, blob = f"http://{address}:8080", f"/blobs/sha256/{sha256}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{store}{blob}", timeout=20) as answer:
        content = bytearray(answer.read())
    content[len(content) // 2] ^= 1
    upload, login = f"{store}/uploads/damaged", story.store_login()
    moved = {"Destination": blob, **login}
    for request in (
        urllib.request.Request(upload, data=bytes(content), method="PUT", headers=login),
        urllib.request.Request(upload, method="MOVE", headers=moved),
    ):
        opener.open(request, timeout=20).close()


def uid_of_record(story: Story, name: str) -> str:
    """Return nothing while there is none: the old one goes before the new one comes."""
    records = story.items("configmaps", "app.kubernetes.io/component=artifact")
    return next((r["metadata"]["uid"] for r in records if r["metadata"]["name"] == name), "")


def serving_pods(story: Story) -> set[str]:
    pods = story.items("pods", "app.kubernetes.io/instance=digits")
    return {pod["metadata"]["name"] for pod in pods}


def test_a_damaged_artifact_is_made_again_while_the_pods_serve_on(story: Story) -> None:
    story.put_sample()
    story.apply(story.service())
    before = story.wait_ready()["artifact"]
    (pod,) = serving_pods(story)
    record = uid_of_record(story, before["record"])
    assert record

    damage(story, before["sha256"])
    story.patch("resnetservice", "digits", {"spec": {"serving": {"replicas": 2}}})
    story.eventually(
        lambda: uid_of_record(story, before["record"]) not in {"", record},
        lambda: "the artifact is not made again",
        seconds=60,
    )
    batch = digits_batch(PICTURES[:3])
    assert np.abs(story.logits(batch) - expected_logits(batch)).max() < FP16_TOLERANCE
    after = story.wait_ready(seconds=180)  # the kubelet waits before it starts the pod again
    assert after["ready"] == "2/2"
    assert after["artifact"]["origin"] == "Converted", "what the store had was no hit"
    assert after["artifact"]["sha256"] == before["sha256"], "the same model, options and compiler"
    assert pod in serving_pods(story), "the pod that served serves on"
    assert np.abs(story.logits(batch) - expected_logits(batch)).max() < FP16_TOLERANCE
