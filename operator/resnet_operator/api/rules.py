"""A rule of the spec in one row: the CEL that the API server refuses by, the operator's own check
of objects that are older than the rule, and the sentence that both say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True)
class Rule:
    """`broken` gets the parsed value that stands for `self` in `cel`."""

    cel: str
    broken: Callable[[Any], object]
    message: str
    # Why an older object that breaks the rule is served all the same.
    borne: str = ""

    @property
    def extension(self) -> dict[str, str]:
        """Return the row as the CRD has it."""
        return {"rule": self.cel, "message": self.message}


def of_a_change(cel: str, message: str) -> Rule:
    """Return a rule about `oldSelf`: the operator acts on an object as it is, whatever it was."""
    return Rule(cel, lambda _: False, message)


def check(rules: Iterable[Rule], value: Any) -> None:
    """Raise ValueError with the sentence of the first rule that an older object may not break."""
    for row in rules:
        if not row.borne and row.broken(value):
            raise ValueError(row.message)


class Rules:
    """Annotates one value with its rows: the schema gets their CEL, the parser their check."""

    def __init__(self, *rows: Rule) -> None:
        self.rows = rows

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler(schema)
        added = [row.extension for row in self.rows]
        return {**found, VALIDATIONS: [*found.get(VALIDATIONS, []), *added]}

    def _checked(self, value: Any) -> Any:
        check(self.rows, value)
        return value


def matches(pattern: str, value: str) -> bool:
    """Tell what CEL's `matches` does: ASCII classes, and `$` is the very end."""
    return _compiled(pattern).search(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("$", r"\Z"), re.ASCII)


def given(block: BaseModel | None, names: Iterable[str]) -> bool:
    """Tell whether one of the fields is written, by the names of the custom resource."""
    if block is None:
        return False
    fields = _fields(type(block))
    return any(getattr(block, fields[name]) is not None for name in names)


@cache
def _fields(model: type[BaseModel]) -> dict[str, str]:
    return {field.alias or name: name for name, field in model.model_fields.items()}
