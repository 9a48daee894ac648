"""What a publisher says: on record, in the status, as labels, and never before the object."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from tests.support.builders import MESSAGES, Body, an_artifact, resolved
from tests.unit.resnet_operator.world import World

from resnet_operator.errors import Misfit
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.in_use import keep_list, named_by
from resnet_operator.render.triton.class_names import ClassNames, class_names

LABELS = "77" * 32
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SAID: Body = {
    "source": "config.json: labels; preprocessor_config.json: mean, std",
    "labels": {"count": 1000, "sha256": LABELS, "sizeBytes": 21_000},
    "inputSize": [224, 224],
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "cropPct": 0.875,
    "interpolation": "Bicubic",
}


def messages(said: Body | None = SAID) -> Body:
    """What the Job of a hub's repository says."""
    more = {"publisher": said} if said else {}
    return MESSAGES | {
        "fetch": MESSAGES["fetch"] | {"file": "model.safetensors", "revision": COMMIT},
        "publish": MESSAGES["publish"] | more,
    }


def served(said: Body | None = SAID, **seen: Any) -> World:
    world = World({"model": {"uri": "hf://timm/resnet50.a1_in1k/model.onnx"}})
    world.seen |= seen
    world.reconcile()
    world.job_succeeds(messages(said))
    world.reconcile()
    world.reconcile()
    world.pods_are_ready()
    world.reconcile()
    return world


def test_the_status_says_what_was_found_and_what_is_said_of_it() -> None:
    model = served().status["model"]
    assert model["source"] == {"file": "model.safetensors", "revision": COMMIT}
    assert model["publisher"] == SAID | {"labels": 1000}


def test_a_record_keeps_it_and_an_older_one_has_nothing_of_it() -> None:
    artifact = Artifact.from_messages(messages(), chip="Ascend310P3")
    assert Artifact.from_record(artifact.to_record()) == artifact
    old = Artifact.from_messages(MESSAGES, chip="Ascend310P3")
    assert not {"publisher", "source_file", "source_revision"} & set(
        json.loads(old.to_record()["artifact.json"])
    )


BAD: list[tuple[str, Body]] = [
    ("labels without a digest", {"labels": {"count": 5, "sha256": "x", "sizeBytes": 5}}),
    ("more labels than there may be", {"labels": {"count": 10**9, "sha256": LABELS,
                                                  "sizeBytes": 5}}),
    ("a size of terabytes", {"inputSize": [10**9, 10**9]}),
    ("division by nothing", {"std": [0.0, 0.0, 0.0]}),
    ("four colours", {"mean": [1.0, 1.0, 1.0, 1.0]}),
    ("an unknown filter", {"interpolation": "cubist"}),
    ("text of megabytes", {"source": "x" * 10_000}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "said"), BAD, ids=[row[0] for row in BAD])
def test_what_a_container_cannot_have_written_is_not_read(reason: str, said: Body) -> None:
    with pytest.raises(Misfit):
        Artifact.from_messages(messages(SAID | said), chip="Ascend310P3")


def pod(world: World) -> Body:
    template = json.loads(world.body("ConfigMap", world.revision)["data"]["pod-template.json"])
    return cast("Body", template["spec"])


def test_labels_come_from_the_store_by_their_digest() -> None:
    world = served()
    spec, data = pod(world), world.body("ConfigMap", world.revision)["data"]
    assert f"--labels {LABELS}" in " ".join(spec["initContainers"][0]["command"])
    assert 'label_filename: "labels.txt"' in data["config.pbtxt"]
    assert data["labels.txt"] == "", "the file that is mounted over"
    (mount,) = (
        m
        for m in spec["containers"][0]["volumeMounts"]
        if m["name"] == "artifact" and "subPath" in m
    )
    assert mount["mountPath"].endswith("/labels.txt")
    assert (mount["name"], mount["subPath"], mount["readOnly"]) == ("artifact", "labels.txt", True)


def test_each_model_with_labels_gets_the_file() -> None:
    world = served()
    world.change({"serving": {"pipeline": {"mean": [2], "std": [2], "softmax": True}}})
    world.reconcile()
    mounts = [
        m["mountPath"]
        for m in pod(world)["containers"][0]["volumeMounts"]
        if m["name"] == "artifact" and "subPath" in m
    ]
    assert [path.split("/")[2].rpartition("-")[2] for path in mounts][-1] == "softmax"
    assert len(mounts) == 2


def test_the_objects_labels_win() -> None:
    world = World({"model": {"uri": "hf://timm/resnet50.a1_in1k/model.onnx"}})
    world.change(
        {"model": {"classLabels": {"configMapKeyRef": {"name": "names", "key": "labels.txt"}}}}
    )
    world.seen["labels"] = "own\n" * 1000
    world.reconcile()
    world.job_succeeds(messages())
    world.reconcile()
    world.reconcile()
    assert "--labels" not in pod(world)["initContainers"][0]["command"]
    assert world.body("ConfigMap", world.revision)["data"]["labels.txt"] == "own\n" * 1000


def test_without_a_publisher_nothing_changes() -> None:
    world = served(None)
    assert "--labels" not in pod(world)["initContainers"][0]["command"]
    assert "labels.txt" not in world.body("ConfigMap", world.revision)["data"]
    assert "publisher" not in world.status["model"]


def test_other_labels_make_another_revision() -> None:
    """The same weights published again, with a class renamed."""
    first = served()
    renamed = SAID | {"labels": SAID["labels"] | {"sha256": "88" * 32}}
    assert served(renamed).revision != first.revision
    assert served().revision == first.revision


def test_labels_that_fit_no_output_name_nothing() -> None:
    said = SAID | {"labels": SAID["labels"] | {"count": 21_843}}
    world = served(said)
    assert "--labels" not in pod(world)["initContainers"][0]["command"]
    assert world.status["phase"] == "Ready", "it is not the user's fault"


def test_names_of_the_publisher_are_of_the_output_that_fits() -> None:
    artifact = Artifact.from_messages(messages(), chip="Ascend310P3")
    found = resolved()
    assert class_names(found, artifact, None) == ClassNames(output="output1", sha256=LABELS)
    assert class_names(found, an_artifact(), None) is None


def test_the_store_keeps_labels_that_are_in_use() -> None:
    record = named_by(Artifact.from_messages(messages(), chip="Ascend310P3").to_record())
    revision = named_by(served().body("ConfigMap", served().revision)["data"])
    for named in (record, revision):
        assert named.labels == LABELS
        assert LABELS[:12] in json.loads(keep_list([named], days=7) or "")["blobs"]
    for text in ('{"publisher": 5}', '{"publisher": {"labels": []}}', '{"publisher": null}'):
        assert named_by({"artifact.json": text}).labels == ""
