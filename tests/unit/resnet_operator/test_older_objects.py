"""An object may be older than a rule of the CRD: what it holds is refused here too.

Each case of the CRD's rules is given to the operator as if the API server had let it through.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from devkit.crdgen.batch import batch_schema
from tests.cluster.batch_rule_cases import BATCH_RULES
from tests.cluster.bounds import nodes
from tests.cluster.manifests import batch, root_schema, service
from tests.cluster.rule_cases import SECRETS, STORE, RuleCase, _named
from tests.cluster.test_crd_validation import RULES
from tests.golden.rendering import SETTINGS
from tests.support.builders import metadata
from tests.support.crd import read_crd
from tests.support.rules import batch_rows, rows

from resnet_operator.api.reasons import Reason
from resnet_operator.api.rules import Rule
from resnet_operator.errors import InvalidSpec
from resnet_operator.seen.batch import BatchObject
from resnet_operator.seen.service import ServiceObject
from resnet_operator.seen.service_spec import spec_of
from resnet_operator.settings.operator import Settings

ROWS = rows()
RELEASED = Path(__file__).parent / "api" / "released" / "v0.1.0-crd.yaml"
# An address that breaks an earlier rule too, whose sentence is said.
SEVERAL = {"no owner"}


def seen(changes: dict[str, Any]) -> ServiceObject:
    settings = Settings(**SETTINGS, export_image="export:1", amct_image="amct:1")
    meta = metadata("resnet50") | {"generation": 1}
    body = {"metadata": meta, "spec": service(changes)["spec"]}
    return ServiceObject.from_body(body, settings=settings)


@pytest.mark.parametrize(
    "case", RULES, ids=lambda case: f"{next(iter(case.refused))}: {case.reason}"
)
def test_what_the_crd_refuses_is_refused_here_too_with_the_same_sentence(case: RuleCase) -> None:
    found = seen(case.refused)
    assert found.refusal is Reason.INVALID_SPEC, found.invalid
    written = [row for row in ROWS if case.message in row.message]
    if found.invalid is None:
        assert any(row.borne for row in written), case.reason
    elif written and case.reason not in SEVERAL:
        assert case.message in found.invalid, case.reason


@pytest.mark.parametrize(
    "case", BATCH_RULES, ids=lambda case: f"{next(iter(case.refused))}: {case.reason}"
)
def test_what_the_crd_refuses_of_a_batch_is_refused_here_too(case: RuleCase) -> None:
    refused, accepted = seen_batch(case.refused), seen_batch(case.accepted)
    assert case.message in refused.invalid, case.reason
    assert (refused.spec, refused.refusal) == (None, Reason.INVALID_SPEC)
    assert accepted.invalid == "", case.reason


@pytest.mark.parametrize("name", ["a" * 41, "1st-archive", "archive.2026"])
def test_a_batch_of_a_name_that_makes_no_jobs_name_is_refused(name: str) -> None:
    assert "write a metadata.name of at most 40" in seen_batch({}, name=name).invalid


def seen_batch(changes: dict[str, Any], *, name: str = "archive") -> BatchObject:
    body = batch(changes, name=name)
    return BatchObject.from_body(body | {"metadata": metadata(name) | {"generation": 1}})


@pytest.mark.parametrize(
    ("schema", "known"), [(root_schema(), ROWS), (batch_schema(), batch_rows())], ids=["rns", "rnb"]
)
def test_every_rule_of_a_crd_is_a_row_of_the_operator_too(
    schema: dict[str, Any], known: tuple[Rule, ...]
) -> None:
    """But those of a map's keys, which are made of bounds that the operator's parser holds."""
    crd = {
        (rule["rule"], rule["message"])
        for _, node in nodes(schema)
        for rule in node.get("x-kubernetes-validations", [])
        if not rule["rule"].startswith("self.all(k, k.size() ")
    }
    assert crd == {(row.cel, row.message) for row in known}


def test_every_rule_of_a_batch_has_a_case() -> None:
    """But what compares with the object before, and the name."""
    own = [row for row in batch_rows() if not ("oldSelf" in row.cel or "metadata" in row.cel)]
    shared = {row.message for row in ROWS}
    lacking = [
        row.message
        for row in own
        if row.message not in shared and not any(one.message in row.message for one in BATCH_RULES)
    ]
    assert lacking == []


def test_only_what_a_release_took_and_served_is_borne() -> None:
    """A row that was released already is broken by no object, and needs not be borne."""
    released = {
        rule["rule"]
        for _, node in nodes(crd_of_a_release())
        for rule in node.get("x-kubernetes-validations", [])
    }
    borne = [row for row in ROWS if row.borne]
    assert borne
    assert [row.cel for row in borne if row.cel in released] == []


def crd_of_a_release() -> dict[str, Any]:
    [version] = read_crd(RELEASED)["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


@pytest.mark.parametrize(
    "case", RULES, ids=lambda case: f"{next(iter(case.accepted))}: {case.reason}"
)
def test_no_rule_refuses_its_accepted_neighbour(case: RuleCase) -> None:
    try:
        spec_of(service(case.accepted))
    except InvalidSpec as error:
        pytest.fail(f"{case.reason}: {error.message}")


def test_a_case_is_as_it_was_when_a_field_within_it_is_changed() -> None:
    dataset = {"uri": "pvc://data/test.tar"}
    service({"validation": {"dataset": dataset}, "validation.dataset.uri": "pvc://data/."})
    assert dataset == {"uri": "pvc://data/test.tar"}, "other cases name the same one"


@pytest.mark.parametrize("path", SECRETS)
def test_no_field_may_name_the_stores_secret(path: str) -> None:
    assert seen({path: _named(path, "mine")}).invalid is None
    said = seen({path: _named(path, STORE)}).invalid
    assert said is not None
    assert "choose another Secret; resnet-store is the key and login" in said


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
        "spec.serving.resources: remove huawei.com/…",
    ),
    (
        "chips for a container of ours",
        {"containerResources": {"fetch": {"requests": {"nvidia.com/gpu": "1"}}}},
        "spec.containerResources.fetch: remove huawei.com/…",
    ),
    (
        "an option that we set",
        {"conversion.extraArgs": {"--output": "/x"}},
        "remove what is no field and not one of",
    ),
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
