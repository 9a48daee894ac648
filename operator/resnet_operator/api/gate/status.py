"""What the status says of the gate: its numbers, what they mean, which settings were found."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import ApiModel


class LatencyStatus(ApiModel):
    requests: int | None = Field(default=None, description="Number of requests that were sent.")
    failed_requests: int | None = Field(
        default=None, description="Those refused, or not answered within a minute."
    )
    requests_per_second: int | None = Field(default=None, description="Answers per second.")
    p50_milliseconds: str | None = Field(
        default=None, description="Time from a request to its answer that half of them keep to."
    )
    p90_milliseconds: str | None = Field(default=None, description="That 90 % keep to.")
    p99_milliseconds: str | None = Field(default=None, description="That 99 % keep to.")


class DiagnosisStatus(ApiModel):
    cause: str | None = Field(default=None, description="Labels, Preprocessing, Layers or Unknown.")
    message: str | None = Field(default=None, description="What was found.")
    patch: str | None = Field(
        default=None, description="Merge patch of the object that would correct it, as JSON."
    )


class ValidationStatus(ApiModel):
    result: str | None = Field(default=None, description="Passed or Failed.")
    record: str | None = Field(default=None, description="ConfigMap that holds the numbers.")
    samples: int | None = Field(default=None, description="Number of pictures.")
    top1: str | None = Field(
        default=None, description="Share of pictures whose first class is the label."
    )
    top1_reference: str | None = Field(
        default=None, description="The same of the source model in ONNX Runtime."
    )
    cosine_similarity: str | None = Field(
        default=None, description="Mean cosine between the outputs and those of the source model."
    )
    top1_agreement: str | None = Field(
        default=None, description="Share of pictures that get the same class from both."
    )
    images_per_second: int | None = Field(
        default=None, description="Speed of one replica, measured by a client of Triton in its pod."
    )
    latency: LatencyStatus | None = Field(
        default=None, description="What clients wait at `spec.validation.benchmark.load`."
    )
    memory_bytes: int | None = Field(
        default=None,
        description="What one loaded instance with its buffers took of the chip, measured.",
    )
    diagnosis: DiagnosisStatus | None = Field(
        default=None, description="What costs accuracy, as far as it was looked for."
    )
    throughput: dict[str, int] | None = Field(
        default=None, description="Images per second of the chip alone, by batch size."
    )


class TunedSettings(ApiModel):
    max_batch_size: int | None = Field(default=None, description="As in spec.serving.batching.")
    preferred_batch_sizes: (
        Annotated[list[int], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] | None
    ) = Field(default=None, description="As in spec.serving.batching.")
    max_queue_delay_microseconds: int | None = Field(
        default=None, description="As in spec.serving.batching."
    )
    instances_per_chip: int | None = Field(default=None, description="As in spec.serving.")


class TunedSpeed(ApiModel):
    concurrency: int | None = Field(
        default=None, description="Requests in flight; of an open load the most at one time."
    )
    images_per_second: int | None = Field(default=None, description="Images answered per second.")
    p50_milliseconds: str | None = Field(
        default=None, description="Time from a request to its answer that half of them keep to."
    )
    p90_milliseconds: str | None = Field(default=None, description="That 90 % keep to.")
    p99_milliseconds: str | None = Field(default=None, description="That 99 % keep to.")
    spread: str | None = Field(
        default=None,
        description="How far repeated measurements lie apart, as a share of their mean.",
    )


class TuningStatus(ApiModel):
    result: str | None = Field(
        default=None,
        description="Better, AsDeclared, GoalNotMet or NotMeasured.",
    )
    applied: bool | None = Field(
        default=None, description="True while pods are given these settings by apply: Auto."
    )
    settings: TunedSettings | None = Field(default=None, description="The settings found.")
    measured: TunedSpeed | None = Field(default=None, description="How fast they are.")
    declared: TunedSpeed | None = Field(
        default=None, description="How fast the settings are that the object declares."
    )
    at_intervals: TunedSpeed | None = Field(
        default=None,
        description="What clients wait that send nine tenths of that at even intervals.",
    )
    trials: int | None = Field(default=None, description="Number of settings that were tried.")
    seconds: int | None = Field(default=None, description="Time that the trials took.")
    ended_by: str | None = Field(
        default=None, description="Search when it was through, Budget when its time was over."
    )
    message: str | None = Field(default=None, description="What was found, or why nothing was.")
    patch: str | None = Field(
        default=None, description="Merge patch of the object that would set it, as JSON."
    )
