"""The status shows the model that serves, also while the spec asks for another one."""

from __future__ import annotations

import pytest
from tests.support.builders import MESSAGES, Body, condition, end, waiting
from tests.unit.resnet_operator.world import World

OTHER: Body = MESSAGES | {
    "publish": MESSAGES["publish"] | {"sha256": "ee" * 32},
    "prepare": MESSAGES["prepare"]
    | {"outputs": [{"name": "logits", "dataType": "FP32", "dims": [5]}]},
    "fetch": MESSAGES["fetch"] | {"sha256": "99" * 32},
}
LOAD_FAILED = {"reason": "ModelLoadFailed", "message": "Triton cannot load the model"}


def with_another_model() -> tuple[World, str]:
    """Return an object that was given another model with other outputs, and the first revision."""
    world = World().serve()
    first = world.revision
    assert outputs(world) == {"output1": [1000]}
    world.change({"model": {"uri": "pvc://models/another.onnx"}})
    world.reconcile()
    world.job_succeeds(OTHER)
    world.reconcile()
    assert world.revision != first
    return world, first


def outputs(world: World) -> dict[str, list[int]]:
    return {one["name"]: one["dims"] for one in world.status["model"]["outputs"]}


def test_a_pinned_revision_shows_its_own_outputs() -> None:
    world, first = with_another_model()
    world.pods_are_ready()
    world.reconcile()
    assert outputs(world) == {"logits": [5]}
    world.change({"rollout": {"pinRevision": first}})
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    assert condition(world.status, "Ready")["status"] == "True"
    assert outputs(world) == {"output1": [1000]}
    assert world.status["model"]["sha256"] == MESSAGES["fetch"]["sha256"]


def test_what_was_rolled_back_shows_the_good_ones_outputs() -> None:
    world, first = with_another_model()
    state = waiting("triton", "CrashLoopBackOff", last=end(1, said=LOAD_FAILED))
    world.serving_pod(name="new", phase="Running", containers=[state | {"restartCount": 5}])
    world.deployment_says(replicas=2, updated=1, ready=1, available=1)
    world.reconcile()
    assert world.revision == first
    assert outputs(world) == {"output1": [1000]}


def test_a_revision_of_an_older_operator_is_known_by_its_record() -> None:
    """0.1.0 wrote neither a contract into a revision nor its digest into the status."""
    world = World().serve()
    first = world.revision
    world.edit("ConfigMap", first, {"data": {"contract.json": None}})
    world.status.pop("revisionDigests")
    world.change({"model": {"uri": "pvc://models/another.onnx"}, "rollout": {"pinRevision": first}})
    world.reconcile()
    world.job_succeeds(OTHER)
    world.reconcile()
    assert world.revision == first
    assert outputs(world) == {"output1": [1000]}


STRANGE = [
    ("", "an empty file"),
    ("[]", "a list"),
    ('{"inputs": 5}', "of another type than the status has"),
    ('{"outputs": [{"name": 5}]}', "of another type further down"),
    ('{"batchSizes": [NaN]}', "no JSON"),
    ('{"maxBatchSize": 1e400}', "no number that a status can hold"),
    ('{"a": ' * 400 + "1" + "}" * 400, "nested without end"),
    ('{"inputs": ' + "[" * 100_000, "longer than a stack"),
]


@pytest.mark.parametrize(("text", "reason"), STRANGE, ids=[reason for _, reason in STRANGE])
def test_a_strange_contract_of_a_revision_is_not_said(text: str, reason: str) -> None:
    """What runs already is believed by its template; the rest of the map anybody can have written
    who may write ConfigMaps, until a status names its digest."""
    world, first = with_another_model()
    world.change({"rollout": {"pinRevision": first}})
    world.reconcile()
    world.edit("ConfigMap", first, {"data": {"contract.json": text}})
    world.status.pop("revisionDigests")
    world.reconcile()
    assert world.revision == first
    assert outputs(world) == {"output1": [1000]}, reason
