"""The Job's order, parsed once from RESNET_JOB into frozen data.

The CRD's schema refuses most of this earlier. It is checked again here because the record of an
older operator, or a Job made by hand, passes no schema; and a bad order must end as a sentence.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from resnet_jobs.errors import JobError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_BATCH_SIZES = (1, 2, 4, 8)
DEFAULT_TIMEOUT_SECONDS = 3600
SUPPORTED_SCHEMES = ("pvc", "configmap", "http", "https")


@dataclass(frozen=True)
class SourceSpec:
    """Where the model comes from. `path` is relative for pvc and configmap."""

    scheme: str
    uri: str
    host: str
    path: str

    @property
    def label(self) -> str:
        """The address for people: short, and without its query, which may hold a signature."""
        return shortened(self.uri.split("?", 1)[0].split("#", 1)[0])


@dataclass(frozen=True)
class StoreSpec:
    """`location` is a URL for Server and a folder for SharedClaim."""

    type: str
    location: str


@dataclass(frozen=True)
class JobSpec:
    """One order: which model, for which chip, how, and where the result goes."""

    source: SourceSpec
    sha256: str | None
    chip: str
    batch_sizes: tuple[int, ...]
    input_shapes: Mapping[str, tuple[int, ...]]
    precision_mode: str | None
    op_select_impl_mode: str | None
    timeout_seconds: int
    store: StoreSpec

    @property
    def is_cpu(self) -> bool:
        return self.chip == "CPU"


def shortened(address: str) -> str:
    """A URI may have 2048 characters; the sentence around it must stay readable."""
    return address if len(address) <= 100 else f"{address[:48]}…{address[-48:]}"


def parse_job(text: str | None) -> JobSpec:
    """The order in the environment variable; `InvalidSpec` names the field at fault."""
    if not text:
        raise _invalid("the environment variable RESNET_JOB is not set: the operator sets it")
    try:
        job = json.loads(text)
    except ValueError as error:
        raise _invalid(f"RESNET_JOB is not JSON: {error}") from error
    if not isinstance(job, dict):
        raise _invalid("RESNET_JOB must be a JSON object")
    if job.get("format", "ONNX") != "ONNX":
        raise _invalid(f'spec.model.format "{job["format"]}" is not supported; write ONNX')
    return JobSpec(
        source=parse_source(job.get("uri")),
        sha256=_sha256(job.get("sha256")),
        chip=_chip(job.get("chip")),
        batch_sizes=_batch_sizes(job.get("batchSizes")),
        input_shapes=_input_shapes(job.get("inputShapes")),
        precision_mode=_optional_text(job, "precisionMode"),
        op_select_impl_mode=_optional_text(job, "opSelectImplMode"),
        timeout_seconds=_seconds(job.get("timeoutSeconds")),
        store=_store(job.get("store")),
    )


def parse_source(uri: object) -> SourceSpec:
    """Only pvc, configmap, http and https; no user name or password; no way out of a volume."""
    if not isinstance(uri, str) or not uri:
        raise _invalid("spec.model.uri is missing; write for example pvc://models/resnet50.onnx")
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in SUPPORTED_SCHEMES:
        raise _invalid(
            f'spec.model.uri "{shortened(uri)}" has no supported scheme; '
            "write pvc://<claim>/<path>, configmap://<name>/<key> or http(s)://<host>/<path>"
        )
    if scheme in ("http", "https"):
        return _web_source(uri, scheme)
    host, _, path = rest.partition("/")
    if "@" in host:
        raise _invalid(f"spec.model.uri must not hold a user name or password: {scheme}://…")
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if not host or not segments:
        raise _invalid(f'spec.model.uri "{shortened(uri)}" must name a {_VOLUME[scheme]}')
    if ".." in segments or "\0" in path:
        raise _invalid(
            f'spec.model.uri "{shortened(uri)}" must not contain "..": write the path from the top'
        )
    return SourceSpec(scheme=scheme, uri=uri, host=host, path="/".join(segments))


_VOLUME = {
    "pvc": "claim and a file: pvc://<claim>/<path>",
    "configmap": "ConfigMap and a key: configmap://<name>/<key>",
}


def _web_source(uri: str, scheme: str) -> SourceSpec:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid(f"spec.model.uri is not a valid address: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise _invalid(f"spec.model.uri must not hold a user name or password: {scheme}://{host}/…")
    if not host:
        raise _invalid(
            f'spec.model.uri "{shortened(uri)}" names no host; write {scheme}://<host>/<path>'
        )
    return SourceSpec(scheme=scheme, uri=uri, host=host, path=parts.path)


def _sha256(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise _invalid("spec.model.sha256 must be 64 hexadecimal digits; `sha256sum` prints them")
    return value.lower()


def _chip(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"CPU|Ascend[0-9A-Za-z_-]+", value):
        raise _invalid(f'spec.accelerator.chip "{value}" is not known; write Ascend310P3 or CPU')
    return value


def _batch_sizes(value: object) -> tuple[int, ...]:
    if value is None:
        return DEFAULT_BATCH_SIZES
    whole = isinstance(value, list) and all(_is_positive(number) for number in value)
    if not isinstance(value, list) or not whole or not 1 <= len(value) <= 100:
        raise _invalid("spec.conversion.batchSizes must be 1 to 100 positive whole numbers")
    if sorted(set(value)) != value:
        raise _invalid(
            f"spec.conversion.batchSizes must ascend without repetition; write {sorted(set(value))}"
        )
    return tuple(value)


def _input_shapes(value: object) -> Mapping[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    if value is not None and not isinstance(value, dict):
        raise _invalid("spec.conversion.inputShapes must map an input's name to its dimensions")
    for name, dims in (value or {}).items():
        if not isinstance(dims, list) or not all(_is_positive(number) for number in dims):
            raise _invalid(
                f'spec.conversion.inputShapes "{name}" must be positive whole numbers without '
                "the batch; write for example [3, 224, 224]"
            )
        shapes[name] = tuple(dims)
    return MappingProxyType(shapes)


def _optional_text(job: Mapping[str, Any], key: str) -> str | None:
    value = job.get(key)
    if value is not None and not isinstance(value, str):
        raise _invalid(f"spec.conversion.{key} must be a text")
    return value or None


def _seconds(value: object) -> int:
    if value is None:
        return DEFAULT_TIMEOUT_SECONDS
    if not isinstance(value, int) or not _is_positive(value):
        raise _invalid("spec.conversion.timeoutSeconds must be a positive whole number")
    return value


def _store(value: object) -> StoreSpec:
    if isinstance(value, dict):
        if value.get("type") == "Server" and str(value.get("url", "")).startswith("http"):
            return StoreSpec(type="Server", location=str(value["url"]).rstrip("/"))
        if value.get("type") == "SharedClaim" and value.get("path"):
            return StoreSpec(type="SharedClaim", location=str(value["path"]))
    raise _invalid("the operator's store setting must be a Server with a url or a SharedClaim")


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _invalid(message: str) -> JobError:
    return JobError(Reason.INVALID_SPEC, message)
