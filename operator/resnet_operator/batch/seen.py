"""All that one look at a ResNetBatch shows. Filled by `observe`, read by `plan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resnet_contract.batch.progress import Classified
from resnet_operator.render.batch import BATCH
from resnet_operator.seen.batch import BatchObject
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import JobObject, Pod


@dataclass(frozen=True, kw_only=True)
class BatchSeen:
    """`service` is None where there is none of the name; `job` is the batch's own."""

    batch: BatchObject
    service: Observed | None = None
    job: JobObject | None = None
    pods: tuple[Pod, ...] = ()
    warnings: tuple[str, ...] = ()
    # What running pods say in their logs, by uid.
    lines: Mapping[str, Classified] = field(default_factory=dict)


def is_working(pod: Pod) -> bool:
    """Tell whether pictures are being classified in it."""
    return any(one.name == BATCH and one.running for one in pod.containers)
