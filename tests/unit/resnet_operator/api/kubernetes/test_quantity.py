"""Quantities are bounded before anything is computed with them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cluster.quantity_cases import QUANTITIES, TOO_MUCH
from tests.support.builders import a_service, deterministic
from tests.unit.resnet_operator.world import World

from resnet_operator.api.kubernetes.quantity import MAX_CHARS, MOST, PATTERN, parse_quantity

BAD = [(value, reason) for value, good, reason in QUANTITIES if not good] + TOO_MUCH


def limited(value: object, name: str = "memory") -> dict[str, Any]:
    return {"serving": {"resources": {"limits": {name: value}}}}


@pytest.mark.parametrize(("value", "good", "reason"), QUANTITIES, ids=[c[2] for c in QUANTITIES])
def test_operator_and_pattern_agree(value: object, good: bool, reason: str) -> None:
    service = a_service(limited(value))
    assert (service.invalid is None) is good, f"{reason}: {service.invalid}"
    text = str(value)
    assert bool(re.search(PATTERN, text, re.ASCII)) is good or text.endswith("\n"), reason


@pytest.mark.parametrize(("value", "reason"), BAD, ids=[c[1] for c in BAD])
@pytest.mark.parametrize("name", ["memory", "cpu"])
def test_a_stored_object_with_such_a_quantity_has_a_condition(
    value: object, reason: str, name: str
) -> None:
    """Objects of 0.1.0 are older than the bound: the API server has let them in."""
    world = World(limited(value, name))
    world.reconcile()
    ready = next(c for c in world.status["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec"), reason
    assert f"spec.serving.resources.limits.{name}: write a quantity" in ready["message"], reason


@deterministic
@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.binary()))
def test_parsing_is_total_and_small(value: object) -> None:
    number = parse_quantity(value)
    assert number is None or (number.is_finite() and abs(number) <= MOST)


def test_numbers_beyond_all_bounds_are_none() -> None:
    for huge in (10**5000, -(10**5000), float("inf"), float("nan"), 1e300):
        assert parse_quantity(huge) is None


@deterministic
@given(st.from_regex(PATTERN, fullmatch=True).filter(lambda text: len(text) <= MAX_CHARS))
def test_what_the_pattern_takes_is_cheap(text: str) -> None:
    number = parse_quantity(text.rstrip("\n"))
    assert number is None or Decimal(0) <= number <= MOST
