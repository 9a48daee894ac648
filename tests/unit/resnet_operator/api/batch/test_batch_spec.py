"""The spec of a ResNetBatch as the operator reads it, of objects older than a rule too."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import metadata

from resnet_operator.crdgen.batch import batch_definition, batch_schema
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
        ({**SPEC, "output": {"uri": "pvc://a/b", "format": "Parquet"}}, "spec.output.format"),
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


def test_the_output_goes_nowhere_that_is_not_made_yet() -> None:
    """What has not been built is no word of the schema: nothing is ignored in silence."""
    output = batch_schema()["properties"]["spec"]["properties"]["output"]["properties"]
    assert output["format"]["enum"] == ["CSV"]
    assert set(output) == {"uri", "format", "topK", "picturesPerPart"}


def test_the_columns_say_how_far_it_is() -> None:
    (version,) = batch_definition()["spec"]["versions"]
    names = [column["name"] for column in version["additionalPrinterColumns"]]
    assert names == ["Service", "Phase", "Done", "Total", "Rate", "ETA", "Message", "Age"]
