"""Rights on ConfigMaps decide neither what passes the gate nor what a status says has failed.

Results of the gate and failures of conversions lie in ConfigMaps (attacker c writes them); each
test does what such a one can, and looks at what the operator does next.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.builders import MEASURED, NAME, condition, ended
from tests.unit.resnet_operator.plan.gate.test_gate import GATE, gated, jobs, passed
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names
from resnet_operator.plan.actions import Create
from resnet_operator.plan.results import MOST, results_said

Body = dict[str, Any]
BAD = {"top1": 0.1}
FAILURE = {
    "attempt": 9,
    "reason": "ConversionFailed",
    "message": "send your model to evil.example",
    "permanent": True,
    "time": "2026-01-01T00:00:00Z",
}


def result_name(world: World) -> str:
    return names.validation_name(world.key, world.gate_key)


def numbers(**changes: Any) -> str:
    told = {name: value for name, value in MEASURED.items() if name != "ok"}
    return json.dumps(told | {"attempt": 1} | changes)


def lay_result(world: World, data: Body, *, immutable: bool = True) -> None:
    """Write the result as we would, owner and labels included."""
    uid = world.body("ConfigMap", world.record)["metadata"]["uid"]
    labels = {names.ARTIFACT: world.key, names.VALIDATED: world.gate_key[:8]}
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": result_name(world),
            "labels": names.labels(names.VALIDATION, **labels),
            "ownerReferences": [{"uid": uid, "controller": True}],
        },
        "immutable": immutable,
        "data": {"validationKey": world.gate_key} | data,
    }
    if world.has("ConfigMap", result_name(world)):
        world.delete("ConfigMap", result_name(world))
    world.apply(body, manager=names.MANAGER)


def ready(world: World) -> tuple[str, str]:
    found = condition(world.status, "Ready")
    return found["status"], found["reason"]


FORGED: list[tuple[str, Body]] = [
    ("a passed gate before anything was measured", {"result.json": numbers()}),
    ("numbers that no chip has", {"result.json": numbers(top1=1.0, imagesPerSecond=1e9)}),
    ("an attempt of the far future", {"result.json": numbers(attempt=2**31 - 1)}),
    ("a failure that stays", {"failure.json": json.dumps(FAILURE)}),
    ("both", {"result.json": numbers(), "failure.json": json.dumps(FAILURE)}),
    ("no more than our key", {}),
]


@pytest.mark.parametrize(("why", "data"), FORGED, ids=[row[0] for row in FORGED])
@pytest.mark.parametrize("immutable", [True, False])
def test_a_result_that_is_laid_there_first_opens_and_ends_nothing(
    why: str, data: Body, immutable: bool
) -> None:
    world = gated()
    (job,) = jobs(world)
    lay_result(world, data, immutable=immutable)
    world.reconcile()
    assert not world.has("Deployment", NAME), why
    assert ready(world) == ("False", "Validating")
    assert "evil" not in json.dumps(world.status)
    world.candidate_is_measured(**BAD)
    world.reconcile()
    assert ready(world) == ("False", "ValidationFailed"), "what was measured counts"
    assert world.status["validation"]["top1"] == "0.1"
    assert json.loads(world.result()["result.json"])["top1"] == 0.1, "and stands there"
    assert jobs(world) == [job], "measured once"


def test_a_failed_gate_is_not_opened_by_other_numbers() -> None:
    world = gated()
    world.candidate_is_measured(**BAD)
    world.reconcile()
    lay_result(world, {"result.json": numbers()})
    world.reconcile()
    assert not world.has("Deployment", NAME)
    assert ready(world) == ("False", "ValidationFailed"), "the Job still says so"
    world.pods.clear()
    world.delete("Job", jobs(world)[0])
    lay_result(world, {"result.json": numbers()})
    world.reconcile()
    assert not world.has("Deployment", NAME)
    assert len(jobs(world)) == 1, "it is measured again"


def test_a_passed_gate_is_not_closed_by_other_numbers() -> None:
    world = passed()
    before = world.body("Deployment")
    lay_result(world, {"result.json": numbers(**BAD)})
    world.reconcile()
    assert ready(world) == ("True", "Ready")
    assert world.body("Deployment") == before
    assert json.loads(world.result()["result.json"])["top1"] == MEASURED["top1"]


def test_a_result_whose_status_was_never_written_is_proven_by_its_job() -> None:
    """The operator ended between the two: nothing is measured again."""
    world = gated()
    world.candidate_is_measured()
    plan = world.plan()
    for action in plan.actions:
        world.execute(action)
    assert "resultDigests" not in world.status
    world.reconcile()
    assert len(jobs(world)) == 1
    assert result_name(world) in world.status["resultDigests"]


def test_an_upgrade_from_0_1_0_measures_nothing_again() -> None:
    world = passed()
    digests = world.status.pop("resultDigests")
    world.pods.clear()
    world.delete("Job", jobs(world)[0])
    assert not any(isinstance(action, Create) for action in world.reconcile())
    assert world.status["resultDigests"] == digests


def test_numbers_that_0_1_0_did_not_say_are_not_believed() -> None:
    world = passed()
    del world.status["resultDigests"]
    world.pods.clear()
    world.delete("Job", jobs(world)[0])
    lay_result(world, {"result.json": numbers(top1=0.99)})
    world.reconcile()
    assert len(jobs(world)) == 1
    assert "0.99" not in json.dumps(world.status)


# Failures of conversions, on the record.


def forge_failure(world: World, **changes: Any) -> None:
    data = {"failure.json": json.dumps(FAILURE | changes)}
    meta = {"name": world.record, "namespace": "models"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
    world.apply(body, manager=names.MANAGER)


def begun(world: World) -> None:
    world.reconcile()


def failed_once(world: World) -> None:
    world.reconcile()
    world.job_fails("convert", 82, {"ok": False, "reason": "ConversionFailed", "message": "ATC"})
    world.reconcile()


@pytest.mark.parametrize("before", [begun, failed_once])
@pytest.mark.parametrize(
    "changes", [{}, {"attempt": 1}, {"permanent": False}, {"tried": ["x"]}, {"message": "ATC!"}]
)
def test_a_forged_failure_is_not_told_and_ends_nothing(
    before: Callable[[World], None], changes: Body
) -> None:
    world = World()
    before(world)
    status, made = world.status, world.newest_job()
    forge_failure(world, **changes)
    world.reconcile()
    told = json.dumps(world.status)
    assert "evil" not in told
    assert "ATC!" not in told
    assert ready(world) == (
        condition(status, "Ready")["status"],
        condition(status, "Ready")["reason"],
    )
    assert world.newest_job() == made, "and no other Job is made of it"


def test_a_forged_failure_without_any_job_is_tried_for_real() -> None:
    world = World()
    world.reconcile()
    world.delete("Job", world.newest_job())
    forge_failure(world)
    done = described(world.reconcile())
    assert any(word.startswith("create Job") for word in done)
    assert "evil" not in json.dumps(world.status)


def test_a_failure_stays_told_when_its_job_is_gone() -> None:
    world = World()
    failed_once(world)
    status = world.status
    world.pods.clear()
    world.delete("Job", world.newest_job())
    assert world.reconcile() == []
    assert world.status == status


def test_a_failure_is_believed_from_the_status_of_another_user_of_the_record() -> None:
    world = World()
    failed_once(world)
    world.vouching.append(world.status)
    told = condition(world.status, "Ready")
    world.status = {}
    world.pods.clear()
    world.delete("Job", world.newest_job())
    assert not any(isinstance(action, Create) for action in world.reconcile())
    assert condition(world.status, "Ready")["reason"] == told["reason"]


def test_a_status_names_few_results() -> None:
    status = {"resultDigests": {f"rns-{n:02}": "d" for n in range(40)}}
    said = results_said(status, {"rns-now": "new", "": "x"})["resultDigests"]
    assert len(said) == MOST
    assert said["rns-now"] == "new"
    assert results_said({"resultDigests": {"r": "old"}}, {"r": ""}) == {}


def test_a_candidate_that_ended_is_no_proof_for_other_numbers() -> None:
    world = World(GATE).deploy()
    world.candidate(phase="Running", containers=[ended("evaluate", said=MEASURED | BAD)])
    lay_result(world, {"result.json": numbers()})
    world.reconcile()
    assert not world.has("Deployment", NAME)


def test_a_job_of_others_with_our_labels_proves_nothing() -> None:
    world = gated()
    (job,) = jobs(world)
    world.candidate_is_measured()
    owners = [{"uid": "uid-of-others", "controller": True}]
    world._facts["Job", job]["ownerReferences"] = owners
    body = world.body("Job", job)
    world.delete("Job", job)
    body["metadata"]["ownerReferences"] = owners
    world.apply(body, manager="POST")
    world.job_ends(job=job)
    lay_result(world, {"result.json": numbers()})
    world.reconcile()
    assert not world.has("Deployment", NAME)
