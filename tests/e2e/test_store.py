"""The other store: a ReadWriteMany claim that everybody mounts, for clusters that have one."""

from __future__ import annotations

import numpy as np
import pytest
from tests.e2e.story import FP16_TOLERANCE, PICTURES, Story, digits_batch, expected_logits

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "artifacts"},
    "spec": {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "100Mi"}},
    },
}


@pytest.mark.alone
def test_shared_claim(story: Story) -> None:
    story.put_sample()
    story.apply(CLAIM)
    shared = {"store": {"type": "SharedClaim", "claimName": "artifacts"}}
    try:
        story.operator.upgrade(shared)
        story.apply(story.service("first"))
        first = story.wait_ready("first")
        story.apply(story.service("second"))
        second = story.wait_ready("second")
        assert "resnet-store" not in story.kubectl("get", "deployments", "-o", "name")
    finally:
        story.operator.upgrade({})

    assert first["artifact"]["origin"] == "Converted"
    assert second["artifact"]["origin"] == "Reused", "found by content in the claim"
    batch = digits_batch(PICTURES[:3])
    for name in ("first", "second"):
        assert np.abs(story.logits(batch, name) - expected_logits(batch)).max() < FP16_TOLERANCE
    pod = story.items("pods", "app.kubernetes.io/instance=first")[0]
    volume = next(v for v in pod["spec"]["volumes"] if v["name"] == "blobs")
    assert volume["persistentVolumeClaim"]["readOnly"] is True
