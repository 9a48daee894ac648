"""Progress lines: what a Job writes is what kubectl-resnet reads, and no other line is one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_contract.progress import (
    KIB,
    MIB,
    VERBS,
    Moved,
    finished,
    going,
    last_moved,
    last_result,
    read_line,
    result_line,
)

BYTES = st.integers(min_value=0, max_value=2**50)


@given(st.sampled_from(VERBS), BYTES, st.none() | BYTES, st.floats(0, 1e12))
def test_what_is_written_is_read(verb: str, done: int, total: int | None, rate: float) -> None:
    found = read_line(going(verb, done, total, rate=rate))
    assert found is not None
    assert found.verb == verb
    unit = KIB if (total or done) < MIB else MIB
    assert abs(found.done - done) <= unit / 2 + 1, "as exact as the line"
    if total and done < total:
        assert found.percent == 100 * done // total
        assert found.total is not None
        assert abs(found.total - total) <= unit / 2 + 1
    else:
        assert found.percent is None, "it does not know how much is left"


@given(st.sampled_from(VERBS), BYTES)
def test_an_end_is_an_end(verb: str, done: int) -> None:
    found = read_line(finished(verb, done, seconds=1.5))
    assert found is not None
    assert (found.percent, found.total) == (100, found.done)


LINES = [
    ("half way", "downloaded 120 of 243 MiB (49 %), 11.4 MiB/s", (120 * MIB, 243 * MIB, 49)),
    ("small files", "copied 2 of 4 KiB (50 %), 0.0 MiB/s", (2 * KIB, 4 * KIB, 50)),
    ("no size known", "downloaded 5 MiB, 1.0 MiB/s", (5 * MIB, None, None)),
    ("done", "uploaded 10.0 MiB in 3.0 s", (10 * MIB, 10 * MIB, 100)),
    ("with blanks around it", "  unpacked 7 MiB, 1.0 MiB/s\r", (7 * MIB, None, None)),
    ("a percentage that nobody wrote", "copied 2 of 4 MiB (999 %)", (2 * MIB, 4 * MIB, 100)),
]
OTHERS = [
    "fetching https://models.example/downloaded 5 MiB",
    "downloaded",
    "downloaded everything",
    "downloaded -5 MiB",
    "downloaded 5 GiB",
    "downloaded " + "9" * 5000 + " MiB",
    "",
]


@pytest.mark.parametrize(("reason", "line", "numbers"), LINES, ids=[row[0] for row in LINES])
def test_lines(reason: str, line: str, numbers: tuple[int, int | None, int | None]) -> None:
    found = read_line(line)
    assert found is not None, reason
    assert (found.done, found.total, found.percent) == numbers


@pytest.mark.parametrize("line", OTHERS, ids=lambda line: line[:30])
def test_other_lines(line: str) -> None:
    assert read_line(line) is None


def test_the_newest_counts_though_others_follow() -> None:
    log = "downloaded 1 of 4 MiB (25 %), 1.0 MiB/s\ndownloaded 2 of 4 MiB (50 %)\nwaiting\n"
    assert last_moved(log) == Moved("downloaded", 2 * MIB, 4 * MIB, 50)
    assert last_moved("nothing here\n") is None


def test_a_result_is_one_line_and_read_again() -> None:
    result = {"samples": 3, "worst": [{"name": "a\nb\u2028c"}]}
    line = result_line(result)
    assert len(line.splitlines()) == 1
    log = f"{result_line({'samples': 1})}\n{line}\nresult.json could not be stored\n"
    assert json.loads(last_result(log) or "") == result


@pytest.mark.parametrize("log", ["", "samples: 3", "a result.json: {}"])
def test_no_result(log: str) -> None:
    assert last_result(log) is None


@pytest.mark.parametrize("text", ["{", "[1]", "", "NaN"])
def test_what_is_wrong_with_a_result_is_for_its_reader_to_say(text: str) -> None:
    assert last_result(f"result.json: {text}\n") == text


def test_a_log_is_no_place_for_everything() -> None:
    assert len(result_line({"worst": "x" * 10**6})) < 100
    assert last_result(result_line({"worst": "x" * 10**6})) is None
