"""Which loads are measured: perf_analyzer's ranges, and what cannot be read."""

from __future__ import annotations

import pytest

from resnet_cli.bench.points import points_of, read_range
from resnet_cli.exits import CliError, Exit

READ = [
    ("one number", "4", [4]),
    ("doubled, and the end too", "1:64", [1, 2, 4, 8, 16, 32, 64]),
    ("the end is measured though it is no double", "1:6", [1, 2, 4, 6]),
    ("in steps, as perf_analyzer's third number", "1:64:16", [1, 17, 33, 49]),
    ("a range of one", "3:3", [3]),
    ("a list", "1,8,4", [1, 4, 8]),
    ("a list of ranges, each number once", "1:4,2:8:3", [1, 2, 4, 5, 8]),
]
REFUSED = [
    ("nothing", ""),
    ("no number", "four"),
    ("nobody asks", "0"),
    ("downwards", "8:1"),
    ("a step of nothing", "1:8:0"),
    ("four parts", "1:8:2:2"),
    ("a fraction", "1.5"),
    ("negative", "-1"),
    ("more than a laptop can be", "1:100000"),
    ("so many that doubling would not end", "1:9" + "9" * 400),
]


@pytest.mark.parametrize(("reason", "text", "numbers"), READ, ids=[row[0] for row in READ])
def test_ranges(reason: str, text: str, numbers: list[int]) -> None:
    assert read_range(text, option="--concurrency", most=64) == numbers, reason


@pytest.mark.parametrize(("reason", "text"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_read_names_the_option(reason: str, text: str) -> None:
    with pytest.raises(CliError, match="--concurrency") as caught:
        read_range(text, option="--concurrency", most=64)
    assert caught.value.exit_code is Exit.USAGE, reason


def test_each_batch_goes_through_all_loads() -> None:
    assert points_of("1:2", "1,8") == [(1, 1), (1, 2), (8, 1), (8, 2)]


def test_there_is_an_end_to_it() -> None:
    with pytest.raises(CliError, match="100 measurements"):
        points_of("1:10:1", "1:10:1")
