"""`status` of a ResNetService: the operator's user interface.

No enum and no required field, and the CRD keeps unknown fields: an older CRD never blinds a newer
operator.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from resnet_operator.api.base import ApiModel
from resnet_operator.api.gate.status import TuningStatus, ValidationStatus


class Tensor(ApiModel):
    name: str | None = Field(default=None, description="Name of the tensor.")
    data_type: str | None = Field(default=None, description="Triton type, for example FP32.")
    dims: (
        Annotated[list[int], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] | None
    ) = Field(default=None, description="Shape without the batch dimension.")
    layout: str | None = Field(default=None, description="NCHW or NHWC, of pictures.")


TensorList = Annotated[list[Tensor], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})]


class ModelSource(ApiModel):
    file: str | None = Field(default=None, description="Path in the hub's repository.")
    revision: str | None = Field(
        default=None, description="Commit of that repository that was fetched."
    )


Numbers = Annotated[list[float], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})]


class PublisherStatus(ApiModel):
    source: str | None = Field(default=None, description="Which of the publisher's files say it.")
    labels: int | None = Field(default=None, description="Number of names of classes.")
    input_size: (
        Annotated[list[int], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] | None
    ) = Field(default=None, description="Height and width of the input.")
    mean: Numbers | None = Field(
        default=None, description="Mean of each colour, on the scale 0..255."
    )
    std: Numbers | None = Field(
        default=None, description="Standard deviation of each colour, on the same scale."
    )
    swap_red_blue: bool | None = Field(default=None, description="True for BGR.")
    crop_pct: float | None = Field(
        default=None, description="Input's part of the short side that pictures are resized to."
    )
    interpolation: str | None = Field(
        default=None, description="Filter by which pictures are resized."
    )


class ModelStatus(ApiModel):
    name: str | None = Field(default=None, description="Name of the model in Triton.")
    sha256: str | None = Field(default=None, description="SHA-256 of the source file.")
    size_bytes: int | None = Field(default=None, description="Size of the source file in bytes.")
    opset: int | None = Field(default=None, description="ONNX opset of the model.")
    inputs: TensorList | None = Field(default=None, description="What a client must send.")
    outputs: TensorList | None = Field(default=None, description="What a client gets.")
    pipeline: str | None = Field(
        default=None, description="Name of the model in Triton that takes picture files."
    )
    source: ModelSource | None = Field(
        default=None, description="Where in a hub's repository the model was found."
    )
    publisher: PublisherStatus | None = Field(
        default=None,
        description="What the publisher says of it: defaults for what the object leaves out.",
    )


class ArtifactStatus(ApiModel):
    job: str | None = Field(
        default=None, description="Job of the newest attempt at the artifact of the current spec."
    )
    next_attempt_time: str | None = Field(
        default=None,
        description="When that is tried again, after an attempt that failed.",
        json_schema_extra={"format": "date-time"},
    )
    record: str | None = Field(default=None, description="ConfigMap that describes the artifact.")
    record_digest: str | None = Field(
        default=None, description="Digest by which the operator knows that ConfigMap again."
    )
    content_key: str | None = Field(default=None, description="Name of the artifact in the store.")
    sha256: str | None = Field(default=None, description="SHA-256 of the artifact.")
    size_bytes: int | None = Field(default=None, description="Size of the artifact in bytes.")
    chip: str | None = Field(default=None, description="Chip the artifact is made for.")
    compiler: str | None = Field(default=None, description="Compiler and version.")
    memory_bytes: int | None = Field(
        default=None,
        description="What one loaded instance takes of a chip's memory, as the compiler says.",
    )
    origin: str | None = Field(default=None, description="Converted, Reused or Copied.")
    duration_seconds: int | None = Field(default=None, description="Time the compiler took.")
    command: (
        Annotated[list[str], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] | None
    ) = Field(default=None, description="The compiler's argument list.")
    quantizer: str | None = Field(default=None, description="Quantizer and version.")
    quantize_command: (
        Annotated[list[str], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] | None
    ) = Field(default=None, description="The quantizer's argument list.")


class Progress(ApiModel):
    """Where the way to Ready stands; absent at rest."""

    stage: str | None = Field(
        default=None,
        description="fetch, export, prepare, quantize, convert, publish, gate or load.",
    )
    start_time: str | None = Field(
        default=None,
        description="When the stage's container began.",
        json_schema_extra={"format": "date-time"},
    )
    percent: int | None = Field(
        default=None,
        description=(
            "How much of the conversion Job is done: its stages that are done, each counted alike, "
            "and of a download or upload its part. No estimate of time; absent for gate and load."
        ),
    )
    bytes: int | None = Field(
        default=None,
        description=(
            "Bytes of the file that fetch or publish is moving, as its log says, to a MiB; "
            "renewed every ten seconds at most."
        ),
    )
    total_bytes: int | None = Field(
        default=None, description="Size of that file; absent where its server does not tell it."
    )


class FailedRevision(ApiModel):
    name: str | None = Field(default=None, description="Name of the revision.")
    reason: str | None = Field(default=None, description="One word for the cause.")
    message: str | None = Field(default=None, description="Why it did not become ready.")
    time: str | None = Field(
        default=None,
        description="When it was rolled back.",
        json_schema_extra={"format": "date-time"},
    )


class Revisions(ApiModel):
    desired: str | None = Field(default=None, description="Revision of the current spec.")
    serving: str | None = Field(
        default=None, description="Newest revision of which all pods were ready."
    )
    previous: str | None = Field(default=None, description="The one that served before it.")
    failed: FailedRevision | None = Field(
        default=None, description="Revision that failed and was rolled back."
    )


class AnalysisStatus(ApiModel):
    """How a new revision does beside the old one."""

    revision: str | None = Field(default=None, description="Name of the new revision.")
    result: str | None = Field(
        default=None, description="Running, Passed, Withdrawn or Skipped (no device for both)."
    )
    step: int | None = Field(
        default=None, description="Share of the requests in per cent that the step asks for."
    )
    pods: str | None = Field(default=None, description="New pods of all pods, in this step.")
    start_time: str | None = Field(
        default=None,
        description="When the step began.",
        json_schema_extra={"format": "date-time"},
    )
    message: str | None = Field(default=None, description="What was compared, in words.")


class RolloutStatus(ApiModel):
    mode: str | None = Field(
        default=None, description="How pods are replaced: Surge, Replace or Recreate."
    )
    reason: str | None = Field(default=None, description="Why Auto does not surge.")
    analysis: AnalysisStatus | None = Field(
        default=None, description="What `rollout.analysis` has found so far."
    )


class Endpoints(ApiModel):
    http: str | None = Field(default=None, description="Address for HTTP clients.")
    grpc: str | None = Field(default=None, description="Address for gRPC clients.")


class Condition(ApiModel):
    type: str = Field(description="Name of the condition.")
    status: str | None = Field(default=None, description="True, False or Unknown.")
    reason: str | None = Field(default=None, description="One word for the cause.")
    message: str | None = Field(default=None, description="The cause and what to do.")
    observed_generation: int | None = Field(
        default=None, description="Generation of the spec the condition speaks of."
    )
    last_transition_time: str | None = Field(
        default=None,
        description="When the condition's status changed.",
        json_schema_extra={"format": "date-time"},
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

    observed_generation: int | None = Field(
        default=None, description="Generation of the spec that this status speaks of."
    )
    phase: str | None = Field(
        default=None,
        description=(
            "Pending, Fetching, Converting, Validating, Deploying, Ready, Degraded, Failed or "
            "Suspended."
        ),
    )
    phase_start_time: str | None = Field(
        default=None,
        description="When the phase began.",
        json_schema_extra={"format": "date-time"},
    )
    ready: str | None = Field(default=None, description="Ready pods of wanted pods.")
    batch: str | None = Field(default=None, description="Batch sizes of the desired revision.")
    chip: str | None = Field(default=None, description="Chip of the desired revision.")
    runtime: str | None = Field(default=None, description="Runtime that serves.")
    replicas: int | None = Field(default=None, description="Number of serving pods.")
    ready_replicas: int | None = Field(default=None, description="Number of ready serving pods.")
    selector: str | None = Field(default=None, description="Label selector of the serving pods.")
    last_handled_retry: str | None = Field(
        default=None, description="Value of the retry annotation that was acted on."
    )
    model: ModelStatus | None = Field(default=None, description="The contract of the model.")
    artifact: ArtifactStatus | None = Field(default=None, description="What is served.")
    progress: Progress | None = Field(
        default=None, description="The stage that is under way; absent at rest."
    )
    validation: ValidationStatus | None = Field(
        default=None, description="What the gate has measured of the artifact."
    )
    tuning: TuningStatus | None = Field(
        default=None, description="What `spec.tuning` has found for the artifact."
    )
    revisions: Revisions | None = Field(default=None, description="Names of revisions.")
    revision_digests: dict[str, str] | None = Field(
        default=None, description="Digests by which the operator knows its revisions again."
    )
    result_digests: dict[str, str] | None = Field(
        default=None,
        description="Digests by which the operator knows results of the gate and failures again.",
    )
    rollout: RolloutStatus | None = Field(
        default=None, description="How the pods are brought to the revision."
    )
    repository_config_map: str | None = Field(
        default=None, description="ConfigMap with config.pbtxt and labels.txt."
    )
    endpoints: Endpoints | None = Field(default=None, description="Where clients connect.")
    conditions: Conditions | None = Field(
        default=None, description="The conditions, one of each type."
    )


def as_status(value: dict[str, Any]) -> dict[str, Any]:
    """Check a status against the schema, so that nothing is written that the CRD would drop."""
    return ResNetServiceStatus.model_validate(value).model_dump(
        by_alias=True, exclude_none=True, exclude_unset=True
    )
