"""Changes under load: no request fails, a broken revision goes back, scarce chips go round."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.load import load
from tests.e2e.story import (
    FOUR_CHIPS,
    Story,
)

from resnet_operator import names

if TYPE_CHECKING:
    from collections.abc import Callable

SERVING = "app.kubernetes.io/component=serving"
OLD_PODS_SECONDS = 90.0
CPU_IMAGE = "localhost/resnet-serving-cpu:dev"
SAME_IMAGE = "localhost/resnet-serving-cpu:same"


def pods(story: Story) -> set[str]:
    """Return the uids of the serving pods, those that are going too."""
    return {pod["metadata"]["uid"] for pod in story.items("pods", SERVING)}


def spec(story: Story, change: dict[str, Any]) -> None:
    story.patch("resnetservice", "digits", {"spec": change})


def are_gone(story: Story, old: set[str]) -> None:
    """Wait until pods have ended: until then a request may be on its way to one."""
    story.eventually(
        lambda: not old & pods(story), lambda: f"old pods do not end: {old}", OLD_PODS_SECONDS
    )


def rolled(story: Story, change: dict[str, Any]) -> None:
    """Make a change that replaces all pods, and wait until it is done."""
    old = pods(story)
    spec(story, change)
    story.wait_ready(seconds=180)
    are_gone(story, old)


def other_image(story: Story) -> None:
    if story.cluster is None:
        pytest.skip("only the embedded cluster gives an image another name")
    pid = (story.cluster.state_dir / "init.pid").read_text().strip()
    inside = ("nsenter", "--target", pid, "--mount", "--pid", "--net", "--")
    tag = ("ctr", "--namespace", "k8s.io", "images", "tag", "--force", CPU_IMAGE, SAME_IMAGE)
    subprocess.run([*inside, *tag], check=True)
    rolled(story, {"serving": {"image": SAME_IMAGE}})


def environment(story: Story) -> None:
    rolled(story, {"serving": {"env": [{"name": "SOMETHING", "value": "else"}]}})


def batching(story: Story) -> None:
    rolled(story, {"serving": {"batching": {"maxBatchSize": 4, "maxQueueDelayMicroseconds": 500}}})


def scaled(story: Story, replicas: int) -> None:
    story.kubectl("scale", "resnetservice", "digits", f"--replicas={replicas}")
    story.wait_ready(seconds=120)
    story.eventually(
        lambda: len(pods(story)) == replicas,
        lambda: f"not {replicas} pods, but {pods(story)}",
        OLD_PODS_SECONDS,
    )


def scaled_up_and_down(story: Story) -> None:
    for replicas in (3, 1, 2):
        scaled(story, replicas)


def operator_restarted(story: Story) -> None:
    before = pods(story)
    story.operator.kill()
    story.operator.restart()
    story.wait_ready()
    assert pods(story) == before


def operator_killed_in_a_rollout(story: Story) -> None:
    old = pods(story)
    spec(story, {"serving": {"warmup": "Disabled"}})
    story.eventually(lambda: len(pods(story)) > len(old), lambda: "no new pod comes")
    story.operator.kill()
    story.operator.restart()
    story.wait_ready(seconds=180)
    are_gone(story, old)


def place_store(story: Story, where: str | None) -> None:
    """Say on which nodes the store may run: scaled to nothing, it would be put back."""
    placed = {"spec": {"template": {"spec": {"nodeSelector": {"example.com/store": where}}}}}
    story.kubectl("patch", "deployment", "resnet-store", "--patch", json.dumps(placed))


def store_down(story: Story) -> None:
    """Running pods do not need it."""
    place_store(story, "nowhere")
    chosen = "app.kubernetes.io/component=store"
    story.eventually(
        lambda: all(pod["status"]["phase"] == "Pending" for pod in story.items("pods", chosen)),
        lambda: "the store does not go",
    )


def store_up(story: Story) -> None:
    place_store(story, None)
    story.kubectl("rollout", "status", "deployment/resnet-store", "--timeout=5m")


def evict(story: Story, pod: str) -> bool:
    """Ask for an eviction as `kubectl drain` does; False when a budget says: not now."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": story.namespace},
    }
    path = f"/api/v1/namespaces/{story.namespace}/pods/{pod}/eviction"
    answer = story.server.request("POST", path, body)
    refused = answer.status == 429 and "disruption budget" in answer.message
    assert answer.status == 201 or refused, answer.message
    return not refused


def drained(story: Story) -> None:
    """Evict all pods at once, as the drain of their node does; the budget holds it back.

    There is one node, so the pods come back to it: what counts is who serves meanwhile.
    """
    there = story.items("pods", SERVING)
    old = {pod["metadata"]["uid"] for pod in there}
    left = {pod["metadata"]["name"] for pod in there}

    def all_are_evicted() -> bool:
        for name in sorted(left):
            if evict(story, name):
                left.discard(name)
        return not left

    story.eventually(all_are_evicted, lambda: f"the budget never allows {left}", 180)
    story.wait_ready(seconds=120)
    are_gone(story, old)


