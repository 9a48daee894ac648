"""New revisions under load, each watched beside the old one: what does worse is withdrawn.

The chip is told to fail or to dawdle by the simulator; a good revision differs in its batching.
"""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any

import onnx
import pytest
from onnx import helper
from tests.e2e.load import load
from tests.e2e.story import MODEL, Story
from tests.support.clients import Load

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.minutes

ANALYSIS = {
    "minutes": 1,
    "maxErrorRatio": "0.004",
    "maxP99Increase": "4",
    "minAgreement": "0.9",
    "steps": [50, 100],
}
# A busy machine makes all slow: the delay is more than it does, and the limit of the one that has
# to stay below it is far.
DELAY_MS, MOST_SLOW = 800, {"maxP99Increase": "1"}


def environment(name: str, value: int) -> dict[str, Any]:
    return {"serving": {"env": [{"name": f"SIMULATED_NPU_{name}", "value": str(value)}]}}


WRONG = {"model": {"uri": "configmap://wrong-model/wrong.onnx"}}
FAILING = environment("FAILS_EVERY", 50)
SLOW = environment("DELAY_MS", DELAY_MS)
GOOD = {"serving": {"batching": {"maxQueueDelayMicroseconds": 500}}}


def serve(story: Story, **services: dict[str, Any]) -> None:
    """Bring services up that share one conversion, each with changes of its analysis."""
    story.put_sample()
    for name, changes in services.items():
        story.apply(story.service(name, rollout={"analysis": {**ANALYSIS, **changes}}))
    for name in services:
        story.wait_ready(name)


@contextlib.contextmanager
def asked(story: Story, name: str) -> Iterator[Load]:
    """Ask a service until it is over."""
    with load(story, name) as clients:
        clients.goes_on()
        yield clients


def status_of(story: Story, name: str) -> dict[str, Any]:
    found: dict[str, Any] = story.get("resnetservice", name)["status"]
    return found


def withdrawn(story: Story, name: str, reason: str) -> dict[str, Any]:
    """Wait until the new revision has gone; return what is said of its analysis."""
    story.wait_reason("RolledBack", name, seconds=180)
    status = status_of(story, name)
    failed = status["revisions"]["failed"]
    assert failed["reason"] == reason
    assert status["revisions"]["serving"] != failed["name"]
    story.eventually(
        lambda: (
            [d["metadata"]["name"] for d in story.items("deployments")].count(failed["name"]) == 0
        ),
        lambda: f"the Deployment of {failed['name']} stays",
    )
    said: dict[str, Any] = status["rollout"]["analysis"]
    assert said["result"] == "Withdrawn"
    return said


def put_wrong_model(story: Story) -> None:
    """Put a model beside that turns all scores round: it answers, and always wrongly."""
    model = onnx.load(MODEL)
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["right" if one == name else one for one in node.output]
    model.graph.node.append(helper.make_node("Neg", ["right"], [name]))
    data = {"wrong.onnx": base64.b64encode(model.SerializeToString()).decode()}
    meta = {"name": "wrong-model"}
    story.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "binaryData": data})


def test_what_fails_two_in_a_hundred_and_what_answers_wrong_is_withdrawn(story: Story) -> None:
    serve(story, failing={}, wrong={})
    put_wrong_model(story)
    with asked(story, "failing") as failing, asked(story, "wrong") as wrong:
        story.patch("resnetservice", "failing", {"spec": FAILING})
        story.patch("resnetservice", "wrong", {"spec": WRONG})
        fails = withdrawn(story, "failing", "ErrorRatioExceeded")
        differs = withdrawn(story, "wrong", "AnswersDiffer")
    for said, clients in ((fails, failing), (differs, wrong)):
        print(
            f"{said['message']}; clients: {len(clients.failures)} bad answers, "
            f"{sum(clients.answered.values())} good ones"
        )
    assert all("InferenceServerException" in failure for failure in failing.failures)
    share = len(failing.failures) / (len(failing.failures) + sum(failing.answered.values()))
    assert share < 0.02, "the old revision has answered its share meanwhile"
    assert all("Not equal to tolerance" in one for one in wrong.failures), "no request has failed"


def test_a_slow_revision_is_withdrawn_and_a_good_one_goes_through(story: Story) -> None:
    serve(story, slow=MOST_SLOW, good={})
    with asked(story, "slow") as slow, asked(story, "good") as good:
        story.patch("resnetservice", "slow", {"spec": SLOW})
        story.patch("resnetservice", "good", {"spec": GOOD})
        said = withdrawn(story, "slow", "LatencyExceeded")
        passed = story.wait_ready("good", seconds=180)["rollout"]["analysis"]
        good.goes_on(5)
    assert passed["result"] == "Passed"
    slow.check("while a slow revision is watched")
    good.check("while a good revision is watched")
    for name, words, asking in (("slow", said, slow), ("good", passed, good)):
        print(f"{name}: {words['message']}; clients: 0 failed of {sum(asking.answered.values())}")
