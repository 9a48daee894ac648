"""How much an object of the API weighs, before anything else is done with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson

# What a person can mean by a spec; the largest sample has 2 KiB.
SPEC_BYTES = 65_536
STATUS_BYTES = 262_144
MAX_DEPTH = 32
# What JSON has most of; to ask whether such a thing is a Mapping would cost more than all else.
LEAVES = frozenset({str, int, float, bool, type(None)})
# Of a number, a boolean or the signs around a value.
EACH = 8


def is_heavier(value: Any, limit: int) -> bool:
    """Tell whether a value weighs more than that; most are far below it, and quickly let through.

    In JSON each thing has two characters at least, so that a short text cannot be a heavy value;
    and what has few brackets is not nested deeply.
    """
    if type(value) is dict:
        try:
            text = orjson.dumps(value)
        except TypeError:
            return weight(value, limit) > limit
        brackets = text.count(b"{") + text.count(b"[")
        if brackets < MAX_DEPTH and len(text) * (EACH + 1) <= limit:
            return False
    return weight(value, limit) > limit


def weight(value: Any, limit: int) -> int:
    """Return about how many bytes the JSON of a value has, or limit + 1 as soon as it is above.

    What is nested too deeply is above it too. Never looks at more than fits into the limit.
    """
    waiting: list[tuple[Collection[Any], int]] = [((value,), 1)]
    total = 0
    while waiting:
        items, depth = waiting.pop()
        total += EACH * len(items)
        if total > limit or (items and depth > MAX_DEPTH):
            return limit + 1
        for item in items:
            kind = type(item)
            if kind is str:
                total += len(item)
            elif kind in LEAVES:
                continue
            elif kind is dict or isinstance(item, Mapping):
                if len(item) * EACH > limit:
                    return limit + 1
                total += sum(map(len, item))
                waiting.append((item.values(), depth + 1))
            elif isinstance(item, list | tuple):
                waiting.append((item, depth + 1))
            elif isinstance(item, str | bytes):
                total += len(item)
    return total if total <= limit else limit + 1


def heaviest(spec: Mapping[str, Any], limit: int) -> str:
    """Return the path of the field to shorten, two levels deep at most."""
    path, node = "spec", spec
    for _ in range(2):
        if not isinstance(node, Mapping) or not node:
            break
        key = max(node, key=lambda name: weight(node[name], limit))
        path, node = f"{path}.{key[:64]}", node[key]
    return path
