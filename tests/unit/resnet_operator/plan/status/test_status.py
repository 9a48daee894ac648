"""The rest of the status, its times, and the events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import (
    ARTIFACT_SHA256,
    CHIP,
    MESSAGES,
    NOW,
    SOURCE_SHA256,
    condition,
    running,
    waiting,
)
from tests.unit.resnet_operator.plan.status.test_conditions import TABLE, Row, name_of
from tests.unit.resnet_operator.world import World, since

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.api.status import as_status
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.status.status import transitions
from resnet_operator.plan.times import from_text, seconds_since, to_text
from resnet_operator.plan.trust import revision_digest
from resnet_operator.record.artifact import record_digest


def test_the_whole_status_of_an_object_that_serves() -> None:
    world = World().serve()
    status = dict(world.status)
    conditions = {item["type"]: item["status"] for item in status.pop("conditions")}
    assert status == {
        "observedGeneration": 1,
        "phase": "Ready",
        "phaseStartTime": to_text(NOW),
        "ready": "1/1",
        "batch": "1,2,4,8",
        "chip": CHIP,
        "runtime": "AscendOM",
        "replicas": 1,
        "readyReplicas": 1,
        "selector": "app.kubernetes.io/component=serving,app.kubernetes.io/instance=resnet50,"
        "app.kubernetes.io/managed-by=resnet-operator",
        "model": {
            "name": "resnet50",
            "sha256": SOURCE_SHA256,
            "sizeBytes": 102_000_000,
            "opset": 13,
            "inputs": MESSAGES["prepare"]["inputs"],
            "outputs": MESSAGES["prepare"]["outputs"],
        },
        "artifact": {
            "job": names.job_name(world.key, 1),
            "record": world.record,
            "recordDigest": record_digest(world.body("ConfigMap", world.record)["data"]),
            "contentKey": "ef" * 32,
            "sha256": ARTIFACT_SHA256,
            "sizeBytes": 51_000_000,
            "chip": CHIP,
            "origin": "Converted",
            "durationSeconds": 12,
            "compiler": "ATC 8.2.RC1",
            "command": list(MESSAGES["convert"]["argv"]),
        },
        "revisions": {"desired": world.revision, "serving": world.revision},
        "revisionDigests": {
            world.revision: revision_digest(world.body("ConfigMap", world.revision)["data"])
        },
        "rollout": {"mode": "Surge"},
        "repositoryConfigMap": world.revision,
        "endpoints": {"http": "resnet50.models.svc:8000", "grpc": "resnet50.models.svc:8001"},
    }
    assert conditions == dict.fromkeys(
        ("ArtifactReady", "Available", "ModelReady", "Ready", "Scheduled"), "True"
    )


def test_outputs_are_told_as_clients_see_them() -> None:
    """model.py answers FP16 as FP32, because class_count refuses it."""
    world = World()
    world.reconcile()
    half = {"outputs": [{"name": "o", "dataType": "FP16", "dims": [10]}]}
    world.job_succeeds(MESSAGES | {"prepare": MESSAGES["prepare"] | half})
    world.reconcile()
    assert world.status["model"]["outputs"] == [{"name": "o", "dataType": "FP32", "dims": [10]}]


@pytest.mark.parametrize("row", TABLE, ids=name_of)
def test_nothing_is_written_that_the_schema_would_drop(row: Row) -> None:
    """A field that the CRD does not know is dropped, and written again at every look."""
    world = row.state()
    problem = world.seen.pop("problem", None)
    status = world.plan(problem).status
    assert as_status(status) == {key: value for key, value in status.items() if value is not None}


# A problem of execution is none of the world's: it is not seen again.
LIVING = [row for row in TABLE if name_of(row) != "name_conflict"]


@pytest.mark.parametrize("row", LIVING, ids=name_of)
def test_status_is_the_same_until_something_happens(row: Row) -> None:
    world = row.state()
    world.reconcile()
    before = world.status
    world.pass_time(7)
    plan = world.plan()
    assert as_status(plan.status) == before
    assert plan.events == ()


@pytest.mark.parametrize("row", LIVING, ids=name_of)
def test_other_pods_with_the_same_trouble_change_nothing(row: Row) -> None:
    """No name, number of restarts or time of a pod is anywhere in the status."""
    world = row.state()
    world.reconcile()
    before = world.status
    world.pass_time(7)
    for number, pod in enumerate(world.pods):
        facts = {"name": f"another-{number}", "uid": f"uid-{number}", "resourceVersion": "9999"}
        pod["metadata"] |= facts | {"creationTimestamp": to_text(world.now)}
        for kind in ("initContainerStatuses", "containerStatuses"):
            for container in pod["status"][kind]:
                container["restartCount"] = 42
    assert as_status(world.plan().status) == before


# Times.


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    world = World()
    world.reconcile()
    world.pass_time(10)
    world.job_pod(phase="Running", init=[running("fetch")])
    world.reconcile()
    shown = condition(world.status, "Ready")
    assert shown["reason"] == "Fetching"
    assert shown["lastTransitionTime"] == to_text(NOW), "another reason is no transition"
    world.pass_time(10)
    world.job_succeeds()
    world.reconcile()
    ready_since = condition(world.status, "ArtifactReady")["lastTransitionTime"]
    assert ready_since == since(to_text(NOW), 20)


def test_a_phase_has_its_own_time() -> None:
    world = World()
    world.reconcile()
    world.pass_time(10)
    world.job_pod(phase="Running", init=[running("fetch")])
    world.reconcile()
    started = world.status["phaseStartTime"]
    assert started == since(to_text(NOW), 10)
    world.pass_time(10)
    world.reconcile()
    assert world.status["phaseStartTime"] == started


TIMES = (
    ("no time, no age", "", 0.0),
    ("a minute ago", "2026-05-04T11:59:00Z", 60.0),
    ("clocks differ: ahead of us", "2026-05-04T12:00:05Z", -5.0),
)


@pytest.mark.parametrize(("reason", "text", "seconds"), TIMES)
def test_seconds_since(reason: str, text: str, seconds: float) -> None:
    assert seconds_since(text, NOW) == seconds, reason


def test_times_survive_their_text() -> None:
    assert from_text(to_text(NOW)) == NOW


# Events.


@dataclass(frozen=True)
class Transition:
    reason: str
    before: tuple[str, Reason, str] | None
    after: tuple[str, Reason, str]
    event: str | None


READY = ("True", Reason.READY, "serving revision 1")
CRASHED = ("False", Reason.CRASH_LOOPING, "a process died")
TRANSITIONS = (
    Transition(
        "a new object: steps on the way are quiet", None, ("False", Reason.PENDING, "x"), None
    ),
    Transition("it is ready", ("False", Reason.LOADING, "x"), READY, "Normal"),
    Transition("it is still ready", READY, READY, None),
    Transition("another revision is ready", READY, ("True", Reason.READY, "serving 2"), "Normal"),
    Transition("it crashed", READY, CRASHED, "Warning"),
    Transition("it still crashes", CRASHED, CRASHED, None),
    Transition("it crashes for another reason", CRASHED, (*CRASHED[:2], "killed"), "Warning"),
    Transition("it was suspended", READY, ("True", Reason.SUSPENDED, "no pods"), "Normal"),
    Transition("it rolls out", READY, ("False", Reason.ROLLING_OUT, "x"), None),
    Transition("a spec that was never good", None, ("False", Reason.INVALID_SPEC, "x"), "Warning"),
)


def status_with(ready: tuple[str, Reason, str] | None) -> dict[str, Any]:
    if ready is None:
        return {}
    status, reason, message = ready
    other = {"type": "Available", "status": "True", "reason": "x", "message": "y"}
    shown = {"type": "Ready", "status": status, "reason": reason.value, "message": message}
    return {"conditions": [other, shown]}


@pytest.mark.parametrize("case", TRANSITIONS, ids=lambda case: case.reason)
def test_events_on_transitions_only(case: Transition) -> None:
    events = transitions(status_with(case.before), status_with(case.after))
    if case.event is None:
        assert events == (), case.reason
        return
    (event,) = events
    assert (event.type, event.reason, event.message) == (
        case.event,
        case.after[1].value,
        case.after[2],
    )


def test_a_life_in_events() -> None:
    world = World()
    told: list[tuple[str, str]] = []

    def reconcile() -> None:
        before = world.status
        world.reconcile()
        told.extend((e.type, e.reason) for e in transitions(before, world.status))

    reconcile()
    world.job_succeeds()
    reconcile()
    for reason in ("ErrImagePull", "ImagePullBackOff", "ErrImagePull", "ImagePullBackOff"):
        world.serving_pod(containers=[waiting("triton", reason)])
        world.deployment_says(updated=1)
        reconcile()
    world.pods = []
    world.pods_are_ready()
    reconcile()
    reconcile()
    assert told == [("Normal", "Converted"), ("Warning", "ImagePullFailed"), ("Normal", "Ready")]


def test_a_problem_of_execution_is_said_and_looked_at_again() -> None:
    world = World().serve()
    problem = Problem(Reason.REJECTED, "the API server refused a Service: no")
    plan = world.plan(problem)
    assert plan.actions == ()
    assert plan.requeue_after == 60
    (event,) = plan.events
    assert (event.type, event.reason) == ("Warning", "Rejected")
    status = plan.status
    for kept in ("revisions", "endpoints", "repositoryConfigMap", "model", "artifact", "selector"):
        assert status[kept] == world.status[kept], f"{kept} is true as before"


def test_a_refused_spec_keeps_what_is_true_of_the_pods() -> None:
    world = World().serve()
    before = world.status
    world.change({"serving": {"batching": {"maxBatchSize": 9}}})
    plan = world.plan()
    assert plan.actions == ()
    assert plan.requeue_after is None, "only the user can mend it, and that is an event"
    for kept in ("revisions", "endpoints", "selector", "ready", "replicas", "readyReplicas"):
        assert plan.status[kept] == before[kept], kept
    assert plan.status["observedGeneration"] == 2
