"""The gate: what is measured when, who gets traffic meanwhile, and what is said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import (
    LATENCY,
    MEASURED,
    MESSAGES,
    NAME,
    RESOURCE,
    Body,
    condition,
    ended,
    merged,
    running,
    waiting,
)
from tests.unit.resnet_operator.world import World, described, since

from resnet_operator import names
from resnet_operator.plan.actions import Apply
from resnet_operator.plan.results import result_digest

NO_CHIP = f"0/2 nodes are available: 2 Insufficient {RESOURCE}."
GATE: Body = {
    "validation": {
        "dataset": {"uri": "pvc://data/cifar100.tar", "sha256": "12" * 32, "format": "CifarPython"},
        "thresholds": {"minTop1": "0.7855"},
    }
}
BORROW: Body = merged(GATE, {"validation": {"onNoFreeChip": "BorrowReplica"}})
ROLLOUT: Body = {"serving": {"batching": {"maxQueueDelayMicroseconds": 5}}}
# Another model gives another artifact.
ANOTHER: Body = {"model": {"uri": "pvc://models/another.onnx"}}
OTHER_MESSAGES = MESSAGES | {"publish": MESSAGES["publish"] | {"sha256": "ee" * 32}}


def gated(changes: Body | None = None, *, gate: Body = GATE) -> World:
    """An object whose artifact is made and whose candidate's Job is there."""
    return World(merged(gate, changes or {})).deploy()


def passed(changes: Body | None = None, *, gate: Body = GATE) -> World:
    """An object that serves what has passed the gate."""
    world = gated(changes, gate=gate)
    world.candidate_is_measured()
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    return world


def successor(gate: Body = GATE, *, replicas: int = 2) -> World:
    """An object that serves the old artifact while the new one's candidate has its Job."""
    world = passed({"serving": {"replicas": replicas}}, gate=gate)
    world.change(ANOTHER)
    world.reconcile()
    world.job_succeeds(OTHER_MESSAGES)
    world.reconcile()
    return world


def jobs(world: World) -> list[str]:
    found = sorted(world.names_of("Job"))
    return [
        n for n in found if names.VALIDATION in world.body("Job", n)["metadata"]["labels"].values()
    ]


def replicas(world: World) -> int:
    return int(world.body("Deployment")["spec"]["replicas"])


def said(world: World, kind: str) -> tuple[str, str, str]:
    found = condition(world.status, kind)
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


# The way through.


def test_a_first_artifact_is_measured_before_anything_is_deployed() -> None:
    world = World(GATE).convert()
    done = described(world.reconcile())
    assert not world.has("Deployment", NAME)
    assert not world.has("Service", NAME)
    (job,) = jobs(world)
    assert job.startswith(f"rns-{world.key}-v")
    assert job.endswith("-1")
    (revision,) = (n for n in world.names_of("ConfigMap") if n.startswith(f"{NAME}-"))
    assert done.index(f"create ConfigMap {revision}") < done.index(f"create Job {job}")
    assert said(world, "Ready")[:2] == ("False", "Validating")
    assert said(world, "Validated")[:2] == ("False", "Validating")
    assert said(world, "Reconciling")[0] == "True"
    assert world.status["phase"] == "Validating"
    assert "validation" not in world.status
    assert world.reconcile() == [], "and then it waits"


def test_what_passes_is_deployed_and_told_with_its_numbers() -> None:
    world = gated()
    world.candidate_is_measured()
    done = described(world.reconcile())
    (job,) = jobs(world)
    name = job.removesuffix("-1")
    assert done.index(f"apply ConfigMap {name}") < done.index(f"apply Deployment {NAME}")
    assert world.body("Job", job)["spec"]["ttlSecondsAfterFinished"] == 600
    assert world.body("ConfigMap", name)["immutable"] is True
    world.pods_are_ready()
    world.reconcile()
    assert said(world, "Ready")[:2] == ("True", "Ready")
    numbers = (
        "samples 10000, top1 0.7901, top1Reference 0.7942, cosineSimilarity 0.998712, "
        "top1Agreement 0.991, imagesPerSecond 5123, throughput at batch 24 18210"
    )
    assert said(world, "Validated") == ("True", "Validated", numbers)
    assert world.status["validation"] == {
        "result": "Passed",
        "record": name,
        "samples": 10_000,
        "top1": "0.7901",
        "top1Reference": "0.7942",
        "cosineSimilarity": "0.998712",
        "top1Agreement": "0.991",
        "imagesPerSecond": 5123,
        "throughput": {"24": 18210},
    }


