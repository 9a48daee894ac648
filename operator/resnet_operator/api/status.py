"""`status` of a ResNetService: the operator's user interface.

No enum and no required field, and the CRD keeps unknown fields: an older CRD never blinds a newer
operator.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from resnet_operator.api.base import ApiModel, optional
from resnet_operator.api.gate.status import TuningStatus, ValidationStatus


class Tensor(ApiModel):
    name: str | None = optional("Name of the tensor.")
    data_type: str | None = optional("Triton type, for example FP32.")
    dims: list[int] | None = optional("Shape without the batch dimension.")
    layout: str | None = optional("NCHW or NHWC, of pictures.")


class ModelSource(ApiModel):
    file: str | None = optional("Path in the hub's repository.")
    revision: str | None = optional("Commit of that repository that was fetched.")


class PublisherStatus(ApiModel):
    source: str | None = optional("Which of the publisher's files say it.")
    labels: int | None = optional("Number of names of classes.")
    input_size: list[int] | None = optional("Height and width of the input.")
    mean: list[float] | None = optional("Mean of each colour, on the scale 0..255.")
    std: list[float] | None = optional("Standard deviation of each colour, on the same scale.")
    swap_red_blue: bool | None = optional("True for BGR.")
    crop_pct: float | None = optional(
        "Input's part of the short side that pictures are resized to."
    )
    interpolation: str | None = optional("Filter by which pictures are resized.")


class ModelStatus(ApiModel):
    name: str | None = optional("Name of the model in Triton.")
    sha256: str | None = optional("SHA-256 of the source file.")
    size_bytes: int | None = optional("Size of the source file in bytes.")
    opset: int | None = optional("ONNX opset of the model.")
    inputs: list[Tensor] | None = optional("What a client must send.")
    outputs: list[Tensor] | None = optional("What a client gets.")
    pipeline: str | None = optional("Name of the model in Triton that takes picture files.")
    source: ModelSource | None = optional("Where in a hub's repository the model was found.")
    publisher: PublisherStatus | None = optional(
        "What the publisher says of it: defaults for what the object leaves out."
    )


class ArtifactStatus(ApiModel):
    job: str | None = optional("Job of the newest attempt at the artifact of the current spec.")
    next_attempt_time: str | None = optional(
        "When that is tried again, after an attempt that failed.",
        json_schema_extra={"format": "date-time"},
    )
    record: str | None = optional("ConfigMap that describes the artifact.")
    record_digest: str | None = optional("Digest by which the operator knows that ConfigMap again.")
    content_key: str | None = optional("Name of the artifact in the store.")
    sha256: str | None = optional("SHA-256 of the artifact.")
    size_bytes: int | None = optional("Size of the artifact in bytes.")
    chip: str | None = optional("Chip the artifact is made for.")
    compiler: str | None = optional("Compiler and version.")
    memory_bytes: int | None = optional(
        "What one loaded instance takes of a chip's memory, as the compiler says."
    )
    origin: str | None = optional("Converted, Reused or Copied.")
    duration_seconds: int | None = optional("Time the compiler took.")
    command: list[str] | None = optional("The compiler's argument list.")
    quantizer: str | None = optional("Quantizer and version.")
    quantize_command: list[str] | None = optional("The quantizer's argument list.")


class Progress(ApiModel):
    """Where the way to Ready stands; absent at rest."""

    stage: str | None = optional(
        "fetch, export, prepare, quantize, convert, publish, gate or load."
    )
    start_time: str | None = optional(
        "When the stage's container began.", json_schema_extra={"format": "date-time"}
    )
    percent: int | None = optional(
        "How much of the conversion Job is done: its stages that are done, each counted alike, "
        "and of a download or upload its part. No estimate of time; absent for gate and load."
    )
    bytes: int | None = optional(
        "Bytes of the file that fetch or publish is moving, as its log says, to a MiB; "
        "renewed every ten seconds at most."
    )
    total_bytes: int | None = optional(
        "Size of that file; absent where its server does not tell it."
    )


class FailedRevision(ApiModel):
    name: str | None = optional("Name of the revision.")
    reason: str | None = optional("One word for the cause.")
    message: str | None = optional("Why it did not become ready.")
    time: str | None = optional(
        "When it was rolled back.", json_schema_extra={"format": "date-time"}
    )


class Revisions(ApiModel):
    desired: str | None = optional("Revision of the current spec.")
    serving: str | None = optional("Newest revision of which all pods were ready.")
    previous: str | None = optional("The one that served before it.")
    failed: FailedRevision | None = optional("Revision that failed and was rolled back.")


class AnalysisStatus(ApiModel):
    """How a new revision does beside the old one."""

    revision: str | None = optional("Name of the new revision.")
    result: str | None = optional("Running, Passed, Withdrawn or Skipped (no device for both).")
    step: int | None = optional("Share of the requests in per cent that the step asks for.")
    pods: str | None = optional("New pods of all pods, in this step.")
    start_time: str | None = optional(
        "When the step began.", json_schema_extra={"format": "date-time"}
    )
    message: str | None = optional("What was compared, in words.")


class RolloutStatus(ApiModel):
    mode: str | None = optional("How pods are replaced: Surge, Replace or Recreate.")
    reason: str | None = optional("Why Auto does not surge.")
    analysis: AnalysisStatus | None = optional("What `rollout.analysis` has found so far.")


class Endpoints(ApiModel):
    http: str | None = optional("Address for HTTP clients.")
    grpc: str | None = optional("Address for gRPC clients.")


class Condition(ApiModel):
    type: str = Field(description="Name of the condition.")
    status: str | None = optional("True, False or Unknown.")
    reason: str | None = optional("One word for the cause.")
    message: str | None = optional("The cause and what to do.")
    observed_generation: int | None = optional("Generation of the spec the condition speaks of.")
    last_transition_time: str | None = optional(
        "When the condition's status changed.", json_schema_extra={"format": "date-time"}
    )


Conditions = Annotated[
    list[Condition],
    Field(
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        }
    ),
]


class ResNetServiceStatus(ApiModel):
    """What is served and where, or why not."""

    observed_generation: int | None = optional("Generation of the spec that this status speaks of.")
    phase: str | None = optional(
        "Pending, Fetching, Converting, Validating, Deploying, Ready, Degraded, Failed or "
        "Suspended."
    )
    phase_start_time: str | None = optional(
        "When the phase began.", json_schema_extra={"format": "date-time"}
    )
    ready: str | None = optional("Ready pods of wanted pods.")
    batch: str | None = optional("Batch sizes of the desired revision.")
    chip: str | None = optional("Chip of the desired revision.")
    runtime: str | None = optional("Runtime that serves.")
    replicas: int | None = optional("Number of serving pods.")
    ready_replicas: int | None = optional("Number of ready serving pods.")
    selector: str | None = optional("Label selector of the serving pods.")
    last_handled_retry: str | None = optional("Value of the retry annotation that was acted on.")
    model: ModelStatus | None = optional("The contract of the model.")
    artifact: ArtifactStatus | None = optional("What is served.")
    progress: Progress | None = optional("The stage that is under way; absent at rest.")
    validation: ValidationStatus | None = optional("What the gate has measured of the artifact.")
    tuning: TuningStatus | None = optional("What `spec.tuning` has found for the artifact.")
    revisions: Revisions | None = optional("Names of revisions.")
    revision_digests: dict[str, str] | None = optional(
        "Digests by which the operator knows its revisions again."
    )
    result_digests: dict[str, str] | None = optional(
        "Digests by which the operator knows results of the gate and failures again."
    )
    rollout: RolloutStatus | None = optional("How the pods are brought to the revision.")
    repository_config_map: str | None = optional("ConfigMap with config.pbtxt and labels.txt.")
    endpoints: Endpoints | None = optional("Where clients connect.")
    conditions: Conditions | None = optional("The conditions, one of each type.")


def as_status(value: dict[str, Any]) -> dict[str, Any]:
    """Check a status against the schema, so that nothing is written that the CRD would drop."""
    return ResNetServiceStatus.model_validate(value).model_dump(
        by_alias=True, exclude_none=True, exclude_unset=True
    )
