"""What all parts of the schema share: camelCase names, frozen values, bounded strings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from resnet_operator.api.rules import VALIDATIONS, Rule, Rules, check, matches


def _with_rules(schema: dict[str, Any], model: type[Any]) -> None:
    if model.RULES:
        schema[VALIDATIONS] = [row.extension for row in model.RULES]


class ApiModel(BaseModel):
    """A part of the custom resource; unknown fields are dropped as the API server does."""

    # What fields may not say together.
    RULES: ClassVar[tuple[Rule, ...]] = ()

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        json_schema_extra=_with_rules,
    )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler, /
    ) -> CoreSchema:
        """Check a part against its rules; one without any is read without a call of ours."""
        schema = handler(source)
        if not cls.RULES:
            return schema
        return core_schema.no_info_after_validator_function(_checked, schema)


def _checked(value: Any) -> Any:
    check(value.RULES, value)
    return value


def rule(expression: str, message: str, **extra: str) -> dict[str, str]:
    """Return one CEL rule; the message says what to write."""
    return {"rule": expression, "message": message, **extra}


def optional(description: str, **more: Any) -> Any:
    """Return what a field is that an object may leave out; `more` are further words of Field."""
    return Field(default=None, description=description, **more)


def text(
    pattern: str, message: str, *, max_length: int, min_length: int = 1
) -> tuple[FieldInfo, Rules]:
    """Return the annotations of a bounded string with a pattern.

    The pattern is in the schema for editors; the API server reports it by printing it, and so the
    rule comes with a message.
    """
    row = Rule(f"self.matches(r'{pattern}')", lambda it: not matches(pattern, it), message)
    bounds: FieldInfo = Field(
        min_length=min_length, max_length=max_length, json_schema_extra={"pattern": pattern}
    )
    return bounds, Rules(row)


ASCII_TEXT = r"^[\x09\x0a\x0d\x20-\x7e]*$"


def ascii_text(reader: str) -> tuple[FieldInfo, Rules]:
    """Return the annotations of a text that a program reads which knows no other characters."""
    message = f"write plain ASCII; full-width colons, for example, are refused by {reader}"
    row = Rule(f"self.matches(r'{ASCII_TEXT}')", lambda it: not matches(ASCII_TEXT, it), message)
    bounds: FieldInfo = Field(min_length=1, max_length=8192)
    return bounds, Rules(row)


DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

ObjectName = Annotated[
    str,
    *text(
        DNS_SUBDOMAIN,
        "write the object's name: lower-case letters, digits, '-' and '.'",
        max_length=253,
    ),
]
# The key and login of the namespace's store: its reader could sign artifacts for every object.
STORES = "resnet-store"
NOT_OF_THE_STORE = "choose another Secret; resnet-store is the key and login of the artifact store"


def no_store_secret(expression: str, named: Callable[[Any], str | None]) -> Rule:
    """Return the rule of a field that names a Secret; `{}` stands for "is not the store's"."""
    return Rule(
        expression.format(f"!= '{STORES}'"), lambda it: named(it) == STORES, NOT_OF_THE_STORE
    )


ConfigKey = Annotated[
    str,
    *text(
        r"^[-._a-zA-Z0-9]+$",
        "write the key in the ConfigMap: letters, digits, '-', '_' and '.'",
        max_length=253,
    ),
]
Image = Annotated[
    str,
    *text(
        r"^([^\s:]|:[^\s/])+$",
        "write an image reference without scheme and spaces, for example quay.io/ascend/cann:9.0.0",
        max_length=512,
    ),
]
Share = Annotated[
    str,
    *text(
        r"^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$",
        "write a decimal from 0 to 1 in quotes, for example '0.7855'",
        max_length=11,
    ),
]
# Longer than a digest, so that "sha256:<digest>" is answered by the message and not by a length.
Sha256 = Annotated[
    str,
    *text(
        r"^[0-9a-f]{64}$",
        "write only the 64 hexadecimal digits, in lower case, as sha256sum prints them",
        max_length=80,
    ),
]
