"""The block of a batch's order, and the line that tells how far a batch is."""

from __future__ import annotations

from typing import Any

import pytest

from resnet_contract.batch.order import parse_batch
from resnet_contract.batch.progress import Classified, read_classified
from resnet_contract.fields import Fields, OrderError

ORDER: dict[str, Any] = {
    "input": {"uri": "pvc://photos/2026"},
    "output": {"place": {"folder": "/output/run"}},
}


def test_what_is_not_said_has_a_value() -> None:
    found = parse_batch(Fields(ORDER, "spec"))
    assert (found.format, found.top, found.part, found.shards) == ("Images", 1, 1000, 1)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"input": None}, "spec.input"),
        ({"input": {}}, "spec.input.uri is missing"),
        ({"input": {"uri": "ftp://host/a"}}, "spec.input.uri .* has no supported scheme"),
        ({"input": {"uri": "pvc://a/b", "format": "ImageFolder"}}, "spec.input.format"),
        ({"input": {"uri": "pvc://a/b", "sha256": "12"}}, "spec.input.sha256"),
        ({"output": {"place": None}}, "spec.output.uri is missing"),
        ({"output": {"place": {"uri": "pvc://a/b"}}}, "spec.output.uri must be pvc://<claim>"),
        ({"output": {"place": {"uri": "http://a/b"}}}, "spec.output.uri must be pvc://<claim>"),
        ({"output": {"place": {"uri": "oci://a/b:c#d"}}}, "spec.output.uri must name a tag"),
        ({"output": {"place": {"uri": f"oci://a/b:{'c' * 101}"}}}, "must name a tag"),
        (
            {"output": {"place": {"uri": "oci://a/b@sha256:" + "0" * 64}}},
            "spec.output.uri must name a tag",
        ),
        ({"output": {**ORDER["output"], "format": "ORC"}}, "spec.output.format"),
        ({"output": {**ORDER["output"], "topK": 0}}, "spec.output.topK"),
        ({"output": {**ORDER["output"], "picturesPerPart": 10**6}}, "spec.output.picturesPerPart"),
        ({"parallelism": 17}, "spec.parallelism"),
    ],
)
def test_what_no_job_can_do_is_refused_by_its_field(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(OrderError, match=words):
        parse_batch(Fields({**ORDER, **changed}, "spec"))


@pytest.mark.parametrize(
    "said", [Classified(0, 10), Classified(10, 10, 123.4), Classified(7, 2000, 0.5)]
)
def test_a_line_is_read_as_it_was_written(said: Classified) -> None:
    assert read_classified(said.line()) == said


@pytest.mark.parametrize(
    "line",
    ["", "classified 5 pictures", "classified 9 of 5 pictures (180 %)", "measured 1 of 2 samples"],
)
def test_another_line_is_none_of_these(line: str) -> None:
    assert read_classified(line) is None