def test_nothing_is_done_when_all_is_measured_and_serves() -> None:
    world = passed()
    before = world.status
    world.pass_time(3600)
    assert world.plan().requeue_after is None
    assert world.reconcile() == []
    assert world.status == before


def test_the_numbers_are_kept_and_no_bar_with_them() -> None:
    world = passed()
    stored = json.loads(world.result()["result.json"])
    numbers = {key: value for key, value in MEASURED.items() if key != "ok"}
    assert stored == numbers | {"attempt": 1}


def test_what_fails_is_never_deployed() -> None:
    world = gated()
    world.candidate_is_measured(top1=0.742)
    world.reconcile()
    assert not world.has("Deployment", NAME)
    message = "validation failed: top1 0.742 is below minTop1 0.7855"
    assert said(world, "Ready") == ("False", "ValidationFailed", message)
    assert said(world, "Stalled")[0] == "True"
    assert said(world, "Available")[0] == "False"
    _, reason, long = said(world, "Validated")
    assert reason == "ValidationFailed"
    assert long.startswith("top1 0.742 is below minTop1 0.7855; samples 10000, top1 0.742, ")
    assert "imagesPerSecond 5123" in long
    assert world.status["phase"] == "Failed"
    assert world.status["validation"]["result"] == "Failed"
    assert world.status["validation"]["top1"] == "0.742"
    assert world.plan().requeue_after is None
    assert world.reconcile() == []


def test_what_the_doctor_finds_is_in_the_message_and_the_status() -> None:
    found = {"cause": "Preprocessing", "message": "the mean is wrong", "patch": '{"spec":{}}'}
    world = gated()
    world.candidate_is_measured(top1=0.742, diagnosis=found, latency=LATENCY)
    world.reconcile()
    message = "validation failed: top1 0.742 is below minTop1 0.7855; the mean is wrong"
    assert said(world, "Ready") == ("False", "ValidationFailed", message)
    long = said(world, "Validated")[2]
    assert "p99Milliseconds 7.125, throughput" in long
    assert long.endswith("; Preprocessing: the mean is wrong")
    assert world.status["validation"]["diagnosis"] == found


def test_a_cause_that_was_not_found_is_not_in_the_way() -> None:
    world = gated()
    world.candidate_is_measured(top1=0.742, diagnosis={"cause": "Unknown", "message": "no idea"})
    world.reconcile()
    message = "validation failed: top1 0.742 is below minTop1 0.7855"
    assert said(world, "Ready") == ("False", "ValidationFailed", message)


def test_the_old_revision_serves_on_while_the_new_one_is_measured_and_when_it_fails() -> None:
    world = successor()
    old = world.revision
    before = world.body("Deployment")
    assert said(world, "Ready")[:2] == ("False", "Validating")
    assert said(world, "Available")[0] == "True"
    assert said(world, "Scheduled") == said(world, "ModelReady") == ("", "", "")
    assert world.status["phase"] == "Validating"
    world.candidate_is_measured(top1=0.1)
    world.reconcile()
    assert world.body("Deployment") == before
    assert world.status["phase"] == "Degraded"
    assert world.status["ready"] == "2/2"
    assert world.status["revisions"]["serving"] == old
    assert world.status["revisions"]["desired"] != old
    assert said(world, "Ready")[1] == "ValidationFailed"
    assert world.reconcile() == []


def test_the_new_revision_rolls_out_when_it_passes() -> None:
    world = successor()
    old = world.revision
    world.candidate_is_measured()
    world.reconcile()
    assert world.revision != old
    assert said(world, "Ready")[:2] == ("False", "RollingOut")
    assert said(world, "Validated")[0] == "True"


def test_a_live_revision_is_kept_as_it_should_be_while_another_is_measured() -> None:
    world = successor()
    world.edit("Deployment", NAME, {"spec": {"replicas": 7}})
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    assert replicas(world) == 2
    world.change({"serving": {"replicas": 3}})
    world.reconcile()
    assert replicas(world) == 3


# A bar is judged on the numbers that are there.


