"""A new revision takes a share first: the steps, and what ends them, plan by plan."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import NAME, NAMESPACE, RESOURCE, condition, end, waiting
from tests.unit.resnet_operator.plan.serving.analysis.on_trial import ANALYSIS, Trial, counted
from tests.unit.resnet_operator.world import World

from resnet_operator import names
from resnet_operator.plan.times import to_text
from resnet_operator.reading.counters import Counters

NO_CPU = "0/2 nodes are available: 2 Insufficient cpu."
NO_CHIP = f"0/2 nodes are available: 2 Insufficient {RESOURCE}."


def test_the_new_revision_gets_pods_of_its_own_and_the_old_one_keeps_all() -> None:
    trial = Trial()
    assert trial.replicas == 1
    assert trial.world.revision == trial.old
    assert trial.world.body("Deployment")["spec"]["replicas"] == 2
    body = trial.world.body("Deployment", trial.canary)
    labels = body["spec"]["template"]["metadata"]["labels"]
    selects = body["spec"]["selector"]["matchLabels"]
    assert selects.items() <= labels.items(), "it selects its own pods"
    assert selects[names.REVISION] == trial.canary, "and no old ones"
    service = trial.world.body("Service")["spec"]["selector"]
    assert service.items() <= labels.items(), "clients come to the new pods too"
    reason, message = trial.ready
    assert reason == "Analyzing"
    assert "10 %" in message
    assert "1 of 3 pods" in message
    assert condition(trial.world.status, "Available")["status"] == "True"
    assert trial.look() == [], "nothing is written while nothing happens"


def test_a_good_revision_goes_through_all_steps_by_itself() -> None:
    trial = Trial().begun()
    assert trial.said["result"] == "Running"
    assert trial.said["startTime"]
    trial.counts(counted(500), counted(1500))
    assert trial.look(60) == []
    assert trial.look(60) == [f"apply Deployment {trial.canary}"]
    assert trial.replicas == 2, "half of the requests"
    assert trial.said["step"] == 50
    trial.pods()
    trial.look()
    new = trial.canary
    trial.counts(counted(1500, 2), counted(2500))
    assert trial.look(120) == [f"apply Deployment {NAME}", f"delete Deployment {new}"]
    assert trial.world.revision == new
    trial.world.pods_are_ready()
    trial.look()
    assert condition(trial.world.status, "Ready")["status"] == "True"
    assert trial.said["result"] == "Passed"
    assert "of 2000 requests failed" in trial.said["message"]
    assert trial.look(3600) == [], "nothing is watched any more"


@dataclass(frozen=True)
class Worse:
    reason: str
    new: Counters
    old: Counters
    after: float
    word: str


WORSE = (
    Worse("one in fifty fails", counted(2000, 40), counted(3000), 30, "ErrorRatioExceeded"),
    Worse("each one fails", counted(20, 20), counted(1020), 10, "ErrorRatioExceeded"),
    Worse("only at the end is it clear", counted(200, 4), counted(1200), 120, "ErrorRatioExceeded"),
    Worse("few and sure", counted(30, 10), counted(1000), 10, "ErrorRatioExceeded"),
)


@pytest.mark.parametrize("case", WORSE, ids=lambda case: case.reason)
def test_what_fails_more_is_withdrawn_within_its_step(case: Worse) -> None:
    trial = Trial().begun()
    new = trial.canary
    trial.counts(case.new, case.old)
    assert trial.look(case.after) == [f"apply Deployment {NAME}", f"delete Deployment {new}"]
    assert trial.world.revision == trial.old
    failed = trial.memory.failed
    assert failed is not None
    assert (failed.name, failed.reason) == (new, case.word)
    assert trial.ready[0] == "RolledBack"
    assert trial.said["result"] == "Withdrawn"
    assert "maxErrorRatio is 0.01" in trial.said["message"]
    assert condition(trial.world.status, "Stalled")["status"] == "True"
    assert trial.look(3600) == [], "it is not tried again by itself"


ENDURED = (
    ("both fail alike: it is the clients", counted(2000, 100), counted(3000, 100)),
    ("one failure of many", counted(400, 1), counted(1400)),
    ("a failure among few is no share", counted(10, 1), counted(1010)),
    ("less than a millisecond", counted(400, p99_ms=2), counted(1400, p99_ms=1)),
    ("slower, by less than is allowed", counted(400, p99_ms=14), counted(1400, p99_ms=10)),
    ("nobody asks", counted(0, p99_ms=None), counted(1000, p99_ms=None)),
    ("slow, but hardly asked", counted(50, p99_ms=900), counted(1400)),
)


@pytest.mark.parametrize(("reason", "new", "old"), ENDURED, ids=[one[0] for one in ENDURED])
def test_what_is_no_worse_goes_one_step_further(reason: str, new: Counters, old: Counters) -> None:
    trial = Trial().begun()
    trial.counts(new, old)
    trial.look(60)
    trial.look(60)
    assert trial.said["step"] == 50, reason


def test_few_requests_are_told_of() -> None:
    trial = Trial(steps=[50, 100]).begun()
    trial.counts(counted(3), counted(1003))
    trial.look(120)
    assert trial.said["result"] == "Passed"
    assert "too few requests" in trial.said["message"]


def test_what_is_slower_is_withdrawn_when_it_lasts() -> None:
    trial = Trial().begun()
    trial.counts(counted(500, p99_ms=30), counted(1500))
    assert trial.look(60) == [], "the first requests of a pod are still in the last minute"
    assert trial.look(20) == [f"apply Deployment {trial.canary}"], "since when it is slow"
    assert trial.look(10) == []
    trial.look(10)
    assert trial.ready[0] == "RolledBack"
    failed = trial.memory.failed
    assert failed is not None
    assert failed.reason == "LatencyExceeded"
    assert "p99 30.0 ms, old 10.0 ms" in failed.message


def test_slow_for_a_moment_is_forgotten() -> None:
    trial = Trial().begun()
    trial.counts(counted(500, p99_ms=30), counted(1500))
    trial.look(80)
    trial.counts(counted(600), counted(1600))
    trial.look(10)
    trial.counts(counted(700, p99_ms=30), counted(1700))
    trial.look(30)
    assert trial.said["result"] == "Running"


def test_what_counts_begins_with_the_step() -> None:
    """Failures of the first step are no failures of the second."""
    trial = Trial(steps=[10, 50, 100], maxErrorRatio="0.05").begun()
    trial.counts(counted(1000, 30), counted(2000))
    trial.look(120)
    trial.pods()
    trial.look()
    trial.counts(counted(1400, 30), counted(2400))
    trial.look(120)
    assert trial.said["result"] == "Passed"
    assert trial.said["message"].startswith("0 of 800 requests failed")


def test_the_state_outlives_the_operator() -> None:
    """Nothing is kept but annotations: each look is made from the cluster alone."""
    trial = Trial().begun()
    text = trial.world.body("Deployment", trial.canary)["metadata"]["annotations"][names.ANALYSIS]
    state = json.loads(text)
    assert state["since"] == to_text(trial.world.now)
    assert sorted(state["base"].values()) == [[0, 0, 0, 0], [1000, 0, 0, 0], [1000, 0, 0, 0]]


def test_an_annotation_written_by_hand_begins_the_step_again() -> None:
    trial = Trial().begun()
    for text in ("{", '{"step": -3}', '{"step": "x"}', '{"base": {"a": [1]}}', '{"step": 99}'):
        annotations = {names.ANALYSIS: text}
        trial.world.edit("Deployment", trial.canary, {"metadata": {"annotations": annotations}})
        trial.look()
        assert trial.world.revision == trial.old, text
        assert trial.said["result"] == "Running"


# Answers that are compared.


def compared(compared: int, agreed: int, requests: int = 500) -> Counters:
    return Counters(answered=requests, p99_microseconds=10_000, compared=compared, agreed=agreed)


def test_the_new_pods_are_told_where_the_old_ones_are() -> None:
    trial = Trial(minAgreement="0.9")
    service = trial.world.body("Service", trial.old)["spec"]
    assert service["selector"][names.REVISION] == trial.old
    template = trial.world.body("Deployment", trial.canary)["spec"]["template"]
    (triton,) = (c for c in template["spec"]["containers"] if c["name"] == "triton")
    asks = {one["name"]: one.get("value") for one in triton["env"]}["RESNET_COMPARED_WITH"]
    assert asks == f"http://{trial.old}.{NAMESPACE}.svc:8000/v2/models/{NAME}"
    stored = trial.world.body("ConfigMap", trial.canary)["data"]["pod-template.json"]
    assert "RESNET_COMPARED_WITH" not in stored, "the pods that come to stay ask nobody"
    assert trial.look() == []


def test_without_a_threshold_nobody_is_asked() -> None:
    trial = Trial()
    assert trial.world.names_of("Service") == {NAME, names.STORE_NAME}
    assert "RESNET_COMPARED_WITH" not in json.dumps(trial.world.body("Deployment", trial.canary))


def test_what_answers_otherwise_is_withdrawn_though_nothing_fails() -> None:
    trial = Trial(minAgreement="0.9").begun()
    trial.counts(compared(20, 5), counted(1500))
    trial.look(10)
    failed = trial.memory.failed
    assert failed is not None
    assert failed.reason == "AnswersDiffer"
    assert "5 of 20 answers are alike" in failed.message
    assert trial.world.names_of("Service") == {NAME, names.STORE_NAME}, "nobody asks any more"


@pytest.mark.parametrize(("agreed", "step"), [(46, 50), (44, 10)])
def test_at_the_end_of_a_step_the_plain_share_counts(agreed: int, step: int) -> None:
    trial = Trial(minAgreement="0.9").begun()
    trial.counts(compared(50, agreed), counted(1500))
    trial.look(60)
    assert trial.said["result"] == "Running"
    trial.look(60)
    if step == 50:
        assert trial.said["step"] == 50
    else:
        assert trial.said["result"] == "Withdrawn"


def test_what_could_not_be_compared_holds_the_step() -> None:
    trial = Trial(minAgreement="0.9").begun()
    trial.counts(compared(0, 0), counted(1500))
    trial.look(120)
    reason, message = trial.ready
    assert reason == "CountersUnreadable"
    assert "remove rollout.analysis.minAgreement" in message
    trial.counts(compared(40, 40), counted(1500))
    trial.look(10)
    assert trial.said["step"] == 50


def test_without_requests_there_is_nothing_to_compare() -> None:
    trial = Trial(minAgreement="0.9").begun()
    trial.counts(compared(2, 2, requests=2), counted(1500))
    trial.look(120)
    assert trial.said["step"] == 50


def test_the_service_goes_when_the_revision_has_all() -> None:
    trial = Trial(minAgreement="0.9", steps=[50, 100]).begun()
    trial.counts(compared(100, 99), counted(1500))
    trial.look(120)
    assert trial.said["result"] == "Passed"
    assert trial.world.names_of("Service") == {NAME, names.STORE_NAME}


def test_old_pods_let_new_ones_in_where_callers_are_listed() -> None:
    callers = [{"podSelector": {"matchLabels": {"app": "client"}}}]
    policy = {"serving": {"networkPolicy": {"allowFrom": callers}, "replicas": 2}}
    cases: tuple[tuple[dict[str, Any], int], ...] = (({"minAgreement": "0.9"}, 2), ({}, 1))
    for analysis, number in cases:
        trial = Trial(policy, **analysis)
        (rule, *_) = trial.world.body("NetworkPolicy")["spec"]["ingress"]
        assert len(rule["from"]) == number


# What needs no analysis, and what ends one.


def direct(trial: Trial) -> None:
    assert trial.canaries == []
    assert trial.world.revision != trial.old


def test_without_analysis_there_is_none() -> None:
    world = World().serve()
    world.change({"serving": {"batching": {"maxQueueDelayMicroseconds": 5}}})
    world.reconcile()
    assert world.names_of("Deployment") == {NAME, names.STORE_NAME}
    assert "analysis" not in world.status["rollout"]


def test_a_first_revision_has_nothing_to_be_compared_with() -> None:
    world = World({"rollout": {"analysis": ANALYSIS}}).deploy()
    assert world.names_of("Deployment") == {NAME, names.STORE_NAME}


def test_the_only_step_of_100_is_a_plain_rollout() -> None:
    direct(Trial(steps=[100]))


def test_removing_it_rolls_out_at_once() -> None:
    trial = Trial().begun()
    trial.world.change({"rollout": {"analysis": None}})
    trial.look()
    direct(trial)


def test_back_to_the_old_spec_ends_the_trial() -> None:
    trial = Trial().begun()
    trial.back()
    trial.look()
    assert trial.canaries == []
    assert trial.world.revision == trial.old
    assert condition(trial.world.status, "Ready")["status"] == "True"


def test_another_change_begins_with_another_revision() -> None:
    trial = Trial().begun()
    first = trial.canary
    trial.change(7)
    trial.look()
    assert trial.canary != first


def test_suspended_nothing_is_watched() -> None:
    trial = Trial().begun()
    trial.world.change({"suspend": True})
    trial.look()
    assert trial.canaries == []


def test_a_pin_needs_no_analysis() -> None:
    trial = Trial().begun()
    trial.world.change({"rollout": {"pinRevision": trial.canary}})
    trial.look()
    direct(trial)


def test_what_served_before_comes_back_at_once() -> None:
    """Whoever takes a change back is in a hurry."""
    trial = Trial(steps=[50, 100]).begun()
    trial.counts(counted(500), counted(1500))
    trial.look(120)
    trial.world.pods_are_ready()
    trial.look()
    assert trial.world.revision != trial.old
    trial.back()
    trial.look()
    assert trial.world.revision == trial.old
    assert trial.canaries == []


def test_a_retry_tries_what_was_withdrawn_once_more() -> None:
    trial = Trial().begun()
    first = trial.canary
    trial.counts(counted(20, 20), counted(1020))
    trial.look(10)
    trial.world.pods = [p for p in trial.world.pods if "canary" not in p["metadata"]["name"]]
    trial.world.retry = "once-more"
    trial.look()
    assert trial.canary == first
    assert trial.ready[0] == "Analyzing"


# Pods that do not come.


def test_no_chip_for_both_falls_back_to_the_gate_alone() -> None:
    trial = Trial()
    trial.pods(1, ready=False, phase="Pending", containers=[], unschedulable=NO_CHIP)
    trial.look()
    assert f"waiting for a free {RESOURCE}" in trial.ready[1]
    trial.look(60)
    direct(trial)
    assert trial.said["result"] == "Skipped"
    assert f"no free {RESOURCE}" in trial.said["message"]


def test_a_share_is_as_many_pods_as_there_are_chips_for() -> None:
    trial = Trial(steps=[50, 100])
    assert trial.replicas == 2
    trial.pods(1)
    trial.world.serving_pod(name="canary-1", revision=trial.canary, unschedulable=NO_CHIP)
    trial.counts(counted(0), counted(1000))
    trial.look()
    assert "startTime" not in trial.said
    trial.look(60)
    assert trial.said["startTime"]


def test_a_revision_that_does_not_load_goes_back_as_any_other() -> None:
    trial = Trial()
    said = {"reason": "ModelLoadFailed", "message": "Triton cannot load the model"}
    crashed = waiting("triton", "CrashLoopBackOff", last=end(1, said=said)) | {"restartCount": 1}
    trial.pods(1, ready=False, containers=[crashed])
    new = trial.canary
    trial.look()
    assert trial.canaries == []
    assert trial.world.revision == trial.old
    failed = trial.memory.failed
    assert failed is not None
    assert (failed.name, failed.reason) == (new, "ModelLoadFailed")


def test_what_keeps_new_pods_from_coming_up_is_told() -> None:
    trial = Trial()
    pulls = waiting("triton", "ImagePullBackOff")
    trial.pods(1, ready=False, phase="Pending", containers=[pulls])
    trial.look()
    assert trial.ready[0] == "ImagePullFailed"
    assert trial.world.revision == trial.old
    trial.pods(1, ready=False, phase="Pending", containers=[], unschedulable=NO_CPU)
    trial.look(3600)
    assert trial.ready[0] == "Unschedulable", "processors may come, and are no chips"
    assert trial.world.revision == trial.old


def test_pods_that_fall_ill_in_a_step_are_told() -> None:
    trial = Trial(steps=[50, 100]).begun()
    crashed = waiting("triton", "CrashLoopBackOff", last=end(1)) | {"restartCount": 0}
    trial.pods(ready=False, containers=[crashed])
    trial.look(300)
    assert trial.ready[0] == "CrashLooping"
    assert trial.world.revision == trial.old


def test_counters_that_nobody_shows_hold_the_step_and_are_told() -> None:
    trial = Trial()
    trial.pods()
    trial.counts(None, counted(1000))
    trial.look()
    assert trial.ready[0] == "Analyzing"
    trial.look(61)
    reason, message = trial.ready
    assert reason == "CountersUnreadable"
    assert "allowMetricsFrom" in message
    trial.look(86400)
    assert trial.world.revision == trial.old, "nothing goes on unseen"
    trial.counts(counted(0), counted(1000))
    trial.look()
    assert trial.ready[0] == "Analyzing"


def test_a_step_does_not_end_while_no_new_pod_is_ready() -> None:
    trial = Trial(steps=[50, 100]).begun()
    trial.pods(ready=False)
    trial.world.counters |= {"canary-0": counted(0)}
    trial.look(600)
    assert trial.world.revision == trial.old


def test_the_new_pods_are_drawn_along_with_the_replicas() -> None:
    trial = Trial(steps=[50, 100]).begun()
    trial.world.change({"serving": {"replicas": 3}})
    trial.look()
    assert trial.replicas == 3
    assert trial.world.body("Deployment")["spec"]["replicas"] == 3


def test_a_clock_that_is_put_back_does_not_hold_a_step_for_ever() -> None:
    trial = Trial(steps=[50, 100]).begun()
    trial.counts(counted(500), counted(1500))
    trial.world.now -= timedelta(days=1)
    trial.look()
    assert trial.said["result"] == "Passed"
