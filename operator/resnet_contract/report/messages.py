"""What a container leaves behind in its termination message: the name of each part, once.

Who writes one builds it and calls `to_json`; who reads one calls `read`, which checks no value:
foreign images write messages too, and the reader's own models say what a value may be. The driver
and the serving containers run on Pythons without this package and write the same names by hand.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar(
    "T", "Fetched", "Prepared", "Quantized", "Converted", "Published", "BatchDone", "Failed"
)
# Of `Evaluated`: from 0 to 1, and None where they were not measured.
SHARES = ("top1", "top1_reference", "cosine_similarity", "top1_agreement")


def key_of(field: str) -> str:
    """The name of a dataclass's field as JSON has it."""
    first, *more = field.split("_")
    return first + "".join(part.capitalize() for part in more)


@dataclass(frozen=True, kw_only=True)
class Message:
    """The end of a container that did what it was asked; None is left out."""

    def to_json(self) -> dict[str, Any]:
        said = {key_of(field.name): getattr(self, field.name) for field in fields(self)}
        return {"ok": True, **{key: value for key, value in said.items() if value is not None}}


def read(kind: type[T], said: Mapping[str, Any]) -> T:
    """The parts of a message under their names, their values as they came."""
    found: dict[str, Any] = {field.name: said.get(key_of(field.name)) for field in fields(kind)}
    return kind(**found)


@dataclass(frozen=True, kw_only=True)
class Fetched(Message):
    """`file` and `revision` are of a hub's repository."""

    sha256: str | None = None
    size_bytes: int | None = None
    file: str | None = None
    revision: str | None = None
    calibration_sha256: str | None = None
    dataset_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared(Message):
    """What the model takes and gives; of an OM only `convert` can tell."""

    opset: int | None = None
    inputs: Sequence[Mapping[str, Any]] | None = None
    outputs: Sequence[Mapping[str, Any]] | None = None
    batch_sizes: Sequence[int] | None = None
    notes: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Quantized(Message):
    """Written by driver/quantize.py."""

    tool: str | None = None
    argv: Sequence[str] | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Converted(Message):
    """Written by driver/convert.py and, of an OM that comes as it is, by driver/om.py."""

    compiler: str | None = None
    content_key: str | None = None
    hit: bool | None = None
    duration_seconds: float | None = None
    arch: str | None = None
    argv: Sequence[str] | None = None
    inputs: Sequence[Mapping[str, Any]] | None = None
    outputs: Sequence[Mapping[str, Any]] | None = None
    batch_sizes: Sequence[int] | None = None
    notes: Sequence[str] | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Published(Message):
    """What the store holds now; `origin` says whether this Job made it."""

    content_key: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    file: str | None = None
    origin: str | None = None
    publisher: Mapping[str, Any] | None = None
    notes: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Milliseconds from a request's time to its answer, at the load that the gate states."""

    requests: int | None = None
    failed_requests: int | None = None
    requests_per_second: float | None = None
    p50_milliseconds: float | None = None
    p90_milliseconds: float | None = None
    p99_milliseconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluated(Message):
    """The essentials of what the gate has measured; result.json in the store has all of it."""

    samples: int | None = None
    top1: float | None = None
    top1_reference: float | None = None
    cosine_similarity: float | None = None
    top1_agreement: float | None = None
    images_per_second: float | None = None
    latency: Mapping[str, Any] | None = None
    diagnosis: Mapping[str, str] | None = None
    tuning: Mapping[str, Any] | None = None
    memory_bytes: int | None = None
    result_key: str | None = None
    throughput: Mapping[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class BatchDone(Message):
    """What a pod has classified of its share; `failed` pictures have a row that says why."""

    pictures: int | None = None
    total: int | None = None
    failed: int | None = None
    parts: int | None = None
    pictures_per_second: float | None = None
    manifest_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Why a container failed: `reason` is a word of `reasons`, `message` says what to do."""

    reason: str
    message: str
    detail: str = ""
    code: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"ok": False, **asdict(self)}
