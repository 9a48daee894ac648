"""Digests are of one JSON text, whoever writes it: names in a cluster depend on it."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_operator import names


class Word(StrEnum):
    SURGE = "Surge"


# value, why it is here
CASES: tuple[tuple[Any, str], ...] = (
    ({"b": 1, "a": [True, None, ""]}, "keys are sorted"),
    ({"é": "µ", "z": "图", "a": "\u007f\u2028"}, "no character is escaped that need not be"),
    ('\x00\x1f\b\f\n\r\t"\\/', "those that need it"),
    (0.00001, "a fraction that the two encoders write differently, by itself"),
    ({"a": 1e16}, "another one"),
    ([1e-7, -2.5e300], "in a list, and a negative one"),
    ([1, 1e22], "behind a comma"),
    ({"a": 2**70}, "a number that the quick encoder refuses"),
    ({1: "a", 2: "b"}, "keys that it refuses"),
    ({"image": "a:1.2", "text": '":1.5,2.5[3e5'}, "what looks like a fraction in a text"),
    ({"a": ("b", Word.SURGE)}, "a tuple, and a word of ours"),
    ({}, "nothing"),
)


def slow(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("value", [value for value, _ in CASES], ids=[why for _, why in CASES])
def test_the_text_is_that_of_the_standard_library(value: Any) -> None:
    assert names.canonical_json(value) == slow(value)
    assert names.digest(value) == hashlib.sha256(slow(value).encode()).hexdigest()


# JSON has no infinity, and what we read is JSON.
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec="utf-8"))
LEAVES = st.none() | st.booleans() | st.integers() | FINITE | TEXT
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=12
)


@pytest.mark.thorough
@given(VALUES)
def test_of_any_value(value: Any) -> None:
    assert names.canonical_json(value) == slow(value)
