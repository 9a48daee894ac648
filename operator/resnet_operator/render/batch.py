"""The Job of a ResNetBatch: the serving pod's own template with a client that classifies.

Its pods have the lowest priority, and their end by the scheduler is no failure: another pod goes on
with the parts that are missing.
"""

from __future__ import annotations

import json
import re
from typing import Any

from resnet_contract.batch.order import DEFAULT_PART, DEFAULT_TOP, InputFormat, OutputFormat
from resnet_operator import names
from resnet_operator.api.batch.spec import BatchInput, ResNetBatchSpec
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.conversion import classifying_order
from resnet_operator.render.engine import render_one
from resnet_operator.render.pods.beside import beside_triton, ending
from resnet_operator.render.pods.local_disk import scratch_volumes
from resnet_operator.render.pods.output import output_to
from resnet_operator.render.pods.policy import fit_helper
from resnet_operator.render.pods.sources import (
    DATASET_MOUNT,
    Access,
    access_to,
    fetching,
    source_reference,
)
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.settings.operator import Settings

BATCH = "batch"
# Failures that are nobody's doing, of all pods together; being preempted is none.
BACKOFF_LIMIT = 6
# Whoever waits for the chip waits this long at most: nothing is lost but a part.
GRACE_SECONDS = 10
MOST_ROWS = re.compile(r"^max_batch_size: (\d+)$", re.MULTILINE)


def batch_job(
    *,
    batch: Meta,
    owner: dict[str, Any],
    spec: ResNetBatchSpec,
    resolved: Resolved,
    artifact: Artifact,
    revision: str,
    template: str,
    config: str,
    settings: Settings,
) -> dict[str, Any]:
    """Return the Job; `template` and `config` are the pod template and config.pbtxt of `revision`.

    The Job holds all of it: what the service becomes later changes nothing of a batch.
    """
    target = output_to(spec.output)
    access = _access(spec.input, target.claim, settings)
    labels = names.labels(
        names.BATCH_COMPONENT, **{names.BATCH: batch.name, names.SERVICE: spec.service.name}
    )
    job = render_one(
        "batch.yaml.j2",
        name=names.batch_job_name(batch.name),
        namespace=batch.namespace,
        labels=labels,
        owners=[owner],
        backoff_limit=BACKOFF_LIMIT,
        shards=spec.parallelism or 1,
        suspend=bool(spec.suspend),
        grace_seconds=GRACE_SECONDS,
        priority_class=spec.priority_class_name or settings.batch_priority_class,
        spec_json=names.canonical_json(
            batch_order(
                namespace=batch.namespace,
                spec=spec,
                place=target.place,
                resolved=resolved,
                artifact=artifact,
                config=config,
                settings=settings,
            )
        ),
        **fetching(access, settings),
        scratch_volumes=scratch_volumes(settings, foreign=()),
        output_mounts=target.mounts,
        output_volumes=target.volumes,
        output_environment=access.environment if target.is_remote else (),
    )
    pod = beside_triton(json.loads(template), job["spec"]["template"], ending)
    job["spec"]["template"] = fit_helper(
        pod, settings=settings, asked=resolved.spec.container_resources
    )
    # Of the Job alone: what it needs to be there. A pod of it is no pod of that revision.
    job["metadata"]["labels"] |= {names.REVISION: revision}
    return job


def batch_order(
    *,
    namespace: str,
    spec: ResNetBatchSpec,
    place: dict[str, Any],
    resolved: Resolved,
    artifact: Artifact,
    config: str,
    settings: Settings,
) -> dict[str, Any]:
    """Return what the containers are told: the service's order, the pictures, the contract."""
    read, written = spec.input, spec.output
    found = MOST_ROWS.search(config)
    order = classifying_order(
        namespace=namespace,
        resolved=resolved,
        artifact=artifact,
        max_batch_size=max(int(found[1]) if found else resolved.max_batch_size, 1),
        settings=settings,
    )
    asked = {"uri": read.uri, "format": read.format or InputFormat.IMAGES}
    order["batch"] = {
        "input": asked | ({"sha256": read.sha256} if read.sha256 else {}),
        "output": {
            "place": place,
            "topK": written.top_k or DEFAULT_TOP,
            "picturesPerPart": written.pictures_per_part or DEFAULT_PART,
            "format": written.format or OutputFormat.CSV,
        },
        "parallelism": spec.parallelism or 1,
    }
    return order


def _access(read: BatchInput, output_claim: str, settings: Settings) -> Access:
    """Return what `fetch` needs. A claim that takes the output too is one volume of the pod."""
    access = access_to(
        [("source-dataset", DATASET_MOUNT, read.uri)],
        login=read.credentials_secret_ref,
        bundle=read.ca_bundle_config_map_key_ref,
        settings=settings,
    )
    scheme, claim, _ = source_reference(read.uri)
    if (scheme, claim) != ("pvc", output_claim):
        return access
    return Access(
        volumes=tuple(v for v in access.volumes if v["name"] != "source-dataset"),
        mounts=tuple(
            m | {"name": "output"} if m["name"] == "source-dataset" else m for m in access.mounts
        ),
        environment=access.environment,
    )