def test_a_lowered_bar_opens_the_gate_without_another_run() -> None:
    world = gated()
    world.candidate_is_measured(top1=0.78)
    world.reconcile()
    world.change({"validation": {"thresholds": {"minTop1": "0.78"}}})
    done = described(world.reconcile())
    assert f"apply Deployment {NAME}" in done
    assert len(jobs(world)) == 1


def test_a_raised_bar_takes_nobody_from_the_network() -> None:
    world = passed()
    before = world.body("Deployment")
    world.change({"validation": {"thresholds": {"minTop1": "0.9"}}})
    assert world.reconcile() == []
    assert world.body("Deployment") == before
    assert said(world, "Ready")[1] == "ValidationFailed"
    assert said(world, "Available")[0] == "True"
    assert world.status["phase"] == "Degraded"


def test_another_revision_of_the_same_artifact_is_not_measured_again() -> None:
    world = passed()
    world.change(ROLLOUT)
    done = described(world.reconcile())
    assert f"apply Deployment {NAME}" in done
    assert len(jobs(world)) == 1


def test_without_a_gate_everything_is_deployed() -> None:
    world = gated()
    world.change({"validation": None})
    done = described(world.reconcile())
    (job,) = [word for word in done if word.startswith("delete Job")]
    assert job.startswith(f"delete Job rns-{world.key}-v"), "it may hold a chip"
    assert f"apply Deployment {NAME}" in done
    assert said(world, "Validated") == ("", "", "")


def test_another_data_set_is_another_measurement() -> None:
    world = gated()
    (first,) = jobs(world)
    world.change({"validation": {"dataset": {"sha256": "34" * 32}}})
    done = described(world.reconcile())
    assert f"delete Job {first}" in done
    (second,) = jobs(world)
    assert second != first
    assert not world.has("Deployment", NAME)


def test_a_gate_for_what_serves_already_takes_nobody_from_the_network() -> None:
    world = World().serve()
    before = world.body("Deployment")
    world.change(GATE)
    world.reconcile()
    assert world.body("Deployment") == before
    assert len(jobs(world)) == 1
    assert said(world, "Ready")[:2] == ("False", "Validating")
    world.candidate_is_measured()
    world.reconcile()
    assert world.body("Deployment") == before
    assert said(world, "Ready")[:2] == ("True", "Ready")


# Measured under another record.


def another_record(world: World, *, key: str = "", is_vouched: bool = True) -> None:
    """Leave the result of the same validation under the record of another object."""
    (job,) = jobs(world)
    labels = world.body("Job", job)["metadata"]["labels"]
    resolved_key = world.gate_key
    world.delete("Job", job)
    numbers = {name: value for name, value in MEASURED.items() if name != "ok"}
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"rns-0123456789abcdef-v{labels[names.VALIDATED]}",
            "labels": labels | {names.ARTIFACT: "0123456789abcdef"},
            "ownerReferences": [{"uid": "uid-of-another-record", "controller": True}],
        },
        "immutable": True,
        "data": {"result.json": json.dumps(numbers), "validationKey": key or resolved_key},
    }
    world.apply(body, manager=names.MANAGER)
    if is_vouched:
        digest = result_digest(body["data"])
        world.vouching.append({"resultDigests": {body["metadata"]["name"]: digest}})


def test_what_was_measured_under_another_record_is_not_measured_again() -> None:
    """Two objects whose sources have no digest, and whose conversions come to the same file."""
    world = gated()
    another_record(world)
    done = described(world.reconcile())
    assert jobs(world) == []
    assert f"apply Deployment {NAME}" in done
    assert world.status["validation"]["top1"] == "0.7901"
    name = world.status["validation"]["record"]
    assert world.key in name, "a copy of its own, that lives as long as its own record"
    assert world.body("ConfigMap", name)["immutable"] is True


def test_a_result_under_another_record_that_no_status_names_is_measured_again() -> None:
    world = gated()
    another_record(world, is_vouched=False)
    world.reconcile()
    assert len(jobs(world)) == 1
    assert not world.has("Deployment", NAME)


def test_a_result_whose_digest_only_begins_alike_is_another_one() -> None:
    world = gated()
    another_record(world, key=world.gate_key[:8] + "0" * 56)
    world.reconcile()
    assert len(jobs(world)) == 1
    assert not world.has("Deployment", NAME)


