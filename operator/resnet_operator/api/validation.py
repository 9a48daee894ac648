"""`spec.validation`: the gate that an artifact passes before it gets traffic.

Thresholds are decimal strings: a float of YAML would decide by what its last binary digit happens
to be.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from resnet_contract.words import (
    MOST_CONCURRENCY,
    MOST_LOAD_BATCH,
    MOST_LOOPS,
    MOST_REQUESTS_PER_SECOND,
    DatasetFormat,
    DiagnoseWhen,
)
from resnet_operator.api.base import ApiModel, Sha256, Share, optional
from resnet_operator.api.rules import Rule, Rules, given, matches
from resnet_operator.api.source.uri import FileSetUri


class OnNoFreeChip(StrEnum):
    WAIT = "Wait"
    BORROW_REPLICA = "BorrowReplica"


UPWARDS = r"(^|/)\.\.(/|$)"
Labels = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Rules(
        Rule(
            f"!self.startsWith('/') && !self.matches(r'{UPWARDS}')",
            lambda path: path.startswith("/") or matches(UPWARDS, path),
            "write the path from the top of the data set, without '..'",
        )
    ),
]


class Dataset(ApiModel):
    """Labelled pictures that the model has not learned from."""

    uri: FileSetUri
    sha256: Sha256 | None = optional(
        "SHA-256 of the file in hexadecimal; checked after the download."
    )
    format: DatasetFormat = Field(
        description=(
            "ImageFolder has a folder for each class, ImageList a file of names and classes, Npy "
            "and RawBin hold what the model takes, CifarPython is the data set's own archive."
        )
    )
    labels: Labels | None = optional(
        "File with the labels inside the data set, where the format needs one."
    )


class Thresholds(ApiModel):
    """Thresholds on accuracy; all that are given must be met."""

    min_top1: Share | None = optional("Lowest share of pictures whose first class is the label.")
    max_top1_drop: Share | None = optional(
        "How far top-1 may be below that of the source model in ONNX Runtime."
    )
    min_cosine_similarity: Share | None = optional(
        "Lowest mean cosine between the outputs and those of the source model."
    )
    min_top1_agreement: Share | None = optional(
        "Lowest share of pictures that get the same class from the source model."
    )

    RULES = (
        Rule(
            "has(self.minTop1) || has(self.maxTop1Drop) || has(self.minCosineSimilarity) || "
            "has(self.minTop1Agreement)",
            lambda it: it.min_top1 is None and not it.needing_reference,
            "write one of minTop1, maxTop1Drop, minCosineSimilarity and minTop1Agreement",
        ),
    )

    @property
    def needing_reference(self) -> tuple[str, ...]:
        """Return the names of the given thresholds that compare with the source model."""
        given = {
            "maxTop1Drop": self.max_top1_drop,
            "minCosineSimilarity": self.min_cosine_similarity,
            "minTop1Agreement": self.min_top1_agreement,
        }
        return tuple(name for name, threshold in given.items() if threshold is not None)


class Load(ApiModel):
    """What clients ask of one replica while latency is measured."""

    concurrency: int | None = optional(
        "Requests in flight: each is followed by the next one when it is answered.",
        ge=1,
        le=MOST_CONCURRENCY,
    )
    requests_per_second: int | None = optional(
        "Requests sent at even intervals, whether or not earlier ones are answered.",
        ge=1,
        le=MOST_REQUESTS_PER_SECOND,
    )
    batch_size: int | None = optional(
        "Pictures in each request; default 1.", ge=1, le=MOST_LOAD_BATCH
    )

    RULES = (
        Rule(
            "has(self.concurrency) != has(self.requestsPerSecond)",
            lambda it: (it.concurrency is None) == (it.requests_per_second is None),
            "write one of concurrency and requestsPerSecond",
        ),
    )


class Benchmark(ApiModel):
    min_images_per_second: int | None = optional(
        "Lowest speed of one replica, measured by a client of Triton in its pod.",
        ge=1,
        le=10_000_000,
    )
    max_p99_milliseconds: int | None = optional(
        "Highest 99th percentile of the time from a request to its answer at `load`.",
        ge=1,
        le=60_000,
    )
    load: Load | None = optional("The load at which latency is measured; not measured when absent.")
    loops: int | None = optional(
        "Runs of each batch size to measure the chip's own speed by; default 100.",
        ge=1,
        le=MOST_LOOPS,
    )

    RULES = (
        Rule(
            "!has(self.maxP99Milliseconds) || has(self.load)",
            lambda it: it.max_p99_milliseconds is not None and it.load is None,
            "write load: a latency is only comparable at a stated load, for example "
            "{concurrency: 4}",
        ),
    )


OF_SPEED = ("minImagesPerSecond", "maxP99Milliseconds")


class Validation(ApiModel):
    """A gate: an artifact that does not pass it gets no traffic."""

    dataset: Dataset = Field(description="Labelled pictures that the model has not learned from.")
    thresholds: Thresholds | None = optional(
        "Thresholds on accuracy; all that are given must be met."
    )
    benchmark: Benchmark | None = optional("How speed is measured, and its threshold.")
    diagnose: DiagnoseWhen | None = optional(
        "When to look for what costs accuracy (labels, preprocessing, layers): OnFailure, "
        "Always or Never; default OnFailure."
    )
    on_no_free_chip: OnNoFreeChip | None = optional(
        "Wait for a chip, or BorrowReplica: one replica of the revision that serves ends while "
        "the candidate is measured, even the only one; default Wait."
    )

    RULES = (
        Rule(
            "has(self.thresholds) || "
            "(has(self.benchmark) && (has(self.benchmark.minImagesPerSecond) || "
            "has(self.benchmark.maxP99Milliseconds)))",
            lambda it: it.thresholds is None and not given(it.benchmark, OF_SPEED),
            "write at least one threshold: a field of thresholds, "
            "benchmark.minImagesPerSecond or benchmark.maxP99Milliseconds",
        ),
    )
