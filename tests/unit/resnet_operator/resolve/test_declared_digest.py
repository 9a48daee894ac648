"""The name of a revision: what restarts pods, and what must not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import ARTIFACT_SHA256, a_settings, resolved

from resnet_operator.resolve.declared import declared_digest
from resnet_operator.settings.operator import Settings


def digest(
    changes: dict[str, Any] | None = None,
    *,
    artifact: str = ARTIFACT_SHA256,
    labels: str | None = None,
    settings: Settings | None = None,
) -> str:
    settings = settings or a_settings()
    return declared_digest(
        resolved=resolved(changes, settings=settings),
        artifact_sha256=artifact,
        labels=labels,
        settings=settings,
    )


def serving(**values: Any) -> dict[str, Any]:
    return {"serving": values}


OTHER_PODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("batching is in config.pbtxt", serving(batching={"maxQueueDelayMicroseconds": 5})),
    ("batch sizes are in config.pbtxt", {"conversion": {"batchSizes": [8]}}),
    ("another name in Triton", {"model": {"name": "digits"}}),
    ("more chips", {"accelerator": {"count": 2}}),
    ("another resource", {"accelerator": {"resourceName": "huawei.com/npu"}}),
    ("more instances", serving(instancesPerChip=2)),
    ("no warm-up", serving(warmup="Disabled")),
    ("more time to load", serving(loadTimeoutSeconds=600)),
    ("another image", serving(image="mine/triton:1")),
    ("a variable", serving(env=[{"name": "A", "value": "b"}])),
    ("resources", serving(resources={"limits": {"memory": "8Gi"}})),
    ("a node selector", serving(nodeSelector={"a": "b"})),
    ("a toleration", serving(tolerations=[{"key": "a"}])),
    ("an affinity", serving(affinity={"nodeAffinity": {}})),
    ("a priority", serving(priorityClassName="high")),
    ("a service account", serving(serviceAccountName="mine")),
    ("a pull secret", serving(imagePullSecrets=[{"name": "mine"}])),
    ("a label", serving(podLabels={"a": "b"})),
    ("an annotation", serving(podAnnotations={"a": "b"})),
)
SAME_PODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("nothing was changed", {}),
    ("replicas", serving(replicas=5)),
    ("suspended", {"suspend": True}),
    ("the Service", serving(service={"type": "NodePort", "annotations": {"a": "b"}})),
    ("the rollout", {"rollout": {"progressDeadlineSeconds": 60, "strategy": "Replace"}}),
    ("a pin", {"rollout": {"pinRevision": "a", "historyLimit": 9, "onFailure": "Hold"}}),
    ("retries of the conversion", {"conversion": {"retries": 5}}),
    ("resources of the conversion", {"conversion": {"resources": {"limits": {"cpu": 1}}}}),
    ("the source, as long as it makes the same artifact", {"model": {"uri": "pvc://a/b.onnx"}}),
)


@pytest.mark.parametrize(("reason", "changes"), OTHER_PODS)
def test_another_revision(reason: str, changes: dict[str, Any]) -> None:
    assert digest(changes) != digest(), reason


@pytest.mark.parametrize(("reason", "changes"), SAME_PODS)
def test_the_same_revision(reason: str, changes: dict[str, Any]) -> None:
    assert digest(changes) == digest(), reason


def test_another_artifact_is_another_revision() -> None:
    assert digest(artifact="00" * 32) != digest()


def test_labels_are_part_of_the_revision() -> None:
    found = [digest(labels=None), digest(labels=""), digest(labels="cat\n"), digest(labels="dog\n")]
    assert len(set(found)) == len(found)


OTHER_DEFAULTS = a_settings(
    jobs_image="registry.example/jobs:2",
    serving_images={"AscendOM": "registry.example/serving:2"},
)


def test_new_defaults_restart_nobody() -> None:
    assert digest(settings=OTHER_DEFAULTS) == digest()


def test_new_defaults_are_adopted_when_the_operator_is_told_to() -> None:
    told = {"adopt_new_defaults": "Immediately"}
    before = a_settings(**told)
    after = a_settings(**told, jobs_image="registry.example/jobs:2")
    assert digest(settings=after) != digest(settings=before)
    assert digest(settings=a_settings(**told)) == digest(settings=before)
    busier = a_settings(**told, workers=3, log_level="debug")
    assert digest(settings=busier) == digest(settings=before), "what pods do not see counts not"


KEPT_OTHERWISE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("unused artifacts stay for a day", {"keepUnusedDays": 1}),
    ("they stay for ever", {"keepUnusedDays": None}),
    ("another nginx", {"image": "registry.example/store:2"}),
    ("a larger claim", {"size": "200Gi"}),
    ("another class of volumes", {"storageClassName": "fast"}),
)
BUCKET = {"endpoint": "https://s3.example", "bucket": "artifacts", "secretName": "keys"}
OTHER_STORES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a shared claim", {"type": "SharedClaim"}),
    ("a shared claim of another name", {"type": "SharedClaim", "claimName": "a"}),
    ("a bucket", {"type": "S3", "s3": BUCKET}),
    ("another bucket", {"type": "S3", "s3": BUCKET | {"bucket": "other"}}),
    ("its keys are in another Secret", {"type": "S3", "s3": BUCKET | {"secretName": "other"}}),
)


@pytest.mark.parametrize(("reason", "store"), KEPT_OTHERWISE)
def test_how_the_store_is_kept_restarts_nobody(reason: str, store: dict[str, Any]) -> None:
    told = {"adopt_new_defaults": "Immediately"}
    usual = {"image": "registry.example/store:1"}
    before = a_settings(**told, store=usual)
    assert digest(settings=a_settings(**told, store=usual | store)) == digest(settings=before)


def test_another_place_is_adopted_when_the_operator_is_told_to() -> None:
    places = ({}, *(store for _, store in OTHER_STORES))
    told = [a_settings(adopt_new_defaults="Immediately", store=store) for store in places]
    assert len({digest(settings=settings) for settings in told}) == len(places)
    silent = [a_settings(store=store) for store in places]
    assert len({digest(settings=settings) for settings in silent}) == 1


def test_it_is_short_enough_for_every_name() -> None:
    assert len(digest()) == 10


def test_it_is_for_ever() -> None:
    """Another digest restarts every pod of every user at the operator's next upgrade."""
    assert digest() == "36abe7f22e"


def test_an_om_declared_otherwise_is_another_revision() -> None:
    """The file, and so the artifact, is the same; config.pbtxt is not."""

    def named(name: str) -> str:
        outputs = [{"name": name, "dataType": "FP32", "dims": [1000]}]
        return digest({"model": {"uri": "pvc://models/resnet50.om", "outputs": outputs}})

    assert named("scores") != named("logits")