def test_a_copied_result_is_judged_by_the_objects_own_bars() -> None:
    world = gated(gate=merged(GATE, {"validation": {"thresholds": {"minTop1": "0.9"}}}))
    another_record(world)
    world.reconcile()
    assert jobs(world) == []
    assert said(world, "Ready")[1] == "ValidationFailed"
    world.retry = "1"
    world.reconcile()
    assert [job[-1] for job in jobs(world)] == ["2"], "and when asked it measures for itself"


# No pods wanted.


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"suspend": True}, "Suspended"), ({"serving": {"replicas": 0}}, "ScaledToZero")],
)
def test_nothing_is_measured_when_no_pods_are_wanted(changes: Body, reason: str) -> None:
    world = World(GATE).convert()
    world.change(changes)
    world.reconcile()
    assert jobs(world) == []
    assert not world.has("Deployment", NAME)
    assert said(world, "Ready")[:2] == ("True", reason)
    assert said(world, "Stalled")[0] == ""
    assert world.reconcile() == []
    world.change({"suspend": False, "serving": {"replicas": 1}})
    world.reconcile()
    assert len(jobs(world)) == 1
    assert not world.has("Deployment", NAME)


def test_a_candidate_under_way_is_stopped_when_no_pods_are_wanted_any_more() -> None:
    world = gated()
    (job,) = jobs(world)
    world.change({"suspend": True})
    assert f"delete Job {job}" in described(world.reconcile())


def test_what_was_deployed_with_no_pods_is_measured_before_it_gets_one() -> None:
    world = World({"serving": {"replicas": 0}}).serve()
    world.change(merged(GATE, {"serving": {"replicas": 2}}))
    world.reconcile()
    assert replicas(world) == 0
    world.candidate_is_measured()
    world.reconcile()
    assert replicas(world) == 2


# No free chip.


def test_a_candidate_waits_for_a_chip_and_says_so() -> None:
    world = gated({"rollout": {"progressDeadlineSeconds": 100}})
    world.candidate(unschedulable=NO_CHIP)
    world.reconcile()
    message = f"validation waits for a free {RESOURCE}"
    assert said(world, "Ready") == ("False", "WaitingForChip", message)
    assert said(world, "Validated")[1] == "WaitingForChip"
    assert NO_CHIP in said(world, "Validated")[2]
    assert said(world, "Reconciling")[0] == "True"
    assert world.status["phase"] == "Validating"
    world.pass_time(101)
    world.reconcile()
    assert said(world, "Stalled")[:2] == ("True", "WaitingForChip"), "somebody should look"
    world.candidate_is_measured()
    world.reconcile()
    assert world.has("Deployment", NAME), "and yet it goes on by itself"


def test_it_waits_and_leaves_the_replicas_alone_by_default() -> None:
    world = successor()
    world.candidate(unschedulable=NO_CHIP)
    assert world.reconcile() == []
    assert world.status["phase"] == "Validating", "what serves is none the worse"


@pytest.mark.parametrize("wanted", [1, 2, 5])
def test_a_replica_is_borrowed_and_given_back(wanted: int) -> None:
    """At one replica nobody serves meanwhile: that is what the user wrote."""
    world = successor(BORROW, replicas=wanted)
    old = world.revision
    world.candidate(unschedulable=NO_CHIP)
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    assert replicas(world) == wanted - 1
    assert f"borrowing one replica of {NAME}" in said(world, "Validated")[2]
    assert said(world, "Ready")[1] == "WaitingForChip"
    assert world.reconcile() == []

    world.candidate(phase="Running", containers=[running("evaluate"), running("triton")])
    world.pods_are_ready()
    world.deployment_says(updated=wanted - 1, ready=wanted - 1, available=wanted - 1)
    assert world.reconcile() == [], "its chip is in use now"
    assert replicas(world) == wanted - 1
    assert said(world, "Ready") == (
        "False",
        "Validating",
        f"a candidate is being measured, borrowing one replica of {NAME}",
    )
    assert world.status["ready"] == f"{wanted - 1}/{wanted}"

    world.candidate_is_measured(top1=0.1)
    world.reconcile()
    assert replicas(world) == wanted
    assert world.revision == old
    assert names.BORROWED not in world.body("Deployment")["metadata"].get("annotations", {})
    assert world.reconcile() == []


def test_a_borrowed_replica_goes_to_the_new_revision_when_it_passes() -> None:
    world = successor(BORROW)
    world.candidate(unschedulable=NO_CHIP)
    world.reconcile()
    world.candidate_is_measured()
    world.reconcile()
    assert replicas(world) == 2
    assert names.BORROWED not in world.body("Deployment")["metadata"].get("annotations", {})


