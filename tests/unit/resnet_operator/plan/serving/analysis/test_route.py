"""With an HTTPRoute a share is a weight, or a copy: who gets the requests, plan by plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import NAME, RESOURCE, Body, a_settings, condition
from tests.unit.resnet_operator.plan.serving.analysis.on_trial import Trial, counted
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.seen.others import NetworkServiceObject

GATEWAY = a_settings(gateway_api=True)
ROUTE = {"parentRefs": [{"name": "public"}]}
MIRROR: Body = {"mode": "Mirror", "steps": None}
NO_CHIP = f"0/2 nodes are available: 2 Insufficient {RESOURCE}."
OTHERS = {NAME, names.STORE_NAME}
PLAIN = [{"name": NAME, "port": 8000}]


def routed(*, replicas: int = 2, **analysis: Any) -> Trial:
    spec = {"serving": {"replicas": replicas, "httpRoute": ROUTE}}
    return Trial(spec, settings=GATEWAY, **analysis)


def rule(world: World) -> Body:
    (found,) = world.body("HTTPRoute")["spec"]["rules"]
    return dict(found)


def weights(world: World) -> dict[str, int]:
    """Return who gets how much of the route; a single backend gets all."""
    return {one["name"]: one.get("weight", 100) for one in rule(world)["backendRefs"]}


def copied_to(world: World) -> list[str]:
    return [one["requestMirror"]["backendRef"]["name"] for one in rule(world).get("filters", ())]


def selected(world: World, service: str = NAME) -> str:
    """Return the one revision that a Service selects; "" for all."""
    return str(world.body("Service", service)["spec"]["selector"].get(names.REVISION, ""))


def gone(trial: Trial) -> None:
    """Have the garbage collector take the new pods."""
    trial.world.pods = [p for p in trial.world.pods if "canary" not in p["metadata"]["name"]]


def is_plain(world: World) -> bool:
    return rule(world)["backendRefs"] == PLAIN and "filters" not in rule(world)


# A share by weights.


def test_before_new_pods_come_the_service_keeps_to_the_old_ones() -> None:
    trial = routed()
    new = trial.canary
    assert [one for one in trial.first if "ConfigMap" not in one] == [
        f"apply Service {NAME}",
        f"apply Service {new}",
        f"apply Deployment {new}",
    ]
    assert selected(trial.world) == trial.old
    assert selected(trial.world, new) == new
    assert is_plain(trial.world), "nobody is sent to pods that are not there"
    assert "10 % of the route's requests" in trial.ready[1]
    assert trial.look() == []


def test_the_route_has_the_share_of_each_step_and_is_plain_again() -> None:
    trial = routed().begun()
    new = trial.canary
    assert weights(trial.world) == {NAME: 90, new: 10}
    assert "10 % of the route's requests (1 of 3 pods)" in trial.said["message"]
    assert trial.look() == [], "nothing is written while nothing happens"
    trial.counts(counted(500), counted(1500))
    assert trial.look(120) == [f"apply Deployment {new}"]
    assert weights(trial.world) == {NAME: 90, new: 10}, "until the pods of the next step are there"
    trial.pods()
    assert trial.look() == [f"apply Deployment {new}", f"apply HTTPRoute {NAME}"]
    assert weights(trial.world) == {NAME: 50, new: 50}
    trial.counts(counted(1500), counted(2500))
    assert trial.look(120) == [
        f"apply Service {NAME}",
        f"apply Deployment {NAME}",
        f"apply HTTPRoute {NAME}",
    ], "the Service selects new pods before the first old one goes"
    assert trial.world.revision == new
    assert is_plain(trial.world)
    assert selected(trial.world) == ""
    assert trial.look(1) == [f"delete Deployment {new}", f"delete Service {new}"]
    gone(trial)
    trial.world.pods_are_ready()
    assert trial.look() == []
    assert trial.said["result"] == "Passed"
    assert condition(trial.world.status, "Ready")["status"] == "True"


@pytest.mark.parametrize(
    ("replicas", "percent"), [(1, 1), (1, 99), (2, 10), (3, 30), (4, 26), (7, 5), (8, 90)]
)
def test_the_share_is_exact_whatever_the_number_of_pods(replicas: int, percent: int) -> None:
    trial = routed(replicas=replicas, steps=[percent, 100]).begun()
    assert weights(trial.world) == {NAME: 100 - percent, trial.canary: percent}


def test_what_does_worse_gets_nothing_more_and_is_never_behind_the_service() -> None:
    trial = routed().begun()
    new = trial.canary
    trial.counts(counted(20, 20), counted(1020))
    assert trial.look(10) == [f"apply Deployment {NAME}", f"apply HTTPRoute {NAME}"]
    assert is_plain(trial.world)
    assert selected(trial.world) == trial.old, "its pods are still there"
    assert trial.look(1) == [f"delete Deployment {new}", f"delete Service {new}"]
    assert trial.look() == []
    assert selected(trial.world) == trial.old, "pods outlive their Deployment by a moment"
    gone(trial)
    assert trial.look() == [f"apply Service {NAME}"]
    assert selected(trial.world) == ""
    assert trial.ready[0] == "RolledBack"
    assert trial.look(3600) == []


def test_the_service_is_wide_before_a_rollout_though_pods_of_a_trial_linger() -> None:
    trial = routed().begun()
    trial.counts(counted(20, 20), counted(1020))
    trial.look(10)
    trial.look(1)
    assert trial.canaries == []
    assert selected(trial.world) == trial.old
    trial.change(7)
    trial.world.change({"rollout": {"analysis": None}})
    applied = [one for one in trial.look() if "ConfigMap" not in one]
    assert applied == [f"apply Service {NAME}", f"apply Deployment {NAME}"]


def test_another_rollout_in_the_midst_of_a_trial_finds_the_service_wide() -> None:
    """Old pods serve until new ones are ready: a Service of the new ones alone would be empty."""
    trial = routed().begun()
    trial.change(7)
    trial.world.change({"rollout": {"analysis": None}})
    applied = [one for one in trial.look() if "ConfigMap" not in one]
    assert applied[:2] == [f"apply Service {NAME}", f"apply Deployment {NAME}"]
    assert selected(trial.world) == ""
    trial.look(1)
    assert selected(trial.world) == "", "though pods of the trial are still there"
    trial.world.pods_are_ready()
    trial.look()
    assert selected(trial.world) == ""
    assert trial.look() == []


def test_a_change_taken_back_ends_the_trial_in_the_same_order() -> None:
    trial = routed().begun()
    new = trial.canary
    trial.back()
    assert trial.world.plan().requeue_after == 1, "though the object is Ready"
    assert trial.look() == [f"apply HTTPRoute {NAME}"]
    assert trial.look(1) == [f"delete Deployment {new}", f"delete Service {new}"]
    gone(trial)
    assert trial.look() == [f"apply Service {NAME}"]
    assert condition(trial.world.status, "Ready")["status"] == "True"


def test_another_change_in_the_midst_is_another_trial() -> None:
    trial = routed().begun()
    first = trial.canary
    trial.change(7)
    trial.look()
    assert is_plain(trial.world)
    trial.look(1)
    assert trial.canary != first
    gone(trial)
    trial.begun()
    assert weights(trial.world) == {NAME: 90, trial.canary: 10}


@pytest.mark.parametrize(("ready", "percent"), [(4, 50), (3, 50), (1, 25), (0, 0)])
def test_pods_that_are_away_get_no_requests(ready: int, percent: int) -> None:
    """A pod gets no more than its part of all; one that is none, an error for each client."""
    trial = routed(replicas=4, steps=[50, 100]).begun()
    for number in range(ready, 4):
        trial.world.serving_pod(name=f"canary-{number}", revision=trial.canary, ready=False)
    trial.look()
    assert weights(trial.world).get(trial.canary, 0) == percent
    trial.pods()
    trial.look()
    assert weights(trial.world) == {NAME: 50, trial.canary: 50}


def test_without_the_kind_a_share_is_by_pods() -> None:
    trial = routed()
    trial.world.seen["absent_kinds"] = frozenset({"HTTPRoute"})
    trial.look()
    assert selected(trial.world) == "", "clients come to new pods by the Service"
    assert "(1 of 3 pods)" in trial.ready[1]
    assert "route" not in trial.ready[1]


def test_without_the_kind_nobody_makes_copies_and_that_is_told() -> None:
    trial = routed(**MIRROR)
    trial.world.seen["absent_kinds"] = frozenset({"HTTPRoute"})
    trial.begun()
    assert selected(trial.world) == trial.old, "clients do not come to new pods for all that"
    trial.counts(counted(0), counted(1500))
    trial.look(120)
    assert trial.said["result"] == "Passed"
    assert "too few requests" in trial.said["message"]


def test_a_route_that_is_removed_leaves_a_share_by_pods() -> None:
    trial = routed().begun()
    trial.world.change({"serving": {"httpRoute": None}})
    trial.look()
    assert selected(trial.world) == ""
    assert not trial.world.has("HTTPRoute", NAME)
    trial.look(1)
    assert trial.world.names_of("Service") == OTHERS
    assert trial.said["result"] == "Running"


def test_by_pods_the_service_selects_both_as_ever() -> None:
    trial = Trial().begun()
    assert selected(trial.world) == ""
    assert trial.world.names_of("Service") == OTHERS


# Copies.


def test_copies_are_of_all_requests_and_nobody_gets_their_answers() -> None:
    trial = routed(**MIRROR)
    new = trial.canary
    assert trial.replicas == 2, "as many pods as answer these requests"
    assert selected(trial.world) == trial.old
    assert copied_to(trial.world) == []
    trial.begun()
    assert copied_to(trial.world) == [new]
    assert rule(trial.world)["backendRefs"] == PLAIN
    assert "gets copies of all requests (2 of 4 pods)" in trial.said["message"]
    assert "step" not in trial.said, "there are no steps"
    assert trial.look() == []
    trial.counts(counted(500), counted(1500))
    assert trial.look(119) == []
    assert trial.look(1) == [
        f"apply Service {NAME}",
        f"apply Deployment {NAME}",
        f"apply HTTPRoute {NAME}",
    ]
    assert is_plain(trial.world)
    assert trial.said["result"] == "Passed"
    assert trial.look(1) == [f"delete Deployment {new}", f"delete Service {new}"]


def test_copies_whose_answers_differ_withdraw_it() -> None:
    trial = routed(**MIRROR, minAgreement="0.9").begun()
    assert trial.world.names_of("Service") == OTHERS | {trial.old, trial.canary}
    differs = counted(500)
    trial.counts(type(differs)(answered=500, compared=20, agreed=5), counted(1500))
    trial.look(10)
    failed = trial.memory.failed
    assert failed is not None
    assert failed.reason == "AnswersDiffer"
    assert is_plain(trial.world)
    assert selected(trial.world) == trial.old, "no client sees one of its answers"
    trial.look(1)
    assert trial.world.names_of("Service") == OTHERS


def test_copies_need_a_chip_for_each_new_pod() -> None:
    trial = routed(**MIRROR)
    trial.pods(1)
    trial.world.serving_pod(name="canary-1", revision=trial.canary, unschedulable=NO_CHIP)
    trial.counts(counted(0), counted(1000))
    trial.look()
    assert is_plain(trial.world), "one pod is not asked what two answer"
    trial.look(60)
    assert trial.said["result"] == "Skipped"
    assert f"no free {RESOURCE}" in trial.said["message"]
    assert "without copies" in trial.said["message"]


def test_copies_stop_while_no_new_pod_is_ready() -> None:
    trial = routed(**MIRROR).begun()
    trial.pods(ready=False)
    trial.look()
    assert is_plain(trial.world)


def test_a_change_of_mode_begins_again() -> None:
    trial = routed(**MIRROR).begun()
    trial.world.change({"rollout": {"analysis": {"mode": "Share", "steps": [50, 100]}}})
    trial.look()
    assert copied_to(trial.world) == []
    assert weights(trial.world) == {NAME: 50, trial.canary: 50}, "its pods are there already"
    assert trial.said["step"] == 50


def test_without_a_route_nobody_makes_copies() -> None:
    world = World({"rollout": {"analysis": {"mode": "Mirror"}}}, settings=GATEWAY)
    assert world.service.resolved is None
    assert "write serving.httpRoute" in (world.service.invalid or "")


# A Gateway that will not.


def refuses(trial: Trial, *, reason: str = "UnsupportedValue") -> None:
    """Have the Gateway say that it does not take the route as it is now."""
    said = {"type": "Accepted", "status": "False", "reason": reason}
    parent = {"parentRef": {"name": "public"}, "conditions": [said]}
    body = trial.world.body("HTTPRoute") | {"status": {"parents": [parent]}}
    sighting = {"HTTPRoute": NetworkServiceObject.from_body(body)}
    trial.world.seen["network"] = {**trial.world.observe().network, **sighting}


@pytest.mark.parametrize("analysis", [MIRROR, {}], ids=["copies", "a share"])
def test_a_refused_route_is_put_back_and_the_trial_held(analysis: Body) -> None:
    trial = routed(**analysis).begun()
    refuses(trial)
    assert trial.look() == [f"apply Deployment {trial.canary}", f"apply HTTPRoute {NAME}"]
    del trial.world.seen["network"]
    assert is_plain(trial.world), "clients come to the old pods at once"
    reason, message = trial.ready
    assert reason == Reason.ROUTE_REFUSED.value
    assert "is refused by Gateway public: UnsupportedValue" in message
    assert len(message) <= 120
    trial.counts(counted(500), counted(1500))
    assert trial.look(86_400) == [], "it is not tried again and again, and nothing goes on unseen"
    assert trial.world.revision == trial.old
    trial.world.retry = "once-more"
    trial.look()
    trial.begun()
    assert not is_plain(trial.world)


def test_refused_copies_may_become_a_share() -> None:
    trial = routed(**MIRROR).begun()
    refuses(trial)
    trial.look()
    del trial.world.seen["network"]
    trial.world.change({"rollout": {"analysis": {"mode": None, "steps": [50, 100]}}})
    trial.look()
    trial.begun()
    assert weights(trial.world) == {NAME: 50, trial.canary: 50}


def test_what_a_gateway_says_of_the_plain_route_holds_no_trial() -> None:
    trial = routed()
    refuses(trial, reason="NoMatchingListenerHostname")
    trial.look()
    assert trial.ready[0] == "Analyzing"


# The operator may end at any moment: after each action of each plan.


@dataclass(frozen=True)
class Story:
    reason: str
    analysis: Body
    new: Any
    result: str


STORIES = (
    Story("a share passes", {"steps": [50, 100]}, counted(500), "Passed"),
    Story("a share is withdrawn", {"steps": [50, 100]}, counted(500, 300), "Withdrawn"),
    Story("copies pass", MIRROR, counted(500), "Passed"),
    Story("copies are withdrawn", MIRROR, counted(500, 300), "Withdrawn"),
)


def holds(trial: Trial, *, unseen: bool) -> None:
    """Assert what clients rely on, whenever they call; `unseen` is new and may not answer."""
    world = trial.world
    for name in (*weights(world), *copied_to(world)):
        assert world.has("Service", name), "the route leads to what is there"
    only = selected(world)
    assert only in {"", world.revision}, "the Service selects the pods that stay"
    beside = [p["metadata"]["labels"][names.REVISION] for p in world.pods if _is_new(p)]
    if unseen and set(beside) - {world.revision}:
        assert only == world.revision, "no client has an answer of a revision on trial"
        assert set(weights(world)) == {NAME}
    for name in {*weights(world), *copied_to(world)} - {NAME}:
        assert world.has("Deployment", name), "it has pods"


def _is_new(pod: Body) -> bool:
    return "canary" in pod["metadata"]["name"]


@pytest.mark.thorough
@pytest.mark.parametrize("case", STORIES, ids=lambda case: case.reason)
@pytest.mark.parametrize("ends_after", range(5))
def test_the_end_of_the_operator_loses_nothing(case: Story, ends_after: int) -> None:
    trial = routed(**case.analysis)
    unseen = case.analysis is MIRROR

    def looks(seconds: float = 0.0) -> list[str]:
        """Die in the midst of a plan, be started again, and do what is left."""
        trial.world.pass_time(seconds)
        plan = trial.world.plan()
        for action in plan.actions[:ends_after]:
            trial.world.execute(action)
            holds(trial, unseen=unseen)
        left: list[str] = []
        for _ in range(4):
            for action in trial.world.plan().actions:
                trial.world.execute(action)
                holds(trial, unseen=unseen)
                left += described([action])
            trial.world.reconcile()
        return left

    looks()
    trial.pods()
    trial.counts(counted(0, p99_ms=None), counted(1000))
    looks()
    assert not is_plain(trial.world)
    trial.counts(case.new, counted(1500))
    # What has passed may answer: the Service selects it a moment before the Deployment has it.
    unseen = unseen and case.result == "Withdrawn"
    looks(120)
    gone(trial)
    trial.world.pods_are_ready()
    looks()
    assert is_plain(trial.world)
    assert selected(trial.world) == ""
    assert trial.canaries == []
    assert trial.world.names_of("Service") == OTHERS
    assert trial.said["result"] == case.result
    assert (trial.world.revision == trial.old) is (case.result == "Withdrawn")
    assert trial.look(3600) == []
