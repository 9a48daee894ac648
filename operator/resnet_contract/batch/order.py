"""The block of the order that only `batch` reads: which pictures, and where the answers go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from resnet_contract.address import parse_source
from resnet_contract.fields import Fields, invalid, sha256
from resnet_contract.store import StoreSpec, parse_store

if TYPE_CHECKING:
    from resnet_contract.address import SourceSpec

DEFAULT_PART = 1000
MOST_IN_PART = 10_000
DEFAULT_TOP = 1
MOST_TOP = 10
MOST_SHARDS = 16
INPUT = "spec.input"
OUTPUT = "spec.output"
# Of an Indexed Job: which of its pods this one is.
SHARD_VARIABLE = "JOB_COMPLETION_INDEX"


class InputFormat(StrEnum):
    IMAGES = "Images"
    NPY = "Npy"


class OutputFormat(StrEnum):
    CSV = "CSV"


@dataclass(frozen=True)
class BatchOrder:
    """`part` pictures become one file of the output; `shards` pods share the parts."""

    source: SourceSpec
    sha256: str | None
    format: str
    output: StoreSpec
    top: int = DEFAULT_TOP
    part: int = DEFAULT_PART
    shards: int = 1


def parse_batch(fields: Fields | None) -> BatchOrder | None:
    if fields is None:
        return None
    read, written = fields.child("input"), fields.child("output")
    if read is None or written is None:
        raise invalid(f"{INPUT} and {OUTPUT} are missing: write which pictures, and where to")
    read, written = Fields(read.values, INPUT), Fields(written.values, OUTPUT)
    place = parse_store(written.values.get("place"))
    if place is None:
        raise invalid(f"{OUTPUT}.uri is missing; write for example pvc://results/run-1")
    return BatchOrder(
        source=parse_source(read.values.get("uri"), field=read.name("uri")),
        sha256=sha256(read),
        format=read.choice("format", tuple(InputFormat)) or InputFormat.IMAGES,
        output=place,
        top=written.whole("topK", maximum=MOST_TOP) or DEFAULT_TOP,
        part=written.whole("picturesPerPart", maximum=MOST_IN_PART) or DEFAULT_PART,
        shards=fields.whole("parallelism", maximum=MOST_SHARDS) or 1,
    )
