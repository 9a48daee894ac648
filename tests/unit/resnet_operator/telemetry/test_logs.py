"""A log line is a constant message and fields, for machines and for people."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from resnet_operator.telemetry.logs import JsonFormatter, PlainFormatter


def a_record(*, failing: bool = False, **fields: Any) -> logging.LogRecord:
    failure = None
    if failing:
        try:
            raise ValueError("no such node")
        except ValueError:
            failure = sys.exc_info()
    record = logging.LogRecord("resnet_operator.work", 30, __file__, 1, "slow", None, failure)
    vars(record).update(fields)
    return record


def test_a_line_of_json_has_message_and_fields() -> None:
    line = json.loads(JsonFormatter().format(a_record(object="default/faces", seconds=2.5)))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "resnet_operator.work",
        "message": "slow",
        "object": "default/faces",
        "seconds": 2.5,
    }


def test_what_json_does_not_know_is_written_as_text() -> None:
    line = json.loads(JsonFormatter().format(a_record(error=KeyError("spec"))))
    assert line["error"] == "'spec'"


def test_a_plain_line_reads_like_a_sentence() -> None:
    text = PlainFormatter().format(a_record(object="default/faces"))
    assert text == "warning resnet_operator.work: slow object=default/faces"


@pytest.mark.parametrize("field", ["k8s_ref", "settings", "_internal"])
def test_what_libraries_attach_is_left_out(field: str) -> None:
    noise: dict[str, Any] = {field: "noise"}
    record = a_record(**noise)
    assert "noise" not in JsonFormatter().format(record)
    assert "noise" not in PlainFormatter().format(record)


@pytest.mark.parametrize("formatter", [JsonFormatter(), PlainFormatter()])
def test_an_exception_comes_with_its_traceback(formatter: logging.Formatter) -> None:
    text = formatter.format(a_record(failing=True))
    assert "Traceback" in text
    assert "no such node" in text
