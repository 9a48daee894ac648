"""What a conversion made, as a record keeps it. Pure; read by `render` and `plan`."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter

from resnet_contract.report.messages import Converted, Fetched, Prepared, Published, Quantized, read
from resnet_contract.words import DATA_TYPES, FILE_NAMES
from resnet_operator import names
from resnet_operator.errors import Misfit
from resnet_operator.reading.json_text import RECORD_CHARS, decode, read_object
from resnet_operator.record.publisher import Publisher, publisher_of

ARTIFACT_KEY = "artifact.json"
FAILURE_KEY = "failure.json"

# Of a digest in a status.
DIGITS = 32
# What 0.1.0 did not write: left out of a record that has nothing of it.
LATER_FIELDS = ("source_file", "source_revision", "publisher", "memory_bytes")

# Kinds of Hugging Face's repositories that an address names before the owner.
OTHER_REPOSITORIES = ("datasets", "spaces")

# What a message or a record may hold: it comes from images of others too.
Short = Annotated[str, Field(max_length=512)]
Long = Annotated[str, Field(max_length=65_536)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(ge=0, le=2**53)]
Small = Annotated[int, Field(ge=0, le=2**31 - 1)]
Dims = Annotated[tuple[Annotated[int, Field(ge=-1, le=2**31 - 1)], ...], Field(max_length=16)]
Words = Annotated[tuple[Long, ...], Field(max_length=1024)]
Time = Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z)?$")]
# Triton's names: they stand in config.pbtxt without quotes.
DATA_TYPE = f"^({'|'.join(DATA_TYPES)})$"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output: Triton type without TYPE_, shape without the batch dimension.

    `layout` is NCHW or NHWC where the tensor is a picture and that is known.
    """

    name: Annotated[str, Field(min_length=1, max_length=4096)]
    data_type: Annotated[str, Field(pattern=DATA_TYPE, validation_alias="dataType")]
    dims: Dims
    layout: Annotated[str, Field(pattern="^(NCHW|NHWC)$")] | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TensorInfo:
        return decode(TENSOR, value)

    def to_json(self) -> dict[str, Any]:
        value = {"name": self.name, "dataType": self.data_type, "dims": list(self.dims)}
        return value | ({"layout": self.layout} if self.layout else {})


