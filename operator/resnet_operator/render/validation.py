"""The gate's side: the Job that measures a candidate, and the ConfigMap of what it measured.

The candidate is the serving pod's own template with an evaluator beside it: what is measured is
what will serve.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from resnet_contract.words import DEFAULT_TUNED_INSTANCES
from resnet_operator import names
from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.api.validation import Validation
from resnet_operator.record.artifact import Artifact, found_uri
from resnet_operator.record.measurement import VALIDATION_KEY, loops_of
from resnet_operator.render.conversion import classifying_order
from resnet_operator.render.engine import render_one
from resnet_operator.render.objects import config_map, record_reference
from resnet_operator.render.pods.beside import TRITON, beside_triton, ending
from resnet_operator.render.pods.local_disk import foreign_mounts, scratch_volumes
from resnet_operator.render.pods.policy import fit_helper, shape_digest
from resnet_operator.render.pods.sources import fetching, source_access
from resnet_operator.render.store import store_access
from resnet_operator.render.triton.config import shared_memory_bytes
from resnet_operator.resolve.order import gate_order
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.rows import ROWS
from resnet_operator.seen.meta import Meta
from resnet_operator.settings.operator import Settings

EVALUATE = "evaluate"
# Counted from when the pod has its node, so that waiting for a chip does not use it up.
DEADLINE_SECONDS = 6 * 3600
# Nobody ever sets this condition: whatever Service selects the candidate sends it nothing.
NEVER_READY = f"{names.GROUP}/gate-takes-no-traffic"
BENCHMARK_FILE = "/eval/benchmark.json"


def result_content(
    *,
    name: str,
    key: str,
    validation: str,
    record: Meta,
    data: dict[str, str],
    immutable: bool,
) -> dict[str, Any]:
    """Return what was measured or why nothing was; it lives as long as the artifact's record."""
    return config_map(
        name=name,
        namespace=record.namespace,
        labels=_labels(key, validation),
        data=data | {VALIDATION_KEY: validation},
        owners=[record_reference(record)],
        immutable=immutable,
    )


def validation_job(
    *,
    resolved: Resolved,
    artifact: Artifact,
    record: Meta,
    validation: str,
    attempt: int,
    template: str,
    settings: Settings,
) -> dict[str, Any]:
    """Return the Job of one attempt; `template` is the pod template of the candidate's revision."""
    asked = resolved.spec.validation
    if asked is None:
        raise AssertionError("nothing is validated without spec.validation")
    key = resolved.source_key
    # The reference is the source model as it came: nothing calibrates or quantizes it again.
    access = source_access(
        resolved=replace(resolved, amct_image=None),
        settings=settings,
        dataset_uri=asked.dataset.uri,
    )
    store = store_access(settings, signs=False)
    job = render_one(
        "validation.yaml.j2",
        name=names.validation_job_name(key, validation, attempt),
        namespace=record.namespace,
        labels=_labels(key, validation),
        owners=[record_reference(record)],
        deadline_seconds=DEADLINE_SECONDS,
        never_ready=NEVER_READY,
        export_image=resolved.export_image,
        spec_json=names.canonical_json(
            evaluation_spec(
                namespace=record.namespace,
                resolved=resolved,
                artifact=artifact,
                asked=asked,
                validation=validation,
                settings=settings,
            )
        ),
        **fetching(access, settings),
        prepare_mounts=[],
        vouched=None,
        foreign_mounts=foreign_mounts(),
        scratch_volumes=scratch_volumes(
            settings, foreign=("export",) if resolved.export_image else ()
        ),
        store_mounts=store.mounts,
        store_volumes=store.volumes,
    )
    serving, pod = json.loads(template), job["spec"]["template"]
    # Of the Job alone: what it needs to be there. A pod of it is no pod of that revision.
    revision = serving["metadata"]["labels"][names.REVISION]
    service = {names.SERVICE: serving["metadata"]["labels"][names.INSTANCE]}
    for made in (job, pod):
        made["metadata"]["labels"] |= service
    flags = _benchmark(asked, resolved)
    pod = beside_triton(serving, pod, lambda container: ending(container, *flags))
    if resolved.spec.tuning is not None:
        make_room(pod["spec"], most_memory(resolved, artifact))
    asked_resources = resolved.spec.container_resources
    job["spec"]["template"] = fit_helper(pod, settings=settings, asked=asked_resources)
    job["metadata"]["labels"] |= {
        names.REVISION: revision,
        names.TEMPLATE_DIGEST: shape_digest(job["spec"]["template"]),
    }
    return job


def evaluation_spec(
    *,
    namespace: str,
    resolved: Resolved,
    artifact: Artifact,
    asked: Validation,
    validation: str,
    settings: Settings,
) -> dict[str, Any]:
    """Return what the containers are told: the conversion's order, the data set, the contract.

    The source's digest is that of the artifact: another file would be no reference for it. Of a
    hub it is the file and the commit that the artifact was made of, whatever was pushed since.
    """
    order = classifying_order(
        namespace=namespace,
        resolved=resolved,
        artifact=artifact,
        max_batch_size=resolved.max_batch_size,
        settings=settings,
    )
    reference = {
        "uri": found_uri(order["uri"], artifact),
        "sha256": artifact.model_sha256,
        "validationKey": validation,
    }
    return order | gate_order(asked, resolved) | reference


def most_memory(resolved: Resolved, artifact: Artifact) -> int:
    """Return how much more of /dev/shm the largest settings need that tuning may try."""
    tuning = resolved.spec.tuning
    most = (tuning and tuning.instances_per_chip) or DEFAULT_TUNED_INSTANCES
    largest = replace(
        resolved,
        instances=max(resolved.instances, resolved.chip_count * most),
        max_batch_size=max(*resolved.batch_sizes, resolved.max_batch_size),
    )
    now = shared_memory_bytes(resolved=resolved, artifact=artifact)
    return shared_memory_bytes(resolved=largest, artifact=artifact) - now


def make_room(pod: dict[str, Any], more_bytes: int) -> None:
    """Raise /dev/shm and what counts it, the memory limit of Triton, where there is one."""
    for volume in pod["volumes"]:
        if volume["name"] == "shm":
            volume["emptyDir"] = volume["emptyDir"] | {
                "sizeLimit": str(int(volume["emptyDir"]["sizeLimit"]) + more_bytes)
            }
    for container in pod["containers"]:
        limits = container["resources"].get("limits") or {}
        if container["name"] == TRITON and "memory" in limits:
            memory = int(parse_quantity(limits["memory"]) or 0) + more_bytes
            container["resources"] = container["resources"] | {
                "limits": limits | {"memory": str(memory)}
            }


def _benchmark(asked: Validation, resolved: Resolved) -> tuple[str, ...]:
    """Return what has Triton's container time the chip first."""
    if not ROWS[resolved.runtime].times_the_chip:
        return ()
    return (f"--benchmark={BENCHMARK_FILE}", f"--benchmark-loops={loops_of(asked)}")


def _labels(key: str, validation: str) -> dict[str, str]:
    return names.labels(names.VALIDATION, **{names.ARTIFACT: key, names.VALIDATED: validation[:8]})
