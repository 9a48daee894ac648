"""The quick look at a weight says what the slow one says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import deterministic

from resnet_operator.reading.weight import MAX_DEPTH, SPEC_BYTES, is_heavier, weight

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=40,
)
OBJECTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=8)


@deterministic
@given(value=OBJECTS, limit=st.integers(min_value=0, max_value=2_000))
def test_both_say_the_same(value: dict[str, Any], limit: int) -> None:
    assert is_heavier(value, limit) == (weight(value, limit) > limit)


def nested(depth: int, *, of_lists: bool = False) -> Any:
    value: Any = "leaf"
    for _ in range(depth):
        value = [value] if of_lists else {"a": value}
    return {"spec": value}


@pytest.mark.parametrize("of_lists", [False, True])
@pytest.mark.parametrize("depth", range(MAX_DEPTH - 4, MAX_DEPTH + 4))
def test_depth_counts_the_same(depth: int, of_lists: bool) -> None:
    value = nested(depth, of_lists=of_lists)
    assert is_heavier(value, SPEC_BYTES) == (weight(value, SPEC_BYTES) > SPEC_BYTES)


ODD: tuple[tuple[str, Any], ...] = (
    ("a number that JSON of 64 bits does not hold", {"a": 2**70}),
    ("half of a surrogate pair", {"a": "\ud800"}),
    ("bytes", {"a": b"x" * 70_000}),
    ("no object", "x" * 70_000),
    ("many empty things", {"a": [{}] * 10_000}),
    ("one long text", {"a": "x" * 70_000}),
)


@pytest.mark.parametrize("value", [row[1] for row in ODD], ids=[row[0] for row in ODD])
def test_what_is_odd_is_weighed_slowly(value: Any) -> None:
    assert is_heavier(value, SPEC_BYTES) == (weight(value, SPEC_BYTES) > SPEC_BYTES)
