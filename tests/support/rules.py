"""Every row of rules that the models of `api` hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from resnet_operator.api.batch.spec import ResNetBatchSpec
from resnet_operator.api.kubernetes.passed_on import PassedOn
from resnet_operator.api.kubernetes.reserved import NAME_RULE, NAME_RULES
from resnet_operator.api.rules import Rule, Rules
from resnet_operator.api.spec import ResNetServiceSpec


def rows() -> tuple[Rule, ...]:
    """Return the rows of a ResNetService, each once."""
    return tuple(dict.fromkeys((*NAME_RULES, *_of_model(ResNetServiceSpec))))


def batch_rows() -> tuple[Rule, ...]:
    """Return the rows of a ResNetBatch, each once."""
    return tuple(dict.fromkeys((NAME_RULE, *_of_model(ResNetBatchSpec))))


def _of_model(model: type[Any]) -> Iterator[Rule]:
    yield from model.RULES
    for field in model.model_fields.values():
        for part in (field.annotation, *field.metadata):
            yield from _of(part)


def _of(part: Any) -> Iterator[Rule]:
    """Look into an annotation and its metadata, however deep."""
    if isinstance(part, Rules):
        yield from part.rows
    elif isinstance(part, PassedOn):
        yield from _of_model(part.model)
    elif isinstance(part, type) and issubclass(part, BaseModel):
        yield from _of_model(part)
    for inner in (*get_args(part), *getattr(part, "__metadata__", ())):
        yield from _of(inner)