def test_the_debt_is_settled_even_if_the_count_happens_to_fit() -> None:
    """Two replicas, one lent, and now only one is wanted: the mark must go all the same."""
    world = successor(BORROW)
    world.candidate(unschedulable=NO_CHIP)
    world.reconcile()
    world.candidate_is_measured(top1=0.1)
    world.change({"serving": {"replicas": 1}})
    world.reconcile()
    assert replicas(world) == 1
    assert names.BORROWED not in world.body("Deployment")["metadata"].get("annotations", {})
    assert world.reconcile() == []


def test_only_a_chip_is_borrowed() -> None:
    world = successor(BORROW)
    world.candidate(unschedulable="0/2 nodes are available: 2 Insufficient memory.")
    assert world.reconcile() == []
    assert said(world, "Ready")[1] == "Unschedulable"


def test_a_quota_on_chips_is_a_lack_of_a_chip() -> None:
    world = successor(BORROW)
    words = (
        f'pods "x" is forbidden: exceeded quota: npus, requested: requests.{RESOURCE}=1, '
        f"used: requests.{RESOURCE}=2, limited: requests.{RESOURCE}=2"
    )
    world.pass_time(11)
    world.complain(words)
    assert described(world.reconcile()) == [f"apply Deployment {NAME}"]
    assert said(world, "Ready")[1] == "QuotaExceeded"
    assert replicas(world) == 1


# Runs that end without numbers.


@dataclass(frozen=True)
class Run:
    reason: str
    want: str
    message: str
    init: tuple[Body, ...] = ()
    containers: Body = field(default_factory=dict)
    again: bool = True


def failure(reason: str) -> Body:
    return {"ok": False, "reason": reason, "message": f"{reason}: do this"}


LOAD = {"reason": "ModelLoadFailed", "message": "ACL 500002 while loading", "code": "500002"}
RUNS = (
    Run(
        "the data set is not where the spec says",
        want="ModelNotFound",
        message="ModelNotFound: do this",
        init=(ended("fetch", 66, said=failure("ModelNotFound")),),
        again=False,
    ),
    Run(
        "the data set's host is away",
        want="DownloadFailed",
        message="DownloadFailed: do this",
        init=(ended("fetch", 80, said=failure("DownloadFailed")),),
    ),
    Run(
        "the artifact does not load: the gate has done its work",
        want="ModelLoadFailed",
        message="ACL 500002 while loading",
        containers={
            "triton": ended("triton", 1, said=LOAD),
            "evaluate": ended("evaluate", 80, said=failure("EvaluationFailed")),
        },
        again=False,
    ),
    Run(
        "the evaluator cannot read the labels",
        want="EvaluationFailed",
        message="EvaluationFailed: do this",
        containers={
            "triton": ended("triton", 1),
            "evaluate": ended("evaluate", 64, said=failure("EvaluationFailed")),
        },
        again=False,
    ),
    Run(
        "a word that only a newer evaluator knows",
        want="EvaluationFailed",
        message="TooBlue: do this",
        containers={"evaluate": ended("evaluate", 80, said=failure("TooBlue"))},
    ),
    Run(
        "the evaluator was killed for memory, and Triton ended by signal with the pod",
        want="OutOfMemory",
        message="container evaluate was killed for memory; raise its memory limit",
        containers={
            "triton": ended("triton", 143),
            "evaluate": ended("evaluate", 137, reason="OOMKilled"),
        },
    ),
    Run(
        "Triton was killed for memory: in an hour it would be again",
        want="OutOfMemory",
        message="container triton was killed for memory; raise its memory limit",
        containers={
            "triton": ended("triton", 137, reason="OOMKilled"),
            "evaluate": ended("evaluate", 80, said=failure("EvaluationFailed")),
        },
        again=False,
    ),
    Run(
        "Triton died without a word",
        want="EvaluationFailed",
        message="container triton ended with signal 11; read its log",
        containers={"triton": ended("triton", 139)},
    ),
)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.reason)
def test_a_run_without_numbers(run: Run) -> None:
    world = successor()
    before = world.body("Deployment")
    world.candidate_fails(init=list(run.init), **run.containers)
    world.reconcile()
    assert said(world, "Ready") == ("False", run.want, run.message)
    assert said(world, "Validated")[:2] == ("False", run.want)
    assert world.body("Deployment") == before
    assert said(world, "Available")[0] == "True"
    assert world.status["phase"] == "Degraded"
    number = len(jobs(world))
    world.pass_time(301)
    world.reconcile()
    assert len(jobs(world)) == number + run.again
    if not run.again:
        assert said(world, "Stalled")[:2] == ("True", run.want)
        assert world.status["validation"]["result"] == "Failed"


