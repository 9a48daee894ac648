"""result.json of a gate as strangers may have written it: what the page shows of it, or a sentence.

It comes from a container's log or from a file: read strictly, and only what the page needs.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from resnet_cli.exits import CliError, Exit
from resnet_operator.errors import Misfit
from resnet_operator.reading.json_text import decode, read_object

MOST_CHARS = 16 * 2**20
# A thousand classes and every load of a tuning.
MOST_VALUES = 500_000
MOST = 2**53
Number = Annotated[int | float, Field(ge=-MOST, le=MOST)] | None
Count = Annotated[int, Field(ge=0, le=MOST)]
Share = Annotated[float, Field(ge=0, le=1)] | None
Scalar = str | int | float | bool | None


class Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class Labelled(Part):
    number: int = Field(alias="class")
    samples: Count
    top1: Share
    top1_reference: Share = None


class Confused(Part):
    label: int
    found: int
    count: Count


class Worst(Part):
    name: str | None = None
    index: int | None = None
    label: int | None = None
    found: int | None = None
    reference: int | None = None
    cosine_similarity: Number = None


class Ranked(Part):
    ranking: list[dict[str, Scalar]] | None = None
    trials: list[dict[str, Scalar]] | None = None


class Speed(Part):
    throughput: Annotated[float, Field(ge=0, le=MOST)]


class Benchmarked(Part):
    profiles: dict[str, Speed] | None = None


class Dataset(Part):
    uri: str | None = None


class Run(Part):
    images_per_second: Number = None
    p50_milliseconds: Number = Field(default=None, alias="p50Milliseconds")
    p90_milliseconds: Number = Field(default=None, alias="p90Milliseconds")
    p99_milliseconds: Number = Field(default=None, alias="p99Milliseconds")
    concurrency: int | None = None


class Setting(Part):
    max_batch_size: int | None = None
    preferred_batch_sizes: list[int] | None = None
    max_queue_delay_microseconds: int | None = None
    instances_per_chip: Count


class Trial(Part):
    settings: Setting
    runs: list[Run]
    best: Run | None = None
    problem: str | None = None


class Tuned(Part):
    surface: list[Trial] | None = None
    declared_trial: Trial | None = None
    chosen_trial: Trial | None = None


class Result(Part):
    samples: Count
    top1: Share = None
    top5: Share = None
    top1_reference: Share = None
    drop: Number = None
    top1_agreement: Share = None
    cosine_similarity: Number = None
    cosine_similarity_min: Number = None
    images_per_second: Number = None
    dataset: Dataset | None = None
    benchmark: Benchmarked | None = None
    classes: list[Labelled] | None = None
    confusions: list[Confused] | None = None
    worst: list[Worst] | None = None
    diagnosis: Ranked | None = None
    tuning: Tuned | None = None


RESULT = TypeAdapter(Result)


def read_result(text: str, where: str) -> dict[str, Any]:
    """Return the result; a CliError says what is wrong with it, and where it is."""
    try:
        found = decode(RESULT, read_object(text, max_chars=MOST_CHARS, max_values=MOST_VALUES))
    except Misfit as error:
        raise CliError(
            f"{where}: this is no result.json of a gate ({error}); take it from the store and give "
            "it by --result",
            Exit.BAD_FILE,
        ) from error
    return found.model_dump(by_alias=True, exclude_unset=True)
