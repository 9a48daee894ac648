"""An object may be older than a rule of the CRD: what it holds is refused here, or does no harm.

Each case of the CRD's rules is given to the operator as if the API server had let it through.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.cluster.manifests import service
from tests.cluster.rule_cases import SECRETS, STORE, RuleCase, _named
from tests.cluster.test_crd_validation import RULES
from tests.golden.rendering import SETTINGS
from tests.support.builders import metadata

from resnet_operator.api.reasons import Reason
from resnet_operator.seen.service import ServiceObject
from resnet_operator.settings.operator import Settings

TOOL = "the tool refuses it, and the Job's failure is told"
IGNORED = "nothing reads it there"
WORSE = "the model answers otherwise than was meant, to its own users"
MORE = "the pod asks for what is there or not; a device is given by the scheduler alone"
SERVER = "the API server refuses what is made of it, and that is told (Rejected)"
# What each rule's message begins with, and why the operator need not refuse it too.
HARMLESS = {
    "Ascend310P1, Ascend310P3": TOOL,
    "remove surgeWaitSeconds, or write": IGNORED,
    "write a surgeWaitSeconds below": IGNORED,
    "write type: LoadBalancer": SERVER,
    "remove preferredBatchSizes and maxQueueDelay": IGNORED,
    "remove accelerator.resourceName": IGNORED,
    "remove accelerator.count": IGNORED,
    "remove from conversion what is not": IGNORED,
    "choose a precisionMode": TOOL,
    "remove accelerator.slice, or": MORE,
    "remove accelerator.slice; accelerator.share": "the slice's template is taken",
    "remove accelerator.share": MORE,
    "remove memory or template": "the template is taken, which is a part of its own",
    "write plain ASCII": TOOL,
    "write as many numbers": TOOL,
    "these look like 0..1": WORSE,
    "write one number for all colours": TOOL,
    "remove swapRedBlue": IGNORED,
    "write standard deviations": TOOL,
    "write one batch size": TOOL,
    "choose another precisionMode": TOOL,
    "remove smallChannel": IGNORED,
    "remove firstLayerQuantization": IGNORED,
    "remove analysis, or write": IGNORED,
    "write rising steps": "they are sorted, and each is taken once",
    "remove rollout.analysis.": IGNORED,
    "write at least one threshold": "such a gate measures, and lets everything through",
    "write one of minTop1": "such a gate measures, and lets everything through",
    "remove mean, std": WORSE,
    "write conversion.preprocessing by its fields": WORSE,
    "remove serving.pipeline": TOOL,
    "write podSelector": SERVER,
    "write a maxReplicas": SERVER,
    "write one of configMapKeyRef": SERVER,
    "write value or valueFrom": SERVER,
}


def seen(changes: dict[str, Any]) -> ServiceObject:
    settings = Settings(**SETTINGS, export_image="export:1", amct_image="amct:1")
    meta = metadata("resnet50") | {"generation": 1}
    body = {"metadata": meta, "spec": service(changes)["spec"]}
    return ServiceObject.from_body(body, settings=settings)


@pytest.mark.parametrize(
    "case", RULES, ids=lambda case: f"{next(iter(case.refused))}: {case.reason}"
)
def test_what_the_crd_refuses_is_refused_here_too_or_does_no_harm(case: RuleCase) -> None:
    found = seen(case.refused)
    assert found.refusal is not Reason.INTERNAL_ERROR, found.invalid
    if found.invalid is None:
        assert any(case.message.startswith(begin) for begin in HARMLESS), case.message


def test_a_case_is_as_it_was_when_a_field_within_it_is_changed() -> None:
    dataset = {"uri": "pvc://data/test.tar"}
    service({"validation": {"dataset": dataset}, "validation.dataset.uri": "pvc://data/."})
    assert dataset == {"uri": "pvc://data/test.tar"}, "other cases name the same one"


@pytest.mark.thorough
def test_each_reason_is_needed() -> None:
    passed = [case.message for case in RULES if seen(case.refused).invalid is None]
    assert [begin for begin in HARMLESS if not any(m.startswith(begin) for m in passed)] == []


@pytest.mark.parametrize("path", SECRETS)
def test_no_field_may_name_the_stores_secret(path: str) -> None:
    assert seen({path: _named(path, "mine")}).invalid is None
    said = seen({path: _named(path, STORE)}).invalid
    assert said is not None
    assert "belongs to the artifact store; name another Secret" in said


TAKEN: list[tuple[str, dict[str, Any], str]] = [
    ("a label of ours", {"serving.podLabels": {"app.kubernetes.io/instance": "x"}}, "podLabels"),
    (
        "a pod that would be taken for a conversion's",
        {"serving.podLabels": {"serving.resnet-operator.io/artifact": "x"}},
        "podLabels",
    ),
    (
        "chips by another field",
        {"serving.resources": {"limits": {"huawei.com/Ascend310P": "8"}}},
        "serving.resources: remove huawei.com/Ascend310P",
    ),
    (
        "chips for a container of ours",
        {"containerResources": {"fetch": {"requests": {"nvidia.com/gpu": "1"}}}},
        "containerResources.fetch: remove nvidia.com/gpu",
    ),
    ("an option that we set", {"conversion.extraArgs": {"--output": "/x"}}, "remove --output"),
    (
        "a file outside the data set",
        {
            "validation": {
                "dataset": {"uri": "pvc://a/b.tar", "format": "ImageFolder", "labels": "../x"}
            }
        },
        "validation.dataset.labels",
    ),
]


@pytest.mark.parametrize(("why", "changes", "said"), TAKEN, ids=[row[0] for row in TAKEN])
def test_what_would_take_something_of_others_is_refused(
    why: str, changes: dict[str, Any], said: str
) -> None:
    assert said in (seen(changes).invalid or ""), why
