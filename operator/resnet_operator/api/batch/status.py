"""`status` of a ResNetBatch. No enum and no required field, as in a ResNetService's."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import ApiModel
from resnet_operator.api.status import Conditions


class Pictures(ApiModel):
    total: int | None = Field(default=None, description="All pictures; absent until a pod told it.")
    done: int | None = Field(default=None, description="Pictures whose part is written.")
    failed: int | None = Field(
        default=None, description="Of those, pictures without an answer; their rows say why."
    )


class PodShare(ApiModel):
    index: int | None = Field(default=None, description="Number of the pod, from 0.")
    total: int | None = Field(default=None, description="Pictures of its parts.")
    done: int | None = Field(default=None, description="Pictures whose part is written.")
    failed: int | None = Field(default=None, description="Of those, pictures without an answer.")


class PreemptedPod(ApiModel):
    name: str | None = Field(default=None, description="Name of the pod.")
    uid: str | None = Field(default=None, description="Its UID, by which it is counted once.")


class ResNetBatchStatus(ApiModel):
    observed_generation: int | None = Field(
        default=None, description="The metadata.generation that the rest of the status is about."
    )
    phase: str | None = Field(
        default=None, description="Pending, Running, Suspended, Succeeded or Failed."
    )
    conditions: Conditions | None = Field(
        default=None, description="Ready, and Stalled when only a person can help."
    )
    revision: str | None = Field(default=None, description="The service's revision that is used.")
    artifact: str | None = Field(default=None, description="SHA-256 of the artifact that is used.")
    job: str | None = Field(default=None, description="Name of the Job.")
    pictures: Pictures | None = Field(default=None, description="How far it is.")
    pods: (
        Annotated[list[PodShare], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})]
        | None
    ) = Field(default=None, description="How far each pod is, as its last words told it.")
    pictures_per_second: float | None = Field(
        default=None, description="Rate of all pods together, as they last told it."
    )
    estimated_completion_time: str | None = Field(
        default=None, description="When it is done if the rate stays."
    )
    preemptions: int | None = Field(
        default=None,
        description="Pods that gave way to others, or lost their node. At least so many: one that "
        "was gone before the operator looked is not among them.",
    )
    preempted: (
        Annotated[list[PreemptedPod], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})]
        | None
    ) = Field(default=None, description="The last of those pods.")
    start_time: str | None = Field(default=None, description="When the Job was made.")
    completion_time: str | None = Field(default=None, description="When it ended.")
    manifest_sha256: str | None = Field(
        default=None, description="SHA-256 of manifest.json, which lists the parts."
    )
