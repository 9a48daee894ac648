"""The block of the order that only `batch` reads: which pictures, and where the answers go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from resnet_contract.address import BUCKET_SCHEMES, parse_source
from resnet_contract.fields import Fields, invalid, sha256

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
# Every part has a tag of its own, which begins with this one.
MOST_TAG_CHARS = 100
FORMS = (
    "pvc://<claim>/<folder>, s3://<bucket>/<folder>, obs://… or oci://<registry>/<repository>:<tag>"
)


class InputFormat(StrEnum):
    IMAGES = "Images"
    NPY = "Npy"


class OutputFormat(StrEnum):
    CSV = "CSV"
    PARQUET = "Parquet"


@dataclass(frozen=True)
class Destination:
    """A mounted claim's `folder`, or the `address` of a bucket's folder or of an artifact."""

    folder: str = ""
    address: SourceSpec | None = None


@dataclass(frozen=True)
class BatchOrder:
    """`part` pictures become one file of the output; `shards` pods share the parts."""

    source: SourceSpec
    sha256: str | None
    format: str
    output: Destination
    written: str = OutputFormat.CSV
    top: int = DEFAULT_TOP
    part: int = DEFAULT_PART
    shards: int = 1


def parse_batch(fields: Fields) -> BatchOrder:
    read, written = fields.child("input"), fields.child("output")
    if read is None or written is None:
        raise invalid(f"{INPUT} and {OUTPUT} are missing: write which pictures, and where to")
    read, written = Fields(read.values, INPUT), Fields(written.values, OUTPUT)
    return BatchOrder(
        source=parse_source(read.values.get("uri"), field=read.name("uri")),
        sha256=sha256(read),
        format=read.choice("format", tuple(InputFormat)) or InputFormat.IMAGES,
        output=_destination(written.values.get("place")),
        written=written.choice("format", tuple(OutputFormat)) or OutputFormat.CSV,
        top=written.whole("topK", maximum=MOST_TOP) or DEFAULT_TOP,
        part=written.whole("picturesPerPart", maximum=MOST_IN_PART) or DEFAULT_PART,
        shards=fields.whole("parallelism", maximum=MOST_SHARDS) or 1,
    )


def _destination(place: object) -> Destination:
    if isinstance(place, dict) and place.get("folder"):
        return Destination(folder=str(place["folder"]))
    if not isinstance(place, dict) or not place.get("uri"):
        raise invalid(f"{OUTPUT}.uri is missing; write for example pvc://results/run-1")
    address = parse_source(place["uri"], field=f"{OUTPUT}.uri")
    if address.scheme not in {*BUCKET_SCHEMES, "oci"}:
        raise invalid(f"{OUTPUT}.uri must be {FORMS}")
    tag = address.revision or ""
    if address.scheme == "oci" and (":" in tag or address.title or len(tag) > MOST_TAG_CHARS):
        raise invalid(
            f"{OUTPUT}.uri must name a tag of at most {MOST_TAG_CHARS} characters, no digest and "
            "no file: oci://<registry>/<repository>:<tag>"
        )
    return Destination(address=address)
