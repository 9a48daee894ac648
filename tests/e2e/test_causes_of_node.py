"""Causes that lie with the operator's settings or with the node, broken on a real cluster."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.story import MODEL, Story
from tests.e2e.test_causes import assert_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devkit.cluster.cluster import Cluster
    from tests.e2e.files import FileServer

pytestmark = pytest.mark.alone

CPU = {"chip": "CPU"}


def test_an_image_that_may_not_be_pulled(story: Story) -> None:
    story.put_sample()
    try:
        story.operator.upgrade({"images": {"pullPolicy": "Never"}})
        image = "localhost/no-such-image:1"
        story.apply(story.service(accelerator=CPU, serving={"image": image}))
        condition = story.wait_reason("ImagePullFailed", seconds=90)
        assert f"image {image} is not on the node and may not be pulled" in condition["message"]
        assert_named(story.why(), ("Pod", "pull", "container triton"))
    finally:
        story.operator.upgrade({})


def test_a_driver_that_pod_security_forbids(story: Story) -> None:
    """The namespace is restricted, and the settings mount the driver from the host."""
    story.put_sample()
    try:
        story.operator.upgrade({"devices": {"driver": "HostPath"}})
        story.apply(story.service())
        condition = story.wait_reason("PodSecurityForbidden", seconds=90)
        assert "Pod Security restricted" in condition["message"]
        assert_named(story.why(), ("Namespace", "admission", story.namespace))
    finally:
        story.operator.upgrade({})


def test_a_pod_that_its_node_evicts(story: Story, files: FileServer) -> None:
    """The download stays half done until the kubelet has seen how much it has written."""
    files.content["digits.onnx"] = MODEL.read_bytes() * 20
    files.held["digits.onnx"] = held = threading.Event()
    uri = f"{files.url}/digits.onnx"
    try:
        # The first failure stays: what `why` is asked of is what was waited for.
        story.operator.upgrade({"scratchSize": "1Mi", "retrySeconds": [3600]})
        story.apply(story.service(model={"uri": uri}))
        condition = story.wait_reason("Evicted", seconds=120)
        assert "it used more local storage than its limit" in condition["message"]
        assert_named(story.why(), ("Node", "run", ""))
    finally:
        held.set()
        story.operator.upgrade({})


@contextmanager
def silent_node(cluster: Cluster) -> Iterator[None]:
    """The kubelet stands still, as after a kernel's panic; pods run on, but nobody says so."""
    config = str(cluster.state_dir / "kubelet.yaml").encode()
    (kubelet,) = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"kubelet\0--config=" + config in path.read_bytes()
    ]
    os.kill(kubelet, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kubelet, signal.SIGCONT)


def test_a_node_that_falls_silent(story: Story) -> None:
    if story.cluster is None:
        pytest.skip("only the embedded cluster's node may be broken")
    story.put_sample()
    story.apply(story.service(accelerator=CPU))
    story.wait_ready()
    with silent_node(story.cluster):
        condition = story.wait_reason("NodeLost", seconds=150)
        assert "the node of a pod does not answer" in condition["message"]
        assert story.condition("Available")["status"] == "False"
        assert_named(story.why(), ("Node", "run", ""))
    story.wait_ready()
