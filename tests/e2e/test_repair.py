"""The world is put back as the ResNetService wants it, and nobody else's things are touched."""

from __future__ import annotations

import json

import pytest
from tests.e2e.story import Story


def test_edits_and_deletions_are_put_back(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "CPU"}))
    story.wait_ready()
    uid = story.get("deployment", "digits")["metadata"]["uid"]

    story.kubectl("set", "image", "deployment/digits", "triton=localhost/other:1")
    image = story.operator.values["images"]["registry"] + "/resnet-serving-cpu:dev"
    story.eventually(
        lambda: (
            story.get("deployment", "digits")["spec"]["template"]["spec"]["containers"][0]["image"]
            == image
        ),
        lambda: "the image was not put back",
    )
    story.kubectl("delete", "service", "digits")
    story.eventually(
        lambda: "digits" in story.kubectl("get", "services", "-o", "name"),
        lambda: "the Service was not made again",
    )
    story.kubectl("annotate", "deployment", "digits", "team=vision")
    story.kubectl("rollout", "restart", "deployment/digits")
    story.wait_ready()
    kept = story.get("deployment", "digits")
    assert kept["metadata"]["annotations"]["team"] == "vision"
    template = kept["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in template, "a restart by hand is respected"
    assert kept["metadata"]["uid"] == uid


def test_a_strangers_service_is_left_as_it_was(story: Story) -> None:
    story.put_sample()
    stranger = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "digits"},
        "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]},
    }
    story.apply(stranger)
    before = story.get("service", "digits")
    story.apply(story.service(accelerator={"chip": "CPU"}))
    condition = story.wait_reason("NameConflict")

    assert 'Service "digits"' in condition["message"]
    assert "rename the ResNetService" in condition["message"]
    after = story.get("service", "digits")
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("labels") == before["metadata"].get("labels")
    assert "ownerReferences" not in after["metadata"]

    story.kubectl("delete", "service", "digits")
    story.kubectl("annotate", "resnetservice", "digits", "serving.resnet-operator.io/retry=1")
    assert story.wait_ready()["ready"] == "1/1", "once the name is free, it goes on"


@pytest.mark.alone
def test_another_version_of_the_operator_restarts_nobody(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "CPU"}))
    story.wait_ready()
    before = story.get("deployment", "digits")

    values = {"images": {"jobs": "localhost/resnet-jobs:other", "pullPolicy": "Never"}}
    try:
        story.operator.upgrade(values)
        story.eventually(story.operator.is_synced, lambda: "the new operator does not come up")
        after = story.get("deployment", "digits")
        assert after["spec"] == before["spec"], json.dumps(after["spec"])
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
        assert story.wait_ready()["ready"] == "1/1"
    finally:
        story.operator.upgrade({})
