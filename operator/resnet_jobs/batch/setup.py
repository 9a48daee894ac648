"""All that a batch knows before the first request: contract, pictures, place of the output.

What can be refused is refused here, before the model is asked for anything.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_contract.batch.order import OUTPUT
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.batch.parts import Output
from resnet_jobs.batch.pictures import of_input, open_pictures
from resnet_jobs.batch.rows import columns
from resnet_jobs.datasets.base import digest_of
from resnet_jobs.evaluation.feed import Feed, logits_output, picture_input
from resnet_jobs.evaluation.plan import REQUEST_BYTES, as_floats, lost

if TYPE_CHECKING:
    from resnet_contract.batch.order import BatchOrder
    from resnet_contract.order import JobSpec
    from resnet_contract.store import StoreSpec
    from resnet_contract.types import DeclaredTensor, ServedModel
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.datasets.base import Dataset
    from resnet_jobs.store.base import Store

OUTPUT_WAIT_SECONDS = 120.0
CREDENTIALS, CA = Path("/output-credentials"), Path("/output-ca/ca.crt")


@dataclass(frozen=True)
class Setup:
    """What is classified by which model, and what names the result."""

    order: BatchOrder
    served: ServedModel
    output: DeclaredTensor
    feed: Feed
    dataset: Dataset
    dataset_sha256: str

    @property
    def batch(self) -> int:
        """Pictures a request: the largest profile, as far as Triton takes it over HTTP."""
        fitting = REQUEST_BYTES // self.feed.sample_bytes
        return max(1, min(self.served.max_batch_size, fitting))

    @property
    def top(self) -> int:
        return min(self.order.top, self.output.dims[0])

    def about(self) -> dict[str, Any]:
        """What decides about every row, for people and for the key."""
        how = self.feed.preprocessing
        return {
            "artifact": self.served.artifact,
            "dataset": self.dataset_sha256,
            "preprocessing": _given(asdict(how)) if how else None,
            "pictures": len(self.dataset),
            "picturesPerPart": self.order.part,
            "columns": columns(self.top),
        }

    @property
    def key(self) -> str:
        text = json.dumps(self.about(), sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def set_up(spec: JobSpec, workspace: Workspace) -> Setup:
    """Everything opened and checked; `JobError` says what is wrong with it."""
    if spec.served is None or spec.batch is None:
        raise JobError(
            Reason.INVALID_SPEC, "RESNET_JOB of batch needs model and batch: the operator sets them"
        )
    tensor, scores = _contract(spec.served)
    if not workspace.dataset.is_dir():
        raise lost("set of pictures")
    dataset = open_pictures(workspace.dataset, spec.batch.format)
    how = spec.preprocessing if spec.preprocessing and spec.preprocessing.raw_aipp is None else None
    feed = Feed(
        tensor=tensor,
        aipp=spec.preprocessing is not None,
        preprocessing=how or as_floats(spec, tensor),
        model_hw=None,
    )
    try:
        feed.check(dataset, on_cpu=spec.is_cpu)
    except JobError as error:
        raise of_input(error) from error
    digest = digest_of(dataset, workspace.dataset)
    return Setup(spec.batch, spec.served, scores, feed, dataset, digest)


def _contract(served: ServedModel) -> tuple[DeclaredTensor, DeclaredTensor]:
    try:
        return picture_input(served), logits_output(served)
    except JobError as error:
        raise JobError(
            Reason.INVALID_SPEC,
            "a batch needs a classifier: one picture as input and an output [N, classes]; name "
            "another service in spec.service",
        ) from error


def open_output(spec: StoreSpec, key: str, clock: Clock) -> Output:
    return Output(_store(spec, clock), key)


def _store(spec: StoreSpec, clock: Clock) -> Store:
    if spec.type == "SharedClaim":
        from resnet_jobs.store.shared_claim import SharedClaimStore

        return SharedClaimStore(Path(spec.location), what=f"the claim of {OUTPUT}.uri")
    if spec.type == "S3":
        from resnet_jobs.batch.bucket import OutputBucket

        return OutputBucket(
            spec, wait_seconds=OUTPUT_WAIT_SECONDS, clock=clock, credentials=CREDENTIALS, ca=CA
        )
    raise JobError(Reason.INVALID_SPEC, f"{OUTPUT}.uri must be a claim or a bucket")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