def test_a_run_is_tried_again_with_pauses_and_not_for_ever() -> None:
    world = gated({"conversion": {"retries": 2}})
    for attempt, pause in ((1, 300), (2, 900)):
        world.candidate_fails(init=[ended("fetch", 80, said=failure("DownloadFailed"))])
        world.reconcile()
        assert len(jobs(world)) == attempt
        world.pass_time(pause - 1)
        world.reconcile()
        assert len(jobs(world)) == attempt, "not before its time"
        assert world.plan().requeue_after == 1
        world.pass_time(1)
        world.reconcile()
        assert len(jobs(world)) == attempt + 1
    world.candidate_fails(init=[ended("fetch", 80, said=failure("DownloadFailed"))])
    world.reconcile()
    assert said(world, "Stalled")[:2] == ("True", "DownloadFailed")
    world.pass_time(86_400)
    assert world.reconcile() == []


def test_a_lost_result_is_measured_again_at_once() -> None:
    world = gated()
    world.job_ends(job=jobs(world)[0])
    world.reconcile()
    assert len(jobs(world)) == 2


def test_the_retry_annotation_measures_again() -> None:
    world = gated()
    world.candidate_is_measured(top1=0.742)
    world.reconcile()
    old = world.body("ConfigMap", jobs(world)[0].removesuffix("-1"))
    world.retry = "1"
    world.reconcile()
    assert world.status["lastHandledRetry"] == "1"
    assert said(world, "Ready")[:2] == ("False", "Validating")
    assert [job[-1] for job in jobs(world)] == ["1", "2"]
    assert world.reconcile() == []
    world.candidate_is_measured(top1=0.8)
    world.reconcile()
    new = world.body("ConfigMap", old["metadata"]["name"])
    assert new["metadata"]["uid"] != old["metadata"]["uid"], "it was immutable"
    assert world.has("Deployment", NAME)


def test_the_retry_annotation_shortens_the_pause() -> None:
    world = gated()
    world.candidate_fails(init=[ended("fetch", 66, said=failure("ModelNotFound"))])
    world.reconcile()
    world.retry = "1"
    world.reconcile()
    assert len(jobs(world)) == 2


# Two containers side by side.


def test_triton_that_cannot_load_ends_the_run_though_the_evaluator_waits_for_it() -> None:
    world = gated()
    (job,) = jobs(world)
    dead = ended("triton", 1, said=LOAD)
    dead["state"]["terminated"]["finishedAt"] = since(job_time(world), 0)
    world.candidate(phase="Running", containers=[running("evaluate"), dead])
    assert world.reconcile() == [], "it may notice by itself"
    world.pass_time(31)
    world.reconcile()
    assert world.has("Job", job), "until a status names what it said"
    assert f"delete Job {job}" in described(world.reconcile()), "the chip is needed"
    assert said(world, "Ready") == ("False", "ModelLoadFailed", "ACL 500002 while loading")


def test_numbers_count_though_triton_does_not_end() -> None:
    world = gated()
    (job,) = jobs(world)
    good = ended("evaluate", said=MEASURED)
    good["state"]["terminated"]["finishedAt"] = since(job_time(world), 0)
    world.candidate(phase="Running", containers=[good, running("triton")])
    world.reconcile()
    assert world.plan().requeue_after is not None
    world.pass_time(31)
    done = described(world.reconcile())
    assert f"apply Deployment {NAME}" in done
    assert f"delete Job {job}" not in done, "until a status names what it said"
    assert f"delete Job {job}" in described(world.reconcile())


def test_numbers_count_however_triton_ends() -> None:
    """An open connection of the evaluator makes Triton end with status 1."""
    world = gated()
    world.candidate_fails(evaluate=ended("evaluate", said=MEASURED), triton=ended("triton", 1))
    world.reconcile()
    assert world.has("Deployment", NAME)


