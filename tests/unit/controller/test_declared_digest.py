"""The name of a revision: what restarts pods, and what must not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.controller.builders import ARTIFACT_SHA256, a_settings, resolved

from resnet_operator.resolve import declared_digest
from resnet_operator.settings import Settings


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
    ("the rollout", {"rollout": {"progressDeadlineSeconds": 60}}),
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
    tidier = a_settings(**told, store={"image": "registry.example/store:1", "keepUnusedDays": 1})
    assert digest(settings=tidier) == digest(settings=before)


def test_it_is_short_enough_for_every_name() -> None:
    assert len(digest()) == 10


def test_it_is_for_ever() -> None:
    """Another digest restarts every pod of every user at the operator's next upgrade."""
    assert digest() == "36abe7f22e"
