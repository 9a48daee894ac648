"""A watch: what it tells, how it ends, and the time in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAMESPACE, Body, Recorded

from resnet_cli.exits import CliError, Exit
from resnet_cli.live.events import changes, with_ticks


def told(kind: str, body: Body) -> str:
    return json.dumps({"type": kind, "object": body})


def test_objects_are_told_until_the_server_ends_it() -> None:
    body = c.service("Ready", "serving")
    it = Recorded([], watched=[told("ADDED", body), "", told("DELETED", body)])
    found = list(changes(it, "ResNetService", NAMESPACE, "digits", "9"))
    assert found == [("ADDED", body), ("DELETED", body)]
    assert "fieldSelector=metadata.name=digits" in it.asked[0]


def test_a_version_that_is_too_old_just_ends_it() -> None:
    it = Recorded([], watched=[told("ERROR", {"code": 410, "message": "too old"})])
    assert list(changes(it, "ResNetService", None, "", "1")) == []


def test_another_error_is_an_error() -> None:
    it = Recorded([], watched=[told("ERROR", {"code": 500, "message": "etcd is gone"})])
    with pytest.raises(CliError, match="etcd is gone") as caught:
        list(changes(it, "ResNetService", None, "", "1"))
    assert caught.value.exit_code is Exit.UNREACHABLE


def test_silence_is_a_tick() -> None:
    """Each event waits for a tick: so none is lost and none is told twice."""
    ticked = threading.Semaphore(0)

    def slow() -> Iterator[str]:
        yield "first"
        ticked.acquire()
        yield "second"

    found: list[str | None] = []
    for one in with_ticks([slow()], 0.01):
        if one is None:
            ticked.release()
        if one is not None or found[-1] is not None:
            found.append(one)
    assert found == ["first", None, "second"]


def test_sources_are_read_together_until_all_have_ended() -> None:
    there = threading.Event()

    def first() -> Iterator[str]:
        there.wait()
        yield "late"

    def second() -> Iterator[str]:
        yield "early"

    found = []
    for one in with_ticks([first(), second()], 60):
        found.append(one)
        there.set()
    assert found == ["early", "late"]


def test_an_error_of_the_source_reaches_who_waits() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise CliError("no", Exit.FORBIDDEN)

    found = with_ticks([broken()], 60)
    assert next(found) == 1
    with pytest.raises(CliError, match="no"):
        next(found)
