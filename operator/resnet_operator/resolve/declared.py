"""The name of a revision: a digest of what is declared about the pods and of the artifact."""

from __future__ import annotations

from typing import Any

from resnet_contract.words import ModelFormat
from resnet_operator.names import digest
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.oneflow import GPU
from resnet_operator.resolve.runtimes.rows import ROWS
from resnet_operator.resolve.runtimes.torch_aie import declared_model
from resnet_operator.settings.operator import AdoptNewDefaults, Settings

# Parts of `serving` that change no pod.
OUTSIDE_THE_PODS = {
    "service",
    "ingress",
    "http_route",
    "network_policy",
    "pod_disruption_budget",
    "autoscaling",
}


# Settings that are in every pod template: with adoptNewDefaults: Immediately a change restarts.
OF_THE_PODS = {
    "jobs_image",
    "fetch_image",
    "serving_images",
    "chip_resources",
    "container_resources",
    "devices",
    "pod_security",
    "runtime_class_name",
    "scheduler_name",
    "scrape_annotations",
}
# Of those, what decides whether an object is accepted and is in no template.
OF_NO_POD = {"devices": {"share_count", "chip_memory"}}


def declared_digest(
    *,
    resolved: Resolved,
    artifact_sha256: str,
    labels: str | None,
    published: str | None = None,
    settings: Settings,
) -> str:
    """Return the 10-digit name of a revision: the declared serving spec and the artifact.

    `published` is the digest of the publisher's labels, where the object names none.
    """
    spec = resolved.spec
    declared: dict[str, Any] = {
        "name": resolved.model_name,
        "labels": digest(labels) if labels is not None else None,
        "accelerator": spec.accelerator.model_dump(mode="json", exclude_none=True),
        "batchSizes": spec.conversion and spec.conversion.batch_sizes,
        "serving": spec.serving.model_dump(
            mode="json", exclude_none=True, exclude={"replicas", *OUTSIDE_THE_PODS}
        ),
        "artifact": artifact_sha256,
    }
    if resolved.tuned is not None:
        declared["tuned"] = resolved.tuned.to_json()
    if published is not None:
        declared["publishedLabels"] = published
    if spec.container_resources is not None and spec.container_resources.artifact is not None:
        artifact_resources = spec.container_resources.artifact
        declared["artifactResources"] = artifact_resources.model_dump(
            mode="json", exclude_none=True
        )
    if spec.model.class_labels is not None and spec.model.class_labels.output is not None:
        declared["labelledOutput"] = spec.model.class_labels.output
    if resolved.format in {ModelFormat.ONEFLOW, ModelFormat.OM}:
        # The same file, and so the same artifact, declared otherwise: another config.pbtxt.
        declared |= spec.model.model_dump(mode="json", include={"inputs", "outputs"})
    if not ROWS[resolved.runtime].converts:
        declared["model"] = declared_model(spec)
    if settings.adopt_new_defaults is AdoptNewDefaults.IMMEDIATELY:
        of_gpus = {"gpu_runtime_class_name"} if resolved.chip == GPU else set()
        declared["settings"] = settings.model_dump(
            mode="json", include=OF_THE_PODS | of_gpus, exclude=OF_NO_POD
        ) | {"store": settings.store.place()}
    return digest(declared, 10)