def test_the_last_words_may_be_on_the_way() -> None:
    world = gated()
    world.candidate(phase="Running", containers=[running("evaluate"), running("triton")])
    world.job_ends(job=jobs(world)[0])
    assert world.reconcile() == []
    assert world.plan().requeue_after == 1


def job_time(world: World) -> str:
    return str(world.body("Job", jobs(world)[0])["metadata"]["creationTimestamp"])


# What a person reads meanwhile.

STEPS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("it has a node and no more", {}, "the candidate's pod is starting"),
    (
        "the data set comes",
        {"init": [running("fetch")]},
        "the data set and the source model are being fetched",
    ),
    (
        "the reference is prepared",
        {"init": [ended("fetch", said={}), running("prepare")]},
        "the reference for the candidate is being prepared",
    ),
    (
        "the artifact comes",
        {"init": [ended("fetch", said={}), ended("prepare", said={}), running("artifact")]},
        "a candidate is loading the artifact",
    ),
    (
        "it is measured",
        {"phase": "Running", "containers": [running("evaluate"), running("triton")]},
        "a candidate is being measured",
    ),
    (
        "it has told all, and its Job has not ended yet",
        {"phase": "Succeeded", "containers": [ended("evaluate", said=MEASURED), ended("triton")]},
        "a candidate is being measured",
    ),
)


@pytest.mark.parametrize(("reason", "facts", "words"), STEPS, ids=[step[0] for step in STEPS])
def test_the_steps_are_told(reason: str, facts: dict[str, Any], words: str) -> None:
    world = gated()
    world.candidate(**facts)
    world.reconcile()
    assert said(world, "Ready") == ("False", "Validating", words), reason


def test_an_image_that_cannot_be_pulled_is_named() -> None:
    world = gated()
    world.candidate(
        containers=[waiting("evaluate", "ErrImagePull")],
        images={"evaluate": "registry.example/jobs:1"},
    )
    world.reconcile()
    assert said(world, "Ready")[1] == "ImagePullFailed"
    assert "registry.example/jobs:1" in said(world, "Ready")[2]


def test_a_missing_claim_is_told_before_a_job_waits_for_it() -> None:
    world = World(GATE).convert()
    words = 'PersistentVolumeClaim "data" does not exist here; create it or change the URI'
    world.gate_facts["source_problem"] = words
    world.reconcile()
    assert jobs(world) == []
    assert said(world, "Ready") == ("False", "VolumeMountFailed", words)


# The candidate's pod.


def test_no_service_and_no_conversion_takes_the_candidate_for_its_own() -> None:
    world = successor()
    job = world.body("Job", jobs(world)[-1])
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert not world.body("Service")["spec"]["selector"].items() <= labels.items()
    matching = world.body("Deployment")["spec"]["selector"]["matchLabels"]
    assert not matching.items() <= labels.items()
    assert labels[names.COMPONENT] == names.VALIDATION
    assert names.INSTANCE not in labels
    owners = job["metadata"]["ownerReferences"]
    record = world.body("ConfigMap", world.record)["metadata"]
    assert [owner["uid"] for owner in owners] == [record["uid"]]


def test_the_candidate_of_another_versions_revision_has_this_versions_launcher() -> None:
    """What was written by an operator that knew no gate can be measured all the same."""
    world = World().serve()
    revision = world.revision
    world.edit("ConfigMap", revision, {"metadata": {"labels": {names.RUNTIME: "older"}}})
    data = world.body("ConfigMap", revision)["data"]
    template = json.loads(data["pod-template.json"])
    template["spec"]["volumes"] = [
        merged(v, {"configMap": {"name": "rns-runtime-older"}}) if v["name"] == "launcher" else v
        for v in template["spec"]["volumes"]
    ]
    text = json.dumps(template)
    world.edit("ConfigMap", revision, {"data": {"pod-template.json": text}})
    world.edit("Deployment", NAME, {"spec": {"template": template}})
    world.seen["runtime"] = None
    world.change(GATE)
    actions = world.reconcile()
    assert any(word.startswith("create ConfigMap rns-runtime-") for word in described(actions))
    assert not [a for a in actions if isinstance(a, Apply) and a.body["kind"] == "Deployment"]
    pod = world.body("Job", jobs(world)[0])["spec"]["template"]["spec"]
    (launcher,) = (v for v in pod["volumes"] if v["name"] == "launcher")
    assert launcher["configMap"]["name"] != "rns-runtime-older"
