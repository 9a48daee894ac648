"""What the status says of the gate: its numbers, what they mean, which settings were found."""

from __future__ import annotations

from resnet_operator.api.base import ApiModel, optional


class LatencyStatus(ApiModel):
    requests: int | None = optional("Number of requests that were sent.")
    failed_requests: int | None = optional("Those refused, or not answered within a minute.")
    requests_per_second: int | None = optional("Answers per second.")
    p50_milliseconds: str | None = optional(
        "Time from a request to its answer that half of them keep to."
    )
    p90_milliseconds: str | None = optional("That 90 % keep to.")
    p99_milliseconds: str | None = optional("That 99 % keep to.")


class DiagnosisStatus(ApiModel):
    cause: str | None = optional("Labels, Preprocessing, Layers or Unknown.")
    message: str | None = optional("What was found.")
    patch: str | None = optional("Merge patch of the object that would correct it, as JSON.")


class ValidationStatus(ApiModel):
    result: str | None = optional("Passed or Failed.")
    record: str | None = optional("ConfigMap that holds the numbers.")
    samples: int | None = optional("Number of pictures.")
    top1: str | None = optional("Share of pictures whose first class is the label.")
    top1_reference: str | None = optional("The same of the source model in ONNX Runtime.")
    cosine_similarity: str | None = optional(
        "Mean cosine between the outputs and those of the source model."
    )
    top1_agreement: str | None = optional("Share of pictures that get the same class from both.")
    images_per_second: int | None = optional(
        "Speed of one replica, measured by a client of Triton in its pod."
    )
    latency: LatencyStatus | None = optional(
        "What clients wait at `spec.validation.benchmark.load`."
    )
    memory_bytes: int | None = optional(
        "What one loaded instance with its buffers took of the chip, measured."
    )
    diagnosis: DiagnosisStatus | None = optional(
        "What costs accuracy, as far as it was looked for."
    )
    throughput: dict[str, int] | None = optional(
        "Images per second of the chip alone, by batch size."
    )


class TunedSettings(ApiModel):
    max_batch_size: int | None = optional("As in spec.serving.batching.")
    preferred_batch_sizes: list[int] | None = optional("As in spec.serving.batching.")
    max_queue_delay_microseconds: int | None = optional("As in spec.serving.batching.")
    instances_per_chip: int | None = optional("As in spec.serving.")


class TunedSpeed(ApiModel):
    concurrency: int | None = optional("Requests in flight; of an open load the most at one time.")
    images_per_second: int | None = optional("Images answered per second.")
    p50_milliseconds: str | None = optional(
        "Time from a request to its answer that half of them keep to."
    )
    p90_milliseconds: str | None = optional("That 90 % keep to.")
    p99_milliseconds: str | None = optional("That 99 % keep to.")
    spread: str | None = optional(
        "How far repeated measurements lie apart, as a share of their mean."
    )


class TuningStatus(ApiModel):
    result: str | None = optional("Better, AsDeclared, GoalNotMet or NotMeasured.")
    applied: bool | None = optional("True while pods are given these settings by apply: Auto.")
    settings: TunedSettings | None = optional("The settings found.")
    measured: TunedSpeed | None = optional("How fast they are.")
    declared: TunedSpeed | None = optional("How fast the settings are that the object declares.")
    at_intervals: TunedSpeed | None = optional(
        "What clients wait that send nine tenths of that at even intervals."
    )
    trials: int | None = optional("Number of settings that were tried.")
    seconds: int | None = optional("Time that the trials took.")
    ended_by: str | None = optional("Search when it was through, Budget when its time was over.")
    message: str | None = optional("What was found, or why nothing was.")
    patch: str | None = optional("Merge patch of the object that would set it, as JSON.")
