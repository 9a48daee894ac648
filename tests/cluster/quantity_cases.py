"""Quantities of a spec, good and bad: for the API server and for the operator, which must agree."""

from __future__ import annotations

QUANTITIES: list[tuple[object, bool, str]] = [
    (2, True, "a number"),
    (0, True, "nothing at all"),
    ("500m", True, "a part"),
    ("4Gi", True, "a binary suffix"),
    ("1e3", True, "an exponent"),
    ("1E3", True, "an exponent in capitals"),
    ("1.5Gi", True, "a point"),
    (".5", True, "a point in front"),
    ("+1", True, "a sign that changes nothing"),
    ("1E", True, "exa, and no exponent"),
    ("1e-9", True, "the smallest step of Kubernetes"),
    ("1e18", True, "the largest exponent"),
    ("4 Gi", False, "a space"),
    ("-1", False, "less than nothing"),
    (-1, False, "less than nothing, as a number"),
    ("4GiB", False, "no such suffix"),
    ("1e999999", False, "an exponent of six digits: its integer has a million"),
    ("1E5000", False, "an exponent of four digits"),
    ("1e-999", False, "a negative exponent of three digits"),
    ("1e19", False, "an exponent beyond 64 bits"),
    ("9" * 17, False, "more digits than mean something"),
    ("9" * 400, False, "400 digits"),
    ("0." + "1" * 30, False, "digits that Kubernetes rounds away"),
    ("1Kim", False, "two suffixes"),
    ("1K", False, "kilo is a small k"),
    ("1e3Gi", False, "an exponent and a suffix"),
    ("0x10", False, "a hexadecimal number"),
    ("NaN", False, "no number"),
    ("inf", False, "infinity"),
    ("", False, "an empty string"),
    ("\u0661", False, "a digit of another script"),
    ("1\n", False, "a line break"),
]
# The API server's pattern cannot multiply: these are the operator's to refuse.
TOO_MUCH: list[tuple[object, str]] = [
    ("9999999999999999Ei", "sixteen digits of exbibytes"),
    ("2Ei", "two exbibytes"),
    ("10e18", "ten exa"),
]
