"""What only the artifact tells: the batch sizes of an OM, and how many classes have names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import MESSAGES, NAME, Body, a_settings, condition, merged
from tests.unit.resnet_operator.world import World

OM: Body = {"model": {"uri": "pvc://models/r.om"}}
TOLD: Body = {
    "fetch": MESSAGES["fetch"],
    "prepare": {"ok": True, "notes": []},
    "convert": {
        "ok": True,
        "compiler": None,
        "durationSeconds": 0.4,
        "arch": None,
        "inputs": [{"name": "image", "dataType": "UINT8", "dims": [224, 224, 3]}],
        "outputs": [{"name": "scores", "dataType": "FP32", "dims": [1000]}],
        "batchSizes": [4, 16],
        "notes": ["the OM was made by ATC 8.0 for Ascend310P3"],
        "argv": ["atc.bin", "--dynamic_batch_size=4,16"],
    },
    "publish": MESSAGES["publish"] | {"origin": "Copied"},
}


def read(spec: Body | None = None, **seen: Any) -> World:
    """Bring an OM up to where it has been read and stored."""
    world = World(merged(OM, spec or {}))
    world.seen |= seen
    world.reconcile()
    world.job_succeeds(TOLD)
    world.reconcile()
    return world


def config(world: World) -> str:
    return str(world.body("ConfigMap", world.revision)["data"]["config.pbtxt"])


def test_the_job_reads_and_does_not_convert() -> None:
    world = World(OM)
    world.reconcile()
    assert "batch" not in world.status, "nobody knows it yet"
    pod = world.body("Job", world.newest_job())["spec"]["template"]["spec"]
    container = next(c for c in pod["initContainers"] if c["name"] == "convert")
    assert container["command"] == ["python3", "-s", "/scratch/driver/om.py"]
    order = json.loads(container["env"][0]["value"])
    assert (order["format"], order["batchSizes"]) == ("OM", None)


def test_the_file_tells_the_batch_sizes() -> None:
    world = read()
    text = config(world)
    assert "max_batch_size: 16" in text
    assert "preferred_batch_size: [ 4, 16 ]" in text
    assert '"4,16"' in text
    assert (world.status["batch"], world.status["artifact"]["origin"]) == ("4,16", "Copied")
    assert world.status["model"]["inputs"][0]["name"] == "image"
    assert "opset" not in world.status["model"]
    said = condition(world.status, "ArtifactReady")["message"]
    assert said == "Copied; the OM was made by ATC 8.0 for Ascend310P3"
    world.pods_are_ready()
    world.reconcile()
    assert world.status["phase"] == "Ready"


def test_declared_and_true() -> None:
    world = read({"conversion": {"batchSizes": [4, 16]}})
    order = json.loads(
        world.body("Job", world.newest_job())["spec"]["template"]["spec"]["initContainers"][0][
            "env"
        ][0]["value"]
    )
    assert order["batchSizes"] == [4, 16]
    assert "max_batch_size: 16" in config(world)


def test_less_than_the_file_can() -> None:
    world = read({"serving": {"batching": {"maxBatchSize": 4}}})
    assert "max_batch_size: 4" in config(world)


MISFITS: list[tuple[str, Body, str]] = [
    (
        "more than the file can",
        {"serving": {"batching": {"maxBatchSize": 32}}},
        (
            "serving.batching.maxBatchSize is 32, the largest of the OM's batch sizes is 16; "
            "lower maxBatchSize"
        ),
    ),
    (
        "a preferred size that the file has not",
        {"serving": {"batching": {"preferredBatchSizes": [32]}}},
        "serving.batching.preferredBatchSizes has 32, above the largest batch 16; remove it",
    ),
]


@pytest.mark.parametrize(("reason", "spec", "said"), MISFITS, ids=[m[0] for m in MISFITS])
def test_what_does_not_fit_the_file_makes_no_pods(reason: str, spec: Body, said: str) -> None:
    world = read(spec)
    assert not world.has("Deployment", NAME), reason
    assert world.status["phase"] == "Failed"
    assert condition(world.status, "Ready")["message"] == said
    assert condition(world.status, "Stalled")["reason"] == "InvalidSpec"
    assert world.status["batch"] == "4,16"
    world.change({"serving": {"batching": None}})
    world.reconcile()
    assert world.has("Deployment", NAME)


# Names of classes; test_class_labels has how they are read.


def test_every_class_needs_its_name() -> None:
    world = read(labels="cat\ndog\n")
    assert not world.has("Deployment", NAME)
    ready = condition(world.status, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    said = "model.classLabels has 2 labels, the model's output scores has 1000 classes; correct "
    assert ready["message"].startswith(said)
    assert condition(world.status, "ArtifactReady")["status"] == "True"
    world.seen["labels"] = "cat\n" * 1000
    world.reconcile()
    assert world.has("Deployment", NAME)


def test_one_number_has_no_names() -> None:
    told = merged(
        TOLD, {"convert": {"outputs": [{"name": "best", "dataType": "INT64", "dims": []}]}}
    )
    world = World(OM)
    world.seen["labels"] = "cat\ndog\n"
    world.reconcile()
    world.job_succeeds(told)
    world.reconcile()
    assert condition(world.status, "Ready")["message"] == (
        "remove model.classLabels; the model's output best is one number, and not one for each "
        "class"
    )


def test_what_serves_serves_on_with_wrong_labels() -> None:
    world = World()
    world.seen["labels"] = "cat\n" * 1000
    world.serve()
    before = world.body("Deployment")["spec"]
    world.seen["labels"] = "cat\n" * 999
    world.reconcile()
    assert world.body("Deployment")["spec"] == before
    assert world.status["phase"] == "Degraded"
    assert condition(world.status, "Available")["status"] == "True"


def test_labels_that_do_not_fit_are_failed_and_stalled() -> None:
    """Nothing changes by itself: it must not look like a deployment under way."""
    world = World({"model": {"classLabels": {"configMapKeyRef": {"name": "l", "key": "k"}}}})
    world.seen["labels"] = "cat\ndog"
    world.convert().reconcile()
    assert world.status["phase"] == "Failed"
    assert condition(world.status, "Stalled")["reason"] == "InvalidSpec"
    assert world.plan().requeue_after, "the labels are looked at again"
    world.seen["labels"] = "\n".join(str(number) for number in range(1000))
    world.reconcile()
    assert world.status["phase"] == "Deploying"


def test_labels_with_a_wrong_text_are_failed_and_a_missing_config_map_may_come() -> None:
    world = World({"model": {"classLabels": {"configMapKeyRef": {"name": "l", "key": "k"}}}})
    world.seen |= {"labels_problem": "the text is not UTF-8", "labels_wrong": True}
    world.reconcile()
    assert world.status["phase"] == "Failed"
    world.seen |= {
        "labels_problem": 'ConfigMap "l" does not exist; create it',
        "labels_wrong": False,
    }
    world.generation += 1
    world.reconcile()
    assert world.status["phase"] != "Failed"


# A share of a chip, and what the model takes of it.

SHARED: Body = {"devices": {"dialect": "MindCluster", "shareCount": 4}}
SHARES: tuple[tuple[str, Body, int | None, int, str], ...] = (
    ("it fits", {"memory": "1Gi"}, 1024, 1, ""),
    (
        "a mebibyte too much",
        {"memory": "1Gi"},
        1025,
        1,
        "takes 1025Mi of a chip, its share has 1024Mi; lower",
    ),
    (
        "each instance loads it",
        {"memory": "1Gi"},
        600,
        2,
        "takes 1200Mi of a chip (2 x 600Mi), its",
    ),
    (
        "more than a place is worth",
        {},
        5382,
        1,
        "its share has 5381Mi; lower instancesPerChip",
    ),
    ("a place is worth that", {}, 5381, 1, ""),
    ("nobody says what the model takes", {"memory": "1Mi"}, None, 4, ""),
)


@pytest.mark.parametrize(("reason", "share", "mebibytes", "instances", "words"), SHARES)
def test_a_model_that_does_not_fit_its_share_gets_no_pods(
    reason: str, share: Body, mebibytes: int | None, instances: int, words: str
) -> None:
    spec = {"accelerator": {"share": share}, "serving": {"instancesPerChip": instances}}
    world = World(spec, settings=a_settings(**SHARED))
    world.reconcile()
    memory = {"memoryBytes": mebibytes * 2**20} if mebibytes else {}
    world.job_succeeds(MESSAGES | {"convert": MESSAGES["convert"] | memory})
    world.reconcile()
    ready = condition(world.status, "Ready")
    assert world.status["artifact"].get("memoryBytes") == memory.get("memoryBytes")
    assert world.has("Deployment", NAME) == (not words), reason
    assert (ready["reason"] == "InvalidSpec") == bool(words), reason
    assert words in ready["message"], reason
