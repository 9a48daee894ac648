"""Numbers of a message or record as decimals, and decimals as a status shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from resnet_operator.errors import Misfit

# A millionth: one picture of a set of a million, and more than anybody sets a threshold by.
SHOWN = Decimal("0.000001")


def decimal_of(values: Mapping[str, Any], name: str) -> Decimal | None:
    """Return the number; None where there is none. Raises Misfit for anything else."""
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Misfit(f"{name}: it is not a number")
    return Decimal(value)


def whole_of(values: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """Return the count; raises Misfit when there is none and no default."""
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Misfit(f"{name}: it is not a whole number")
    return value


def in_words(value: Decimal, rounding: str = ROUND_HALF_EVEN, step: Decimal = SHOWN) -> str:
    """Return a number with at most six digits behind the point and no zeros at the end.

    What misses its threshold is rounded away from it: "1 is below 1" would help nobody.
    """
    text = f"{value.quantize(step, rounding):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def floor_of(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_FLOOR))
