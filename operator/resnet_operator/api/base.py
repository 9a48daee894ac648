"""What all parts of the schema share: camelCase names, frozen values, bounded strings."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A part of the custom resource; unknown fields are dropped as the API server does."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


def rule(expression: str, message: str, **extra: str) -> dict[str, str]:
    """Return one CEL rule; the message says what to write."""
    return {"rule": expression, "message": message, **extra}


def cel(*rules: dict[str, str]) -> dict[str, Any]:
    """Return the schema extension that carries CEL rules."""
    return {"x-kubernetes-validations": list(rules)}


def text(pattern: str, message: str, *, max_length: int, min_length: int = 1) -> Any:
    """Return the field of a bounded string with a pattern.

    The pattern is there for editors and for pydantic, the CEL rule for its message: the API server
    reports a pattern by printing it.
    """
    return Field(
        min_length=min_length,
        max_length=max_length,
        pattern=pattern,
        json_schema_extra=cel(rule(f"self.matches(r'{pattern}')", message)),
    )


DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

ObjectName = Annotated[
    str,
    text(
        DNS_SUBDOMAIN,
        "write the object's name: lower-case letters, digits, '-' and '.'",
        max_length=253,
    ),
]
# The key and login of the namespace's store: its reader could sign artifacts for every object.
STORES = "resnet-store"
NOT_OF_THE_STORE = "choose another Secret; resnet-store is the key and login of the artifact store"


def no_store_secret(expression: str) -> dict[str, str]:
    """Return the rule of a field that names a Secret; `{}` stands for "is not the store's"."""
    return rule(expression.format(f"!= '{STORES}'"), NOT_OF_THE_STORE)


ConfigKey = Annotated[
    str,
    text(
        r"^[-._a-zA-Z0-9]+$",
        "write the key in the ConfigMap: letters, digits, '-', '_' and '.'",
        max_length=253,
    ),
]
Image = Annotated[
    str,
    text(
        r"^([^\s:]|:[^\s/])+$",
        "write an image reference without scheme and spaces, for example quay.io/ascend/cann:9.0.0",
        max_length=512,
    ),
]
Share = Annotated[
    str,
    text(
        r"^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$",
        "write a decimal from 0 to 1 in quotes, for example '0.7855'",
        max_length=11,
    ),
]
# Longer than a digest, so that "sha256:<digest>" is answered by the message and not by a length.
Sha256 = Annotated[
    str,
    text(
        r"^[0-9a-f]{64}$",
        "write only the 64 hexadecimal digits, in lower case, as sha256sum prints them",
        max_length=80,
    ),
]
