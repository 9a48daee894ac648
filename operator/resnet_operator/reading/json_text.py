"""JSON that a container, a person or another version wrote. Total: an object, or Misfit.

Read here and nowhere else: deep nesting, numbers beyond 64 bits, NaN, half a surrogate pair and
names that stand twice end here, with a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from resnet_operator.errors import Misfit

MESSAGE_CHARS = 65_536
RECORD_CHARS = 1_048_576
MAX_DEPTH = 32
MAX_VALUES = 20_000
INT64 = 2**63
T = TypeVar("T")
# Of a decimal: what a float could have, and what can be written out.
MAX_ADJUSTED, MIN_ADJUSTED = 18, -40


def read_object(
    text: str,
    *,
    max_chars: int = MESSAGE_CHARS,
    max_values: int = MAX_VALUES,
    number: Callable[[str], Any] = float,
    constant: Callable[[str], Any] | None = None,
) -> dict[str, Any]:
    """Return the object; raises Misfit. `constant` reads NaN and Infinity, else they are none."""
    if len(text) > max_chars:
        raise Misfit(f"it has more than {max_chars} characters")
    try:
        value = json.loads(
            text,
            parse_float=number,
            parse_constant=constant or _no_number,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        raise Misfit("it is nested too deeply") from None
    except Misfit:
        raise
    except ValueError as error:
        raise Misfit(f"it is not JSON ({str(error)[:80]})") from None
    if not isinstance(value, dict):
        raise Misfit(f"it is a {type(value).__name__} and not an object")
    _check(value, max_values)
    return value


def decode(adapter: TypeAdapter[T], value: Any) -> T:
    """Return what the adapter makes of a JSON value, strictly; raises Misfit with the path."""
    try:
        return adapter.validate_json(to_json(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Misfit(f"{where}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise Misfit(f"it cannot be read ({type(error).__name__})") from None


def _no_number(word: str) -> Any:
    raise Misfit(f"{word} is not a number")


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Misfit(f'"{key[:40]}" stands in it twice'.encode("ascii", "replace").decode())
        found[key] = value
    return found


def _check(value: Any, max_values: int) -> None:
    """Look at every value once, without recursion."""
    waiting, count = [(value, 1)], 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise Misfit("it is nested too deeply")
        if count > max_values:
            raise Misfit(f"it has more than {max_values} values")
        if isinstance(item, dict):
            waiting += [(key, depth + 1) for key in item]
            waiting += [(inner, depth + 1) for inner in item.values()]
        elif isinstance(item, list):
            waiting += [(inner, depth + 1) for inner in item]
        else:
            _check_scalar(item)


def _check_scalar(item: Any) -> None:
    if isinstance(item, str):
        if not item.isascii() and any("\ud800" <= char <= "\udfff" for char in item):
            raise Misfit("it holds half of a surrogate pair")
    elif isinstance(item, int):
        if not -INT64 <= item < INT64:
            raise Misfit("it holds a number beyond 64 bits")
    elif isinstance(item, float):
        if not -1e300 < item < 1e300:
            raise Misfit("it holds a number beyond all bounds")
    elif isinstance(item, Decimal) and item:
        adjusted = item.adjusted() if item.is_finite() else MAX_ADJUSTED + 1
        if not MIN_ADJUSTED <= adjusted <= MAX_ADJUSTED:
            raise Misfit("it holds a number beyond all bounds")