STEPS: tuple[tuple[str, Callable[[Story], None]], ...] = (
    ("an image of another name", other_image),
    ("another environment", environment),
    ("another batching", batching),
    ("scaled up and down", scaled_up_and_down),
    ("the operator restarts", operator_restarted),
    ("the operator is killed in a rollout", operator_killed_in_a_rollout),
    ("the store goes", store_down),
    ("the store comes back", store_up),
    ("all pods are evicted", drained),
)


@pytest.mark.xdist_group("operator")
def test_no_request_fails_whatever_is_changed(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "CPU"}, serving={"replicas": 2}))
    story.wait_ready()
    with load(story) as clients:
        clients.goes_on()
        for when, change in STEPS:
            change(story)
            clients.goes_on(5)
            clients.check(when)
    clients.check("at the end")
    print(f"answered: {dict(clients.answered)}, failed: {len(clients.failures)}")


@pytest.mark.xdist_group("operator")
def test_a_broken_revision_is_rolled_back_and_no_request_fails(story: Story) -> None:
    story.put_sample()
    story.apply(story.service())
    good = story.wait_ready()["revisions"]["serving"]
    before = pods(story)
    with load(story) as clients:
        clients.goes_on()
        # An image that cannot serve this artifact: it has no acl.
        spec(story, {"serving": {"image": CPU_IMAGE}})
        said = story.wait_reason("RolledBack", seconds=120)
        assert said["status"] == "False"
        assert "No module named 'acl'" in said["message"]
        assert story.condition("Stalled")["reason"] == "RolledBack"
        assert story.condition("Available")["status"] == "True"
        story.eventually(lambda: pods(story) == before, lambda: "the broken pod stays", 90)

        revisions = story.get("resnetservice", "digits")["status"]["revisions"]
        assert revisions["serving"] == good
        assert revisions["failed"]["name"] == revisions["desired"] != good
        assert revisions["failed"]["reason"] == "ModelLoadFailed"

        # Nothing but a change or a request tries it again.
        story.operator.kill()
        story.operator.restart()
        story.eventually(story.operator.is_synced, lambda: "the operator looks at nothing")
        clients.goes_on(50)
        assert story.ready_condition()["reason"] == "RolledBack"
        assert pods(story) == before

        story.kubectl("annotate", "resnetservice", "digits", f"{names.RETRY}=once-more")
        story.eventually(
            lambda: (
                story.get("resnetservice", "digits")["status"].get("lastHandledRetry")
                == "once-more"
            ),
            lambda: "it is not tried again",
        )
        story.wait_reason("RolledBack", seconds=120)

        spec(story, {"serving": {"image": None, "batching": {"maxBatchSize": 4}}})
        status = story.wait_ready(seconds=120)
        assert "failed" not in status["revisions"]
        assert status["revisions"]["previous"] == good
        are_gone(story, before)

        # Back by hand, and forward again.
        spec(story, {"rollout": {"pinRevision": good}})
        assert story.wait_ready(seconds=120)["revisions"]["serving"] == good
        assert story.ready_condition()["message"].endswith("(pinned)")
        clients.goes_on(5)
    clients.check("through a rollback")


def test_auto_goes_one_out_one_in_when_all_chips_are_taken(story: Story) -> None:
    """Two pods with two chips each are all that the node has."""
    story.put_sample()
    story.apply(
        story.service(
            accelerator={"chip": "Ascend310P3", "count": 2, "resourceName": FOUR_CHIPS},
            serving={"replicas": 2},
            rollout={"surgeWaitSeconds": 3},
        )
    )
    assert story.wait_ready(seconds=120)["rollout"] == {"mode": "Surge"}
    old = pods(story)
    with load(story) as clients:
        clients.goes_on()
        spec(story, {"serving": {"batching": {"maxBatchSize": 4}}})
        status = story.wait_ready(seconds=180)
        are_gone(story, old)
        clients.goes_on(5)
    clients.check("replacing pods one at a time")
    assert status["rollout"] == {"mode": "Replace", "reason": f"no free {FOUR_CHIPS}"}
    assert status["ready"] == "2/2"


@pytest.mark.xdist_group("one-chip")
def test_the_only_chip_passes_from_the_old_pod_to_the_new_one(story: Story) -> None:
    """By surge it would wait for ever: nobody else gives a chip back."""
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "Ascend310B4"}, rollout={"surgeWaitSeconds": 2}))
    story.wait_ready()
    old = pods(story)
    spec(story, {"serving": {"batching": {"maxBatchSize": 4}}})
    story.eventually(
        lambda: story.get("resnetservice", "digits")["status"]["rollout"].get("mode") == "Replace",
        lambda: f"it never replaces: {story.ready_condition()}",
    )
    status = story.wait_ready(seconds=120)
    assert status["rollout"]["reason"] == "no free huawei.com/Ascend310"
    assert not old & pods(story)