Tensors = Annotated[tuple[TensorInfo, ...], Field(max_length=64)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """Identity, origin and contract of an artifact; sizes in bytes, duration in seconds."""

    content_key: Short
    sha256: Sha256
    size_bytes: Bytes
    file: Annotated[str, Field(pattern=f"^({'|'.join(map(re.escape, FILE_NAMES))})$")]
    chip: Short
    compiler: Short
    origin: Short
    duration_seconds: Annotated[float, Field(ge=0, le=1e9)]
    command: Words
    model_sha256: Sha256
    model_size_bytes: Bytes
    opset: Small
    inputs: Tensors
    outputs: Tensors
    arch: Short | None = None
    notes: Words = ()
    quantizer: Short | None = None
    quantize_command: Words = ()
    # What the artifact can run, where it is an OM that somebody else converted.
    batch_sizes: Annotated[tuple[Small, ...], Field(max_length=256)] = ()
    # Which file of a hub's repository at which commit, and what its publisher says of it.
    source_file: Short | None = None
    source_revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    publisher: Annotated[Publisher | None, PlainValidator(publisher_of)] = None
    # Of a chip, for each instance that is loaded; as the compiler says it of an OM.
    memory_bytes: Bytes | None = None

    @classmethod
    def from_messages(cls, messages: Mapping[str, Mapping[str, Any]], *, chip: str) -> Artifact:
        """Put together what the Job's containers said; raises Misfit."""
        fetch = read(Fetched, _said(messages, "fetch"))
        prepare = read(Prepared, _said(messages, "prepare"))
        publish = read(Published, _said(messages, "publish"))
        convert = read(Converted, messages.get("convert") or {})
        quantize = read(Quantized, messages.get("quantize") or {})
        # An OM as it came tells its own contract; of a converted model `prepare` knows it.
        contract = convert if convert.inputs else prepare
        found = {
            "content_key": publish.content_key,
            "sha256": publish.sha256,
            "size_bytes": publish.size_bytes,
            "file": publish.file,
            "chip": chip,
            "compiler": convert.compiler or "none",
            "origin": publish.origin,
            "duration_seconds": convert.duration_seconds or 0,
            "command": convert.argv or (),
            "model_sha256": fetch.sha256,
            "model_size_bytes": fetch.size_bytes,
            "opset": prepare.opset or 0,
            "inputs": contract.inputs,
            "outputs": contract.outputs,
            "arch": convert.arch,
            "notes": [note for said in (prepare, convert, publish) for note in _notes(said.notes)],
            "quantizer": quantize.tool,
            "quantize_command": quantize.argv or (),
            "batch_sizes": convert.batch_sizes or (),
            "source_file": fetch.file,
            "source_revision": fetch.revision,
            "publisher": publish.publisher,
            "memory_bytes": convert.memory_bytes,
        }
        return decode(ARTIFACT, found)

    @classmethod
    def from_record(cls, data: Mapping[str, str]) -> Artifact | None:
        """Read a record's data; None while it is not filled. Raises Misfit."""
        if ARTIFACT_KEY not in data:
            return None
        return _artifact(data[ARTIFACT_KEY])

    def to_record(self) -> dict[str, str]:
        value = asdict(self) | {
            "inputs": [item.to_json() for item in self.inputs],
            "outputs": [item.to_json() for item in self.outputs],
            "publisher": self.publisher and self.publisher.to_json(),
        }
        for key in LATER_FIELDS:
            if value[key] is None:
                del value[key]
        return {ARTIFACT_KEY: json.dumps(value, sort_keys=True)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why the last attempt failed; kept in the record, so that it outlives the Job."""

    attempt: Small
    reason: Short
    message: Long
    permanent: bool
    time: Time
    detail: Long = ""
    code: Short | None = None
    # The keys of the means that failed; empty in records of versions that knew none.
    tried: Words = ()

    @classmethod
    def from_record(cls, data: Mapping[str, str]) -> Failure | None:
        if FAILURE_KEY not in data:
            return None
        return decode(FAILURE, read_object(data[FAILURE_KEY], max_chars=RECORD_CHARS))

    def to_record(self) -> dict[str, str]:
        return {FAILURE_KEY: json.dumps(asdict(self), sort_keys=True)}


def record_digest(data: Mapping[str, str]) -> str:
    """Return what a status calls a record's artifact by."""
    return names.digest(data.get(ARTIFACT_KEY, ""), DIGITS)


@functools.lru_cache(maxsize=512)
def _artifact(text: str) -> Artifact:
    """Read a record's text; an object is looked at several times while it is being made."""
    return decode(ARTIFACT, read_object(text, max_chars=RECORD_CHARS))


# Unknown fields are left out: records outlive a step back from a newer version to this one.
TENSOR = TypeAdapter(TensorInfo)
ARTIFACT = TypeAdapter(Artifact)
FAILURE = TypeAdapter(Failure)
# The containers without whose words there is no result.
TELLING = ("fetch", "prepare", "publish")


def _said(messages: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    said = messages.get(name)
    if not said:
        raise Misfit(f"container {name} left no message")
    return said


def _notes(value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise Misfit("notes: it is not a list")
    return value or []


def found_uri(uri: str, artifact: Artifact) -> str:
    """Return the address of the very file of a hub that the artifact was made of."""
    scheme, _, rest = uri.partition("://")
    if artifact.source_file is None or artifact.source_revision is None:
        return uri
    owner = rest.split("/")[0]
    size = 3 if owner in OTHER_REPOSITORIES else 2
    repository = "/".join(rest.split("/")[:size]).partition("@")[0]
    return f"{scheme}://{repository}@{artifact.source_revision}/{artifact.source_file}"
