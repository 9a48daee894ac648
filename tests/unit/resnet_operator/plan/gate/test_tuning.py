"""What becomes of settings that were found: a patch in the status, or a revision."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import NAME, Body, merged, resolved
from tests.unit.resnet_operator.plan.gate.test_gate import GATE, gated, jobs
from tests.unit.resnet_operator.world import World

from resnet_operator.names import TEMPLATE_KEY

SIZES: Body = {"conversion": {"batchSizes": [1, 4, 8, 16]}}
SUGGEST: Body = merged(GATE, SIZES | {"tuning": {"p99Milliseconds": 20, "instancesPerChip": 2}})
AUTO: Body = merged(SUGGEST, {"tuning": {"apply": "Auto"}})
SETTINGS: Body = {
    "maxBatchSize": 8,
    "preferredBatchSizes": [8],
    "maxQueueDelayMicroseconds": 250,
    "instancesPerChip": 2,
}
SPEED: Body = {
    "concurrency": 32,
    "imagesPerSecond": 4012.5,
    "p50Milliseconds": 7.5,
    "p90Milliseconds": 8.25,
    "p99Milliseconds": 18.125,
}
FOUND: Body = {
    "result": "Better",
    "message": "63 % more images per second than with the declared settings",
    "endedBy": "Search",
    "trials": 31,
    "seconds": 412,
    "settings": SETTINGS,
    "measured": SPEED | {"spread": 0.0123},
    "declared": SPEED | {"imagesPerSecond": 2461.0},
    "atIntervals": SPEED | {"imagesPerSecond": 3611.2},
}


def tuned(gate: Body, **changes: Any) -> World:
    world = gated(gate=gate)
    world.candidate_is_measured(tuning=FOUND | changes)
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    return world


def config(world: World) -> str:
    """config.pbtxt of the revision that the Deployment runs."""
    name = world.status["repositoryConfigMap"]
    return str(world.body("ConfigMap", name)["data"]["config.pbtxt"])


def test_a_suggestion_is_a_patch_and_changes_nothing_by_itself() -> None:
    world = tuned(SUGGEST)
    said = world.status["tuning"]
    assert json.loads(said.pop("patch")) == {
        "spec": {
            "serving": {
                "batching": {
                    "maxBatchSize": 8,
                    "preferredBatchSizes": [8],
                    "maxQueueDelayMicroseconds": 250,
                },
                "instancesPerChip": 2,
            }
        }
    }
    assert said == {
        "result": "Better",
        "message": FOUND["message"],
        "endedBy": "Search",
        "trials": 31,
        "seconds": 412,
        "settings": SETTINGS,
        "measured": {
            "concurrency": 32,
            "imagesPerSecond": 4012,
            "p50Milliseconds": "7.5",
            "p90Milliseconds": "8.25",
            "p99Milliseconds": "18.125",
            "spread": "0.012",
        },
        "declared": {
            "concurrency": 32,
            "imagesPerSecond": 2461,
            "p50Milliseconds": "7.5",
            "p90Milliseconds": "8.25",
            "p99Milliseconds": "18.125",
        },
        "atIntervals": {
            "concurrency": 32,
            "imagesPerSecond": 3611,
            "p50Milliseconds": "7.5",
            "p90Milliseconds": "8.25",
            "p99Milliseconds": "18.125",
        },
    }
    assert "max_batch_size: 16" in config(world)
    assert world.reconcile() == []


def test_a_suggestion_that_is_taken_is_served_without_another_run() -> None:
    world = tuned(SUGGEST)
    world.change(json.loads(world.status["tuning"]["patch"])["spec"])
    world.reconcile()
    assert len(jobs(world)) == 1
    world.pods_are_ready()
    world.reconcile()
    assert "max_batch_size: 8" in config(world)
    assert "count: 2 " in config(world)
    assert "patch" not in world.status["tuning"], "it is declared now"
    assert resolved(SUGGEST).max_batch_size == 16


def test_auto_rolls_out_a_revision_of_its_own_and_then_rests() -> None:
    world = tuned(AUTO)
    text = config(world)
    assert "max_batch_size: 8" in text
    assert "count: 2 " in text
    assert "preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 250" in text
    assert world.status["tuning"]["applied"] is True
    assert "patch" not in world.status["tuning"]
    world.reconcile()
    assert world.reconcile() == []
    template = world.body("ConfigMap", world.status["repositoryConfigMap"])["data"][TEMPLATE_KEY]
    assert json.loads(template)["spec"] == world.body("Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("result", ["AsDeclared", "GoalNotMet", "NotMeasured"])
@pytest.mark.parametrize("gate", [SUGGEST, AUTO], ids=["Suggest", "Auto"])
def test_what_is_not_better_is_neither_suggested_nor_applied(gate: Body, result: str) -> None:
    world = tuned(gate, result=result)
    assert world.status["tuning"]["result"] == result
    assert not world.status["tuning"].get("applied")
    assert "patch" not in world.status["tuning"]
    assert "max_batch_size: 16" in config(world)


@pytest.mark.parametrize(
    ("reason", "settings"),
    [
        ("more instances than the object allows", {"instancesPerChip": 3}),
        ("a batch that is not compiled", {"maxBatchSize": 32}),
    ],
)
@pytest.mark.parametrize("gate", [SUGGEST, AUTO], ids=["Suggest", "Auto"])
def test_what_a_pod_reports_beyond_the_bounds_is_not_taken(
    gate: Body, reason: str, settings: Body
) -> None:
    world = tuned(gate, settings=SETTINGS | settings)
    assert not world.status["tuning"].get("applied"), reason
    assert "patch" not in world.status["tuning"], reason
    assert "max_batch_size: 16" in config(world)


def test_tuning_of_what_serves_already_takes_nobody_off() -> None:
    world = World(SIZES).deploy()
    world.pods_are_ready()
    world.reconcile()
    before = config(world)
    world.change(AUTO)
    world.reconcile()
    assert len(jobs(world)) == 1
    assert config(world) == before
    world.candidate_is_measured(tuning=FOUND)
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    assert "max_batch_size: 8" in config(world)


def test_a_gate_that_fails_applies_nothing() -> None:
    world = gated(gate=AUTO)
    world.candidate_is_measured(tuning=FOUND, top1=0.1)
    world.reconcile()
    assert not world.has("Deployment", NAME)
    assert world.status["tuning"]["applied"] is False


def test_the_candidates_pod_has_room_for_the_most_that_is_tried() -> None:
    def shm(gate: Body) -> tuple[int, int]:
        world = gated(gate=gate)
        pod = world.body("Job", jobs(world)[0])["spec"]["template"]["spec"]
        (volume,) = (one for one in pod["volumes"] if one["name"] == "shm")
        (triton,) = (one for one in pod["containers"] if one["name"] == "triton")
        return int(volume["emptyDir"]["sizeLimit"]), int(triton["resources"]["limits"]["memory"])

    few, many = (shm(merged(SUGGEST, {"tuning": {"instancesPerChip": n}})) for n in (1, 16))
    assert many[0] - few[0] == many[1] - few[1] > 0
