"""Progress: what the status says of it, in words for people and in numbers for programs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAMESPACE, NOW, Body

from resnet_cli.live.progress import Going, Key, progress_of
from resnet_cli.live.table import chips_text, done_text, news_of, row_of, stage_text
from resnet_contract.progress import MIB

KEY = ("ResNetService", NAMESPACE, c.NAME)
BEGAN = c.at(seconds=75)
HALF = {"percent": 12, "bytes": 120 * MIB, "totalBytes": 243 * MIB}


def service(**progress: object) -> Body:
    said = {"progress": {"stage": "fetch", "startTime": BEGAN, **progress}}
    return c.service("Fetching", "the model is being fetched", phase="Fetching", status=said)


READ: list[tuple[str, Body, dict[Key, Going]]] = [
    (
        "a download",
        service(**HALF),
        {KEY: Going("fetch", BEGAN, 12, 120 * MIB, 243 * MIB)},
    ),
    ("an operator that reads no logs", service(percent=50), {KEY: Going("fetch", BEGAN, 50)}),
    ("an operator of an older version", service(), {KEY: Going("fetch", BEGAN)}),
    ("at rest", c.service("Ready", "serving", ready="True"), {}),
    ("nobody has looked at it yet", c.service("Ready", "", status={"progress": None}), {}),
]


@pytest.mark.parametrize(("reason", "body", "found"), READ, ids=[row[0] for row in READ])
def test_it_is_what_the_status_says(reason: str, body: Body, found: dict[Any, Going]) -> None:
    assert progress_of([body]) == found, reason


STAGES = [
    ("at rest", None, "", ""),
    ("a compiler tells nothing: how long", Going("convert", BEGAN, 50), "convert 75s", "50%"),
    ("no time known", Going("load"), "load", ""),
    ("just begun", Going("fetch", BEGAN, 0), "fetch 75s", "0%"),
    ("a download", Going("fetch", "", 12, 120 * MIB, 243 * MIB), "fetch 49% of 243 MiB", "12%"),
    ("a server without a size", Going("fetch", "", 0, 5 * MIB), "fetch 5 MiB", "0%"),
    ("an empty file", Going("fetch", "", 0, 0, 0), "fetch 0% of 0 KiB", "0%"),
    ("more than there is", Going("fetch", "", 25, 2 * MIB, MIB), "fetch 100% of 1 MiB", "25%"),
]


@pytest.mark.parametrize(
    ("reason", "going", "text", "done"), STAGES, ids=[row[0] for row in STAGES]
)
def test_stages(reason: str, going: Going | None, text: str, done: str) -> None:
    assert (stage_text(going, NOW), done_text(going)) == (text, done), reason


def test_programs_get_the_numbers() -> None:
    body = service(**HALF)
    assert row_of(body, progress_of([body])[KEY], NOW)["progress"] == {
        "stage": "fetch",
        "for": "75s",
        "percent": 12,
        "stagePercent": 49,
        "bytes": 120 * MIB,
        "totalBytes": 243 * MIB,
    }


def test_ages_are_no_news() -> None:
    body = service()
    earlier = news_of(body, Going("fetch", c.at(seconds=75)), NOW)
    later = news_of(body, Going("fetch", c.at(seconds=74)), NOW)
    assert earlier == later
    assert earlier != news_of(body, Going("fetch", "", 1, 1, 2), NOW)


@pytest.mark.parametrize(
    ("ready", "each", "text"),
    [("1/1", 1, "Ascend310P3"), ("0/3", 1, "3 Ascend310P3"), ("1/2", 4, "8 Ascend310P3")],
)
def test_chips(ready: str, each: int, text: str) -> None:
    assert chips_text({"ready": ready, "chipsPerPod": each, "chip": "Ascend310P3"}) == text
