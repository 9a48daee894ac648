"""Pinned sources: one conversion for all who want the same, and nobody is hurt by another's end."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any

import numpy as np
from tests.e2e.files import FileServer
from tests.e2e.story import FP16_TOLERANCE, MODEL, PICTURES, Story, digits_batch, expected_logits


def test_same_model_again_is_not_converted_again(story: Story, files: FileServer) -> None:
    content = MODEL.read_bytes()
    files.content["digits.onnx"] = content
    pinned = {"uri": f"{files.url}/digits.onnx", "sha256": hashlib.sha256(content).hexdigest()}
    story.apply(story.service("first", model=pinned))
    story.wait_ready("first")
    assert files.requests == ["/digits.onnx"]

    begun = time.monotonic()
    story.apply(story.service("second", model=pinned))
    status = story.wait_ready("second")
    seconds = time.monotonic() - begun
    print(f"apply -> Ready with a known artifact: {seconds:.1f} s")
    assert len(story.items("jobs")) == 1, "no second conversion"
    assert files.requests == ["/digits.onnx"], "no second download"
    record = story.get("configmap", status["artifact"]["record"])
    assert len(record["metadata"]["ownerReferences"]) == 2

    story.kubectl("delete", "resnetservice", "first")
    batch = digits_batch(PICTURES[:2])
    assert np.abs(story.logits(batch, "second") - expected_logits(batch)).max() < FP16_TOLERANCE
    story.eventually(
        lambda: (
            len(story.get("configmap", record["metadata"]["name"])["metadata"]["ownerReferences"])
            == 1
        ),
        lambda: "the record keeps the owner that is gone",
    )
    story.kubectl("delete", "pods", "-l", "app.kubernetes.io/instance=second", "--grace-period=1")
    story.eventually(
        lambda: (
            story.ready_condition("second").get("status") == "True"
            and any(
                "deletionTimestamp" not in pod["metadata"]
                for pod in story.items("pods", "app.kubernetes.io/instance=second")
            )
        ),
        lambda: "a new pod does not find the artifact",
    )


def test_same_file_at_two_places_is_converted_once(story: Story, files: FileServer) -> None:
    story.put_sample()
    files.content["digits.onnx"] = MODEL.read_bytes()
    story.apply(story.service("here"))
    first = story.wait_ready("here")
    story.apply(story.service("there", model={"uri": f"{files.url}/digits.onnx"}))
    second = story.wait_ready("there")

    assert first["artifact"]["contentKey"] == second["artifact"]["contentKey"]
    assert second["artifact"]["origin"] == "Reused", "the store was asked after the download"


def test_a_slow_download_is_told_in_bytes(story: Story, files: FileServer) -> None:
    """By the operator with the rights of its chart, from the log of a real container."""
    content = MODEL.read_bytes()
    files.content["digits.onnx"] = content
    files.dripping["digits.onnx"] = enough = threading.Event()
    uri = f"{files.url}/digits.onnx"
    said: dict[str, Any] = {}

    def has_bytes() -> bool:
        status = story.get("resnetservice", "digits").get("status") or {}
        said.update(status.get("progress") or {})
        return "bytes" in said

    try:
        story.apply(story.service(accelerator={"chip": "CPU"}, model={"uri": uri}))
        story.eventually(has_bytes, lambda: f"no bytes are told of the download: {said}")
    finally:
        enough.set()
    assert said["stage"] == "fetch"
    assert 64 * 1024 < said["bytes"] < said["totalBytes"]
    assert abs(said["totalBytes"] - len(content)) <= 1024
    assert 0 < said["percent"] < 33, "a part of the first of three stages"
    assert "progress" not in story.wait_ready()
