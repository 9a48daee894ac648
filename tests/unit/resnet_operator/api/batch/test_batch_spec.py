"""The spec of a ResNetBatch as the operator reads it, of objects older than a rule too."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from devkit.crdgen.batch import batch_definition
from tests.cluster.batch_rule_cases import BATCH_RULES
from tests.support.apiserver import ROOT
from tests.support.builders import metadata

from resnet_contract.batch.order import parse_batch
from resnet_contract.fields import Fields
from resnet_operator.seen.batch import BatchObject

SPEC: dict[str, Any] = {
    "service": {"name": "resnet50"},
    "input": {"uri": "pvc://photos/2026"},
    "output": {"uri": "pvc://results/2026"},
}


def seen(spec: Any, **body: Any) -> BatchObject:
    return BatchObject.from_body({"metadata": metadata("archive"), "spec": spec, **body})


def test_the_smallest_spec_is_read() -> None:
    found = seen(SPEC)
    assert (found.service, found.invalid) == ("resnet50", "")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.service"),
        ({**SPEC, "parallelism": 0}, "spec.parallelism"),
        ({**SPEC, "output": {"uri": "pvc://a/b", "format": "ORC"}}, "spec.output.format"),
        ({**SPEC, "input": {"uri": "pvc://a/b", "format": "ImageFolder"}}, "spec.input.format"),
        ({**SPEC, "service": {"name": "x" * 300_000}}, "larger than"),
    ],
)
def test_a_spec_that_cannot_be_read_is_refused_by_its_field(spec: Any, field: str) -> None:
    found = seen(spec)
    assert found.spec is None
    assert field in found.invalid


@pytest.mark.parametrize("status", [None, [], "x", {"pictures": 7}, {"pods": [{"index": "a"}]}])
def test_a_status_that_is_not_ours_counts_as_none(status: Any) -> None:
    assert seen(SPEC, status=status).status == {}


WRITTEN = sorted(
    {
        uri
        for case in BATCH_RULES
        if (uri := case.accepted.get("output.uri", "pvc:")) and not uri.startswith("pvc:")
    }
)


@pytest.mark.parametrize("uri", WRITTEN)
def test_what_the_crd_lets_through_the_job_can_read(uri: str) -> None:
    order = {"input": {"uri": "pvc://a/b"}, "output": {"place": {"uri": uri}}}
    found = parse_batch(Fields(order, "batch"))
    assert found is not None
    assert found.output.address is not None
    assert found.output.address.uri == uri


def test_the_columns_say_how_far_it_is() -> None:
    (version,) = batch_definition()["spec"]["versions"]
    names = [column["name"] for column in version["additionalPrinterColumns"]]
    assert names == ["Service", "Phase", "Done", "Total", "Rate", "ETA", "Message", "Age"]


def test_the_sample_and_the_page_show_what_can_be_read() -> None:
    page = (ROOT / "docs" / "batch.md").read_text()
    shown = [
        yaml.safe_load(text)
        for text in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ]
    whole = [one for one in shown if "spec" in one]
    parts = [SPEC | one for one in shown if "spec" not in one]
    sample = yaml.safe_load((ROOT / "samples" / "batches" / "archive.yaml").read_text())
    assert whole
    assert parts
    for spec in (*(one["spec"] for one in (*whole, sample)), *parts):
        assert seen(spec).invalid == "", spec
