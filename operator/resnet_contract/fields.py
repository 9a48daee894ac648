"""Reads one JSON object of the order field by field; a bad value ends as a sentence.

Called by `order` and `blocks` only. `at` is where the object stands in the ResNetService, so
every sentence names the field as its author wrote it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")


@dataclass(frozen=True)
class Fields:
    """A JSON object and its place. Absent and null are the same everywhere."""

    values: Mapping[str, Any]
    at: str

    def name(self, key: str) -> str:
        return f"{self.at}.{key}"

    def has(self, *keys: str) -> bool:
        return any(self.values.get(key) is not None for key in keys)

    def child(self, key: str) -> Fields | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise invalid(f"{self.name(key)} must be an object with fields")
        return Fields(value, self.name(key))

    def block(self, key: str, parse: Callable[[Fields], T]) -> T | None:
        """What `parse` makes of an object that may be absent."""
        fields = self.child(key)
        return None if fields is None else parse(fields)

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise invalid(f"{self.name(key)} must be a string")
        return value or None

    def needed_text(self, key: str, example: str) -> str:
        value = self.text(key)
        if value is None:
            raise invalid(f"{self.name(key)} is missing; write for example {example}")
        return value

    def matching(self, key: str, pattern: str, what: str) -> str | None:
        value = self.text(key)
        if value is not None and not re.fullmatch(pattern, value):
            raise invalid(f'{self.name(key)} "{value[:60]}" must be {what}')
        return value

    def choice(self, key: str, choices: Sequence[str]) -> str | None:
        value = self.text(key)
        if value is not None and value not in choices:
            known = ", ".join(choices)
            raise invalid(f'{self.name(key)} "{value[:60]}" is not known; write one of {known}')
        return value

    def needed_choice(self, key: str, choices: Sequence[str]) -> str:
        value = self.choice(key, choices)
        if value is None:
            raise invalid(f"{self.name(key)} is missing; write one of {', '.join(choices)}")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise invalid(f"{self.name(key)} must be true or false")
        return bool(value)

    def whole(self, key: str, *, minimum: int = 1, maximum: int = 2**31 - 1) -> int | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not is_whole(value) or not minimum <= value <= maximum:
            raise invalid(f"{self.name(key)} must be a whole number from {minimum} to {maximum}")
        return int(value)

    def needed_whole(self, key: str, *, minimum: int = 1, maximum: int = 2**31 - 1) -> int:
        value = self.whole(key, minimum=minimum, maximum=maximum)
        if value is None:
            raise invalid(f"{self.name(key)} is missing; write a whole number from {minimum} on")
        return value

    def numbers(self, key: str) -> tuple[float, ...]:
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(_is_finite(number) for number in value):
            raise invalid(f"{self.name(key)} must be a list of numbers")
        return tuple(float(number) for number in value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise invalid(f"{self.name(key)} must be a list of texts")
        return tuple(value)

    def exclusive(self, one: str, *others: str) -> None:
        """`one` stands alone: it replaces what the others would say."""
        beside = [key for key in others if self.values.get(key)]
        if self.has(one) and beside:
            raise invalid(f"{self.name(one)} stands alone: remove {', '.join(beside)} beside it")


def sha256(fields: Fields, key: str = "sha256") -> str | None:
    value = fields.values.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise invalid(f"{fields.name(key)} must be 64 hexadecimal digits; `sha256sum` prints them")
    return value.lower()


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class OrderError(ValueError):
    """An order that no Job can carry out; one sentence that names the field and what to write."""


def invalid(message: str) -> OrderError:
    return OrderError(message)
