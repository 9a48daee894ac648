"""`status` of a ResNetBatch. No enum and no required field, as in a ResNetService's."""

from __future__ import annotations

from resnet_operator.api.base import ApiModel, optional
from resnet_operator.api.status import Conditions


class Pictures(ApiModel):
    total: int | None = optional("All pictures; absent until a pod told it.")
    done: int | None = optional("Pictures whose part is written.")
    failed: int | None = optional("Of those, pictures without an answer; their rows say why.")


class PodShare(ApiModel):
    index: int | None = optional("Number of the pod, from 0.")
    total: int | None = optional("Pictures of its parts.")
    done: int | None = optional("Pictures whose part is written.")
    failed: int | None = optional("Of those, pictures without an answer.")


class PreemptedPod(ApiModel):
    name: str | None = optional("Name of the pod.")
    uid: str | None = optional("Its UID, by which it is counted once.")


class ResNetBatchStatus(ApiModel):
    observed_generation: int | None = optional(
        "The metadata.generation that the rest of the status is about."
    )
    phase: str | None = optional("Pending, Running, Suspended, Succeeded or Failed.")
    conditions: Conditions | None = optional("Ready, and Stalled when only a person can help.")
    revision: str | None = optional("The service's revision that is used.")
    artifact: str | None = optional("SHA-256 of the artifact that is used.")
    job: str | None = optional("Name of the Job.")
    pictures: Pictures | None = optional("How far it is.")
    pods: list[PodShare] | None = optional("How far each pod is, as its last words told it.")
    pictures_per_second: float | None = optional("Rate of all pods together, as they last told it.")
    estimated_completion_time: str | None = optional("When it is done if the rate stays.")
    preemptions: int | None = optional(
        "Pods that gave way to others, or lost their node. At least so many: one that "
        "was gone before the operator looked is not among them."
    )
    preempted: list[PreemptedPod] | None = optional("The last of those pods.")
    start_time: str | None = optional("When the Job was made.")
    completion_time: str | None = optional("When it ended.")
    manifest_sha256: str | None = optional("SHA-256 of manifest.json, which lists the parts.")
