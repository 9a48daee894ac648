"""Scale, suspend, change, delete: everyday life of a ResNetService."""

from __future__ import annotations

import threading

import pytest
from tests.e2e.story import PICTURES, Story, digits_batch
from tests.support.record import note


def test_scale_suspend_and_back(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "CPU"}))
    story.wait_ready()

    story.kubectl("scale", "resnetservice", "digits", "--replicas=2")
    assert story.wait_ready()["ready"] == "2/2"

    story.patch("resnetservice", "digits", {"spec": {"suspend": True}})
    status = story.wait_ready()
    assert status["phase"] == "Suspended"
    assert story.ready_condition()["reason"] == "Suspended"
    assert story.get("deployment", "digits")["spec"]["replicas"] == 0
    assert story.get("configmap", status["artifact"]["record"]), "the artifact stays"

    story.patch("resnetservice", "digits", {"spec": {"suspend": False}})
    assert story.wait_ready()["ready"] == "2/2"
    assert len(story.items("jobs")) == 1, "nothing was converted again"


def test_change_of_batching_rolls_and_does_not_convert(story: Story) -> None:
    story.put_sample()
    story.apply(story.service())
    before = story.wait_ready()
    note(triton=story.client().get_server_metadata()["version"])
    batching = {"maxBatchSize": 4, "maxQueueDelayMicroseconds": 500}
    story.patch("resnetservice", "digits", {"spec": {"serving": {"batching": batching}}})
    after = story.wait_ready()

    assert after["revisions"]["serving"] != before["revisions"]["serving"]
    assert after["artifact"] == before["artifact"]
    assert len(story.items("jobs")) == 1
    # The old pod answers while it drains, until every proxy knows that it goes.
    story.eventually(
        lambda: story.client().get_model_config("digits")["max_batch_size"] == 4,
        lambda: "the old batching still answers",
        seconds=30,
    )


@pytest.mark.xdist_group("one-chip")
def test_change_of_chip_converts_again_and_serves_meanwhile(story: Story) -> None:
    story.put_sample()
    story.apply(story.service())
    before = story.wait_ready()
    story.patch("resnetservice", "digits", {"spec": {"accelerator": {"chip": "Ascend310B4"}}})
    story.eventually(lambda: len(story.items("jobs")) == 2, lambda: "no new conversion was started")
    assert story.logits(digits_batch(PICTURES[:1])).shape == (1, 10), "the old revision serves on"
    after = story.wait_ready()

    assert after["artifact"]["chip"] == "Ascend310B4"
    assert after["artifact"]["contentKey"] != before["artifact"]["contentKey"]
    pods = [
        pod
        for pod in story.items("pods", "app.kubernetes.io/component=serving")
        if "deletionTimestamp" not in pod["metadata"]
    ]
    limits = pods[0]["spec"]["containers"][0]["resources"]["limits"]
    assert limits.get("huawei.com/Ascend310") == "1"
    assert "huawei.com/Ascend310P" not in limits


def test_delete_leaves_nothing_behind(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "CPU"}))
    story.wait_ready()
    story.kubectl("delete", "resnetservice", "digits", "--timeout=10s")
    selector = (
        "app.kubernetes.io/managed-by=resnet-operator,"
        "app.kubernetes.io/component notin (store,runtime,holder)"
    )

    def left() -> list[str]:
        kinds = "deployments,services,jobs,configmaps,pods"
        return [
            f"{item['kind']}/{item['metadata']['name']}"
            for item in story.items(kinds, selector)
            if "deletionTimestamp" not in item["metadata"]
        ]

    story.eventually(lambda: not left(), lambda: f"left behind: {left()}")


def test_no_request_fails_while_pods_roll(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "CPU"}))
    before = story.wait_ready()
    batch = digits_batch(PICTURES[:1])
    failures: list[str] = []
    answered = 0
    rolled = threading.Event()

    def ask() -> None:
        nonlocal answered
        while not rolled.is_set():
            try:  # a new connection for each request, as a client behind a proxy makes
                story.logits(batch)
            except Exception as error:
                failures.append(repr(error))
            else:
                answered += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        story.patch("resnetservice", "digits", {"spec": {"serving": {"warmup": "Disabled"}}})
        after = story.wait_ready()
        old = f"serving.resnet-operator.io/revision={before['revisions']['serving']}"
        story.eventually(
            lambda: not story.items("pods", old), lambda: "the old pod does not end", seconds=60
        )
    finally:
        rolled.set()
        thread.join()
    assert after["revisions"]["serving"] != before["revisions"]["serving"]
    assert not failures, f"{len(failures)} of {answered + len(failures)}: {failures[:3]}"
    assert answered > 10
