"""The conversion side: the Job and what goes into its containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resnet_contract.words import ModelFormat
from resnet_operator import names
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.in_use import Named, keep_list
from resnet_operator.render.engine import render_one
from resnet_operator.render.objects import config_map, record_reference
from resnet_operator.render.pods.local_disk import foreign_mounts, scratch_bytes, scratch_volumes
from resnet_operator.render.pods.policy import fit_helper, shape_digest
from resnet_operator.render.pods.resources import with_defaults, with_local_storage
from resnet_operator.render.pods.sources import fetching, source_access
from resnet_operator.render.store import (
    store_access,
    store_order,
)
from resnet_operator.render.triton.config import output_types
from resnet_operator.render.triton.picture_defaults import pictures_of_gate
from resnet_operator.resolve.order import conversion_order
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.images import pull_secrets
from resnet_operator.resolve.source_key import attempt_inputs_key
from resnet_operator.seen.meta import Meta
from resnet_operator.settings.operator import Settings
from resnet_operator.settings.pods import Maker

# A backstop: it also counts the time a pod is Pending, and deletes the pod with its message.
DEADLINE_MARGIN_SECONDS = 6 * 3600


def record_owner(*, key: str, service: Meta, owner: dict[str, Any] | None) -> dict[str, Any]:
    """Return what one owner states about a record; without `owner` it withdraws."""
    metadata: dict[str, Any] = {"name": names.record_name(key), "namespace": service.namespace}
    if owner:
        metadata |= {
            "labels": names.labels(names.RECORD, **{names.ARTIFACT: key}),
            "ownerReferences": [owner],
        }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def record_content(
    *, key: str, namespace: str, data: dict[str, str], immutable: bool
) -> dict[str, Any]:
    """Return what a record says of the artifact."""
    return config_map(
        name=names.record_name(key),
        namespace=namespace,
        labels=names.labels(names.RECORD, **{names.ARTIFACT: key}),
        data=data,
        immutable=immutable,
    )


def job_spec(*, namespace: str, resolved: Resolved, settings: Settings) -> dict[str, Any]:
    """Return what the Job's containers are told, as `resnet_contract.order` reads it."""
    return conversion_order(resolved) | {"store": store_order(namespace, settings)}


def classifying_order(
    *,
    namespace: str,
    resolved: Resolved,
    artifact: Artifact,
    max_batch_size: int,
    settings: Settings,
) -> dict[str, Any]:
    """Return what containers beside Triton are told: the conversion's order and the contract."""
    order = job_spec(namespace=namespace, resolved=resolved, settings=settings)
    order.pop("quantization", None)
    pictures = pictures_of_gate(resolved, artifact)
    if "preprocessing" in pictures:
        pictures["preprocessing"] |= order["preprocessing"]
    model = {
        "name": resolved.model_name,
        "inputs": [tensor.to_json() for tensor in artifact.inputs],
        "outputs": [tensor.to_json() for tensor in output_types(artifact)],
        "maxBatchSize": max_batch_size,
        "artifact": artifact.sha256,
    }
    return order | pictures | {"model": model}


def job(
    *,
    service: Meta,
    resolved: Resolved,
    record: Meta,
    attempt: int,
    in_use: tuple[Named, ...] | None = None,
    vouched: Mapping[str, str] | None = None,
    settings: Settings,
) -> dict[str, Any]:
    """Return the Job of one attempt; the record owns it, as several objects may wait for it."""
    conversion, key = resolved.spec.conversion, resolved.source_key
    requests, limits = with_defaults(
        conversion.resources if conversion else None,
        requests={"cpu": "500m", "memory": "2Gi"},
        limits={},
        # Both are the compiler's image, one after the other.
        cluster=settings.container_resources.get(Maker.CONVERT),
    )
    store = store_access(settings)
    access = source_access(resolved=resolved, settings=settings)
    labels = names.labels(names.CONVERSION, **{names.ARTIFACT: key, names.SERVICE: service.name})
    means = attempt_inputs_key(resolved.spec)
    body = render_one(
        "job.yaml.j2",
        name=names.job_name(key, attempt),
        namespace=service.namespace,
        labels=labels,
        job_labels=labels | ({names.MEANS: means} if means else {}),
        owners=[record_reference(record)],
        deadline_seconds=resolved.timeout_seconds + DEADLINE_MARGIN_SECONDS,
        passed_through=_passed_through(resolved, settings),
        spec_json=names.canonical_json(
            job_spec(namespace=service.namespace, resolved=resolved, settings=settings)
        ),
        **fetching(access, settings),
        prepare_mounts=store.mounts,
        vouched=names.canonical_json(vouched) if vouched else None,
        export_image=resolved.export_image,
        amct_image=resolved.amct_image,
        op_cache_claim=resolved.op_cache_claim,
        converter_image=resolved.converter_image,
        convert_script="om.py" if resolved.format is ModelFormat.OM else "convert.py",
        converter_resources=with_local_storage(requests, limits, scratch_bytes(settings)),
        foreign_mounts=foreign_mounts(),
        scratch_volumes=scratch_volumes(settings, foreign=_foreign(resolved)),
        keep=keep_list(in_use, days=settings.store.keep_unused_days),
        store_mounts=store.mounts,
        store_volumes=store.volumes,
    )
    pod = body["spec"]["template"]
    body["spec"]["template"] = fit_helper(
        pod, settings=settings, asked=resolved.spec.container_resources
    )
    body["metadata"]["labels"] |= {names.TEMPLATE_DIGEST: shape_digest(body["spec"]["template"])}
    return body


def _foreign(resolved: Resolved) -> tuple[str, ...]:
    images = {
        "export": resolved.export_image,
        "quantize": resolved.amct_image,
        "convert": resolved.converter_image,
    }
    return tuple(name for name, image in images.items() if image)


def _passed_through(resolved: Resolved, settings: Settings) -> list[tuple[str, Any]]:
    conversion = resolved.spec.conversion
    values = {
        "nodeSelector": conversion and conversion.node_selector,
        "tolerations": conversion and conversion.tolerations,
        "imagePullSecrets": pull_secrets(resolved.spec, settings),
    }
    return [(key, value) for key, value in values.items() if value]
