"""Spec and status of an object of ours, read within bounds. Called by `service` and `batch`."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.api.status import ResNetServiceStatus
from resnet_operator.errors import InvalidSpec
from resnet_operator.reading.weight import LEAVES, SPEC_BYTES, STATUS_BYTES, heaviest, is_heavier

Body = Mapping[str, Any]
# Of a SHA-256, which no other object says.
DIGEST_CHARS = 64
Model = TypeVar("Model", bound=BaseModel)


def spec_of(body: Body) -> ResNetServiceSpec:
    """Return the spec of a ResNetService; raises InvalidSpec."""
    return spec_as(ResNetServiceSpec, body)


def spec_as(model: type[Model], body: Body) -> Model:
    """Return the spec; raises InvalidSpec. It is weighed before anything else is done with it."""
    spec = body.get("spec") or {}
    if is_heavier(spec, SPEC_BYTES):
        raise InvalidSpec(
            f"the spec is larger than {SPEC_BYTES // 1024} KiB or nested too deeply; "
            f"shorten {heaviest(spec, SPEC_BYTES)}"
        )
    try:
        return model.model_validate(plain(spec))
    except ValidationError as error:
        raise InvalidSpec(sentence_of(error)) from None


def status_seen(body: Body, model: type[BaseModel] = ResNetServiceStatus) -> dict[str, Any]:
    """Return the status that the operator wrote; what it cannot have written counts as none."""
    status = body.get("status") or {}
    if not isinstance(status, Mapping) or is_heavier(status, STATUS_BYTES):
        return {}
    found: dict[str, Any] = status if type(status) is dict else plain(status)
    try:
        model.model_validate(found, strict=True)
    except ValidationError:
        return {}
    shared: dict[str, Any] = _shared(found)
    return shared


def _shared(value: Any) -> Any:
    """Return a status made of texts that are held once: most objects say the same ones."""
    kind = type(value)
    if kind is str:
        return intern(value) if len(value) != DIGEST_CHARS else value
    if kind is dict:
        return {key: _shared(item) for key, item in value.items()}
    if kind is list:
        return [_shared(item) for item in value]
    return value


def plain(value: Any) -> Any:
    """Copy read-only views into plain dicts and lists."""
    kind = type(value)
    if kind in LEAVES:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def sentence_of(error: ValidationError) -> str:
    """Return the first complaint with its field."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = "".join(f".{part}" for part in first["loc"])
    return f"spec{where}: {first['msg'].removeprefix('Value error, ')}"
