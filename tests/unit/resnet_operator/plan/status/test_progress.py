"""What the status says on the way: which Job, which stage, and when the next attempt is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.builders import ended, running, waiting
from tests.unit.resnet_operator.world import World

from resnet_contract.progress import MIB, MOST_BYTES, Moved
from resnet_operator import names
from resnet_operator.api.status import as_status
from resnet_operator.plan.status.status import transitions
from resnet_operator.plan.times import to_text

GATE = {
    "validation": {
        "dataset": {"uri": "pvc://data/cifar100.tar", "sha256": "12" * 32, "format": "CifarPython"},
        "thresholds": {"minTop1": "0.7855"},
    }
}
DOWNLOAD = {"reason": "DownloadFailed", "message": "broke off", "permanent": False}
BEGAN = "2026-05-04T12:00:09Z"


def begun(name: str) -> dict[str, Any]:
    return running(name) | {"state": {"running": {"startedAt": BEGAN}}}


def test_the_job_is_named_from_the_first_moment() -> None:
    world = World()
    world.reconcile()
    assert world.status["artifact"] == {"job": world.newest_job()}


def test_a_job_that_is_gone_keeps_its_name_and_costs_no_write() -> None:
    world = World().serve()
    before = world.status
    world.delete("Job", world.newest_job())
    plan = world.plan()
    assert plan.status == before
    assert before["artifact"]["job"] == names.job_name(world.key, 1)


def test_what_is_served_stays_told_beside_the_job_of_what_comes() -> None:
    world = World().serve()
    served = {**world.status["artifact"]}
    world.change({"conversion": {"batchSizes": [16]}})
    world.reconcile()
    found = world.status["artifact"]
    assert found.pop("job") == names.job_name(world.key, 1) != served.pop("job")
    assert found == served


def test_a_spec_that_is_refused_tells_of_no_job() -> None:
    world = World()
    world.reconcile()
    world.change({"model": {"format": "OneFlow"}})
    world.reconcile()
    assert "artifact" not in world.status


@pytest.mark.parametrize(
    ("states", "progress"),
    [
        ([waiting("fetch", "PodInitializing")], None),
        ([begun("fetch")], {"stage": "fetch", "startTime": BEGAN, "percent": 0}),
        (
            [ended("fetch"), begun("prepare")],
            {"stage": "prepare", "startTime": BEGAN, "percent": 25},
        ),
        ([ended("fetch"), ended("prepare")], None),
        (
            [ended("fetch"), ended("prepare"), begun("convert")],
            {"stage": "convert", "startTime": BEGAN, "percent": 50},
        ),
        (
            [ended("istio-init"), begun("fetch")],
            {"stage": "fetch", "startTime": BEGAN, "percent": 0},
        ),
        ([begun("istio-proxy"), waiting("fetch", "PodInitializing")], None),
    ],
    ids=[
        "nothing runs",
        "fetch",
        "prepare",
        "between two",
        "convert",
        "what a mesh puts before is no stage",
        "nor is what runs beside",
    ],
)
def test_the_stage_is_the_container_that_runs(
    states: list[dict[str, Any]], progress: dict[str, Any] | None
) -> None:
    world = World()
    world.reconcile()
    world.job_pod(phase="Pending", init=states)
    world.reconcile()
    assert world.status.get("progress") == progress


def test_stages_after_the_artifact_and_none_at_rest() -> None:
    world = World()
    world.reconcile()
    world.job_pod(phase="Running", init=[], containers=[begun("publish")])
    world.reconcile()
    seen = [world.status["progress"]["stage"]]
    world.job_succeeds()
    world.reconcile()
    seen.append(world.status["progress"]["stage"])
    world.pods_are_ready()
    world.reconcile()
    assert seen == ["publish", "load"]
    assert "progress" not in world.status


def fetching(moved: Moved | None, *, said: Any = None, began: str = BEGAN) -> dict[str, Any]:
    """What is said of a download of which the log says `moved`, and the status `said` before."""
    world = World()
    world.reconcile()
    state = running("fetch") | {"state": {"running": {"startedAt": began}}}
    world.job_pod(phase="Pending", init=[state])
    world.status["progress"] = said
    uid = world.observe().job_pods[0].meta.uid
    known = {(uid, "fetch", began): moved} if moved else {}
    found: dict[str, Any] = world.plan(moved=known).status["progress"]
    assert as_status({"progress": found})["progress"] == found, "the CRD has all of it"
    return found


AT = {"stage": "fetch", "startTime": BEGAN}
HALF = {**AT, "percent": 12, "bytes": 120 * MIB, "totalBytes": 240 * MIB}
OTHER_BEGIN = "2026-05-04T12:30:00Z"


@pytest.mark.parametrize(
    ("reason", "moved", "said", "progress"),
    [
        ("half of one of four stages", Moved("downloaded", 120 * MIB, 240 * MIB, 50), None, HALF),
        ("no size, no part", Moved("downloaded", MIB), None, {**AT, "percent": 0, "bytes": MIB}),
        ("all of it is not the stage's end",
         Moved("downloaded", MIB, MIB, 100), None,
         {**AT, "percent": 25, "bytes": MIB, "totalBytes": MIB}),
        ("an operator that was restarted takes nothing back", None, HALF, HALF),
        ("nor where nothing is known yet", None, None, {**AT, "percent": 0}),
        ("a second file begins: its bytes, and no step back",
         Moved("downloaded", 0, 10 * MIB, 0), HALF,
         {**AT, "percent": 12, "bytes": 0, "totalBytes": 10 * MIB}),
        ("a size that is not known any more goes",
         Moved("unpacked", 5 * MIB), HALF, {**AT, "percent": 12, "bytes": 5 * MIB}),
        ("another beginning is another try", None, HALF | {"startTime": OTHER_BEGIN},
         {**AT, "percent": 0}),
        ("another stage's are not its own", None, HALF | {"stage": "publish"},
         {**AT, "percent": 0}),
        ("whoever else wrote a status: no more than this stage can be", None,
         {**AT, "percent": 10**9, "bytes": -1}, {**AT, "percent": 25}),
        ("or no numbers", None, {**AT, "bytes": "many", "percent": "x"}, {**AT, "percent": 0}),
        ("or no object at all", None, ["fetch"], {**AT, "percent": 0}),
        ("or another type", None, {**AT, "percent": True, "bytes": 1.5}, {**AT, "percent": 0}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_how_far_it_is(
    reason: str, moved: Moved | None, said: Any, progress: dict[str, Any]
) -> None:
    assert fetching(moved, said=said) == progress, reason


@given(
    st.integers(0, MOST_BYTES),
    st.none() | st.integers(0, MOST_BYTES),
    st.integers(-(2**70), 2**70) | st.text() | st.none(),
)
@settings(max_examples=50)
def test_whatever_a_log_or_a_status_says_is_in_bounds(
    done: int, total: int | None, before: Any
) -> None:
    found = fetching(Moved("downloaded", done, total, 50), said={**AT, "percent": before})
    assert 0 <= found["percent"] <= 99
    assert 0 <= found["bytes"] <= MOST_BYTES


def test_a_gate_is_a_stage() -> None:
    world = World(GATE)
    world.reconcile()
    world.job_succeeds()
    world.reconcile()
    assert world.status["progress"] == {"stage": "gate"}


def test_the_next_attempt_is_told_and_does_not_move() -> None:
    world = World()
    world.reconcile()
    world.job_fails("fetch", 80, DOWNLOAD)
    world.reconcile()
    world.reconcile()
    failed = world.status["artifact"]
    pause = 300
    assert failed == {
        "job": names.job_name(world.key, 1),
        "nextAttemptTime": to_text(world.now + timedelta(seconds=pause)),
    }
    world.pass_time(60)
    world.reconcile()
    assert world.status["artifact"] == failed
    world.pass_time(pause)
    world.reconcile()
    assert world.status["artifact"] == {"job": names.job_name(world.key, 2)}


def test_a_failure_for_good_has_no_next_attempt() -> None:
    world = World()
    world.reconcile()
    world.job_fails("fetch", 66, DOWNLOAD | {"permanent": True})
    world.reconcile()
    world.reconcile()
    assert world.status["artifact"] == {"job": names.job_name(world.key, 1)}


# Events.


def said(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": "m"}]}


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({}, said("ArtifactReady", "True", "Converted"), [("Normal", "Converted")]),
        ({}, said("ArtifactReady", "True", "Reused"), [("Normal", "Reused")]),
        (
            said("ArtifactReady", "True", "Converted"),
            said("ArtifactReady", "True", "Reused"),
            [],
        ),
        ({}, said("ArtifactReady", "False", "Pending"), []),
        (
            said("Validated", "False", "Validating"),
            said("Validated", "True", "Validated"),
            [("Normal", "Validated")],
        ),
        ({}, said("Validated", "False", "ValidationFailed"), []),
        (
            said("Ready", "True", "Ready"),
            said("Ready", "False", "RolledBack"),
            [("Warning", "RolledBack")],
        ),
        ({}, said("ChipsHealthy", "True", "Ready"), []),
    ],
    ids=[
        "converted",
        "reused",
        "the same artifact, told otherwise",
        "not there yet",
        "validated",
        "not good enough: Ready tells it",
        "rolled back",
        "well chips are no news",
    ],
)
def test_what_is_news(
    before: dict[str, Any], now: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    assert [(event.type, event.reason) for event in transitions(before, now)] == told


def test_every_pod_and_job_carries_the_name_of_its_service() -> None:
    world = World().serve()
    job = world.body("Job", world.newest_job())
    pods = (
        job["metadata"],
        job["spec"]["template"]["metadata"],
        world.body("Deployment")["spec"]["template"]["metadata"],
    )
    assert [pod["labels"][names.SERVICE] for pod in pods] == ["resnet50"] * 3
