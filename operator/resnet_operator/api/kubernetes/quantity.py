"""Quantities of Kubernetes, bounded before any arithmetic.

The exponent of a decimal is as long as its writer likes: "1e999999" is eight characters, and its
integer has a million digits.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
# The API server stores nothing longer than 2^63-1, a point and nine digits.
NUMBER = re.compile(
    r"([-+]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,2})?)"
    r"([A-Za-z]{0,2})",
    re.ASCII,
)
MAX_CHARS = 31
# Kubernetes itself ends at 2^63-1. No node has an exbibyte, or 2^60 CPUs.
MOST = Decimal(2**63)
MOST_WRITTEN = Decimal(2**60)
MAX_NUMBER = 2**53
# What a user may write. A point or an exponent, no sign but "+", and no more digits than mean
# something.
PATTERN = (
    r"^[+]?([0-9]{1,16}(\.[0-9]{0,9})?|\.[0-9]{1,9})"
    r"([KMGTPE]i|[numkMGTPE]|[eE][+]?(1[0-8]|[0-9])|[eE]-[0-9])?$"
)


def parse_quantity(text: object) -> Decimal | None:
    """Return the number of a quantity, or None for what is none or beyond all bounds."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    if isinstance(text, int) and abs(text) > MOST:
        return None
    written = str(text)
    found = NUMBER.fullmatch(written) if len(written) <= MAX_CHARS else None
    if found is None or found[2] not in SUFFIXES:
        return None
    value = Decimal(found[1]) * SUFFIXES[found[2]]
    return value if abs(value) <= MOST else None


def _bounded(value: str | int) -> str | int:
    number = parse_quantity(value)
    good = number is not None and 0 <= number <= MOST_WRITTEN
    if not good or not re.fullmatch(PATTERN, str(value), re.ASCII):
        raise ValueError("write a quantity from 0 to 1Ei, for example 500m, 2 or 4Gi")
    return value


Quantity = Annotated[
    str | int,
    AfterValidator(_bounded),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": MAX_CHARS,
            "pattern": PATTERN,
            "minimum": 0,
            "maximum": MAX_NUMBER,
        }
    ),
]
QuantityMap = Annotated[dict[Annotated[str, Field(max_length=253)], Quantity], Field(max_length=16)]
