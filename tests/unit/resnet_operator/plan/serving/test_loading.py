"""What a pod that loads says: more the longer it takes, in few words and few writes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.builders import NAME, NOW, Body, condition
from tests.unit.resnet_operator.world import World

from resnet_operator.plan.times import to_text


def loading(seconds: float, *, limit: int = 1800) -> World:
    world = World({"serving": {"loadTimeoutSeconds": limit}}).deploy()
    begun = to_text(NOW - timedelta(seconds=seconds))
    container: Body = {"name": "triton", "state": {"running": {"startedAt": begun}}}
    world.serving_pod(phase="Running", containers=[container])
    world.deployment_says(replicas=1, updated=1)
    return world


@pytest.mark.parametrize(
    ("seconds", "said", "unsaid"),
    [
        (5, "Triton is loading the model", "since"),
        (300, "Triton has been loading resnet50 on Ascend310P3 since 11:55:00Z", "half"),
        (300, "read its log: kubectl logs deploy/resnet50 -c triton", "half"),
        (1000, "more than half of serving.loadTimeoutSeconds", "is loading"),
    ],
)
def test_the_message_grows(seconds: float, said: str, unsaid: str) -> None:
    world = loading(seconds)
    world.reconcile()
    for kind in ("Ready", "Reconciling"):
        assert condition(world.status, kind)["reason"] == "Loading"
    whole = condition(world.status, "Reconciling")["message"]
    assert said in whole
    assert unsaid not in whole
    assert len(condition(world.status, "Ready")["message"]) <= 120


def test_it_is_written_three_times_at_most() -> None:
    world = loading(0)
    said, waits = set(), []
    for _ in range(10):
        world.reconcile()
        said.add(condition(world.status, "Reconciling")["message"])
        wait = world.plan().requeue_after
        if wait is None:
            break
        waits.append(wait)
        world.pass_time(wait)
    assert len(said) == 3
    assert waits[0] == 60, "nothing changes on the pod: somebody has to look"
    assert world.has("Deployment", NAME)
