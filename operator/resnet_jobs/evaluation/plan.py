"""All that `evaluate` knows before the first request: contract, data set, reference.

What can be refused is refused here, in the first second and before Triton is asked for anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_contract.types import Preprocessing
from resnet_jobs.base.errors import JobError, Reason, invalid
from resnet_jobs.datasets.open import open_dataset
from resnet_jobs.evaluation.feed import Feed, logits_output, picture_input
from resnet_jobs.evaluation.reference import Reference
from resnet_jobs.evaluation.triton_client import BYTES_IN_FLIGHT

if TYPE_CHECKING:
    from resnet_contract.order import JobSpec
    from resnet_contract.types import Dataset as Asked
    from resnet_contract.types import DeclaredTensor, ServedModel, StatedLoad
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.datasets.base import Dataset

# Tritons of 2025 and later refuse a body above 64 MiB; earlier ones have no limit.
FLOATS = ("FP32", "FP16")
REQUEST_BYTES = 48 * 2**20


@dataclass(frozen=True)
class Plan:
    """What is sent where, and what it is compared with."""

    key: str
    asked: Asked
    served: ServedModel
    output: DeclaredTensor
    feed: Feed
    dataset: Dataset
    reference: Reference | None

    @property
    def classes(self) -> int:
        return self.output.dims[0]

    @property
    def batch(self) -> int:
        """Samples a request: the largest profile, as far as Triton takes it over HTTP."""
        fitting = REQUEST_BYTES // self.feed.sample_bytes
        return max(1, min(self.served.max_batch_size, fitting))

    def full_batch(self, number: int, size: int) -> Any:
        """One of several different batches for a load; a small set is repeated."""
        total, start = len(self.dataset), number * size
        indexes = [(start + row) % total for row in range(size)]
        return np.stack([self.feed.rows(self.dataset, index)[0] for index in indexes])

    def serving(self, max_batch: int) -> Plan:
        """The same plan for a server that has been given another largest batch."""
        return replace(self, served=replace(self.served, max_batch_size=max_batch))

    def expected(self, seen: Any | None) -> Any | None:
        """The reference's scores; None without one."""
        return None if self.reference is None or seen is None else self.reference.run(seen)


def make_plan(spec: JobSpec, workspace: Workspace) -> Plan:
    """Everything opened and checked; `JobError` says what is wrong with it."""
    if spec.served is None or spec.dataset is None or spec.validation_key is None:
        raise invalid(
            "RESNET_JOB of evaluate needs model, dataset and validationKey: the operator sets them"
        )
    tensor, output = picture_input(spec.served), logits_output(spec.served)
    reference = open_reference(spec, workspace, output=output.name)
    model_hw = network_size(spec, reference)
    feed = Feed(
        tensor=tensor,
        aipp=spec.preprocessing is not None,
        preprocessing=as_fields(spec, reference, model_hw) or as_floats(spec, tensor),
        model_hw=model_hw,
    )
    if not workspace.dataset.is_dir():
        raise lost("data set")
    dataset = open_dataset(
        workspace.dataset,
        spec.dataset.format,
        labels=spec.dataset.labels,
        classes=output.dims[0],
        sample_bytes=feed.sample_bytes,
    )
    feed.check(dataset, on_cpu=spec.is_cpu)
    if spec.load is not None:
        check_load(spec.load, served=spec.served, sample_bytes=feed.sample_bytes)
    return Plan(
        key=spec.validation_key,
        asked=spec.dataset,
        served=spec.served,
        output=output,
        feed=feed,
        dataset=dataset,
        reference=reference if feed.knows_reference else None,
    )


def open_reference(spec: JobSpec, workspace: Workspace, *, output: str) -> Reference | None:
    """None where there is no source to compare with: an OM, or operators that only ATC knows."""
    if spec.format == "OM" or spec.quantized:
        return None
    if not workspace.model.is_file():
        raise lost("source model")
    return Reference(workspace.model, output=output)


def network_size(spec: JobSpec, reference: Reference | None) -> tuple[int, int] | None:
    """Height and width of what the network sees: those of the file, else those of the order."""
    found = (reference.dims if reference else ())[1:]
    declared = next(iter(spec.input_shapes.values()), ())[1:]
    for sides in (found, declared):
        if len(sides) == 2 and sides[0] is not None and sides[1] is not None:
            return sides[0], sides[1]
    return None


def as_fields(
    spec: JobSpec, reference: Reference | None, model_hw: tuple[int, int] | None
) -> Preprocessing | None:
    """The preprocessing as numbers; of a raw AIPP text what it amounts to, where that is known."""
    how = spec.preprocessing
    if how is None or how.raw_aipp is None:
        return how
    channels = reference.dims[0] if reference and reference.dims else None
    if reference is None or channels is None or model_hw is None:
        return None
    from resnet_jobs.model.inspect import Tensor
    from resnet_jobs.tools.aipp import plan_aipp

    return plan_aipp(how, [Tensor(reference.name, "FP32", (channels, *model_hw))]).preprocessing


def check_load(load: StatedLoad, *, served: ServedModel, sample_bytes: int) -> None:
    """What this container could never send, whatever the model's speed."""
    if load.batch > served.max_batch_size:
        raise invalid(
            f"spec.validation.benchmark.load.batchSize {load.batch} is above the largest batch "
            f"that is served, {served.max_batch_size}: lower it"
        )
    request = load.batch * sample_bytes
    if request > REQUEST_BYTES or request * (load.concurrency or 1) > BYTES_IN_FLIGHT:
        raise invalid(
            f"spec.validation.benchmark.load: {load.concurrency or 1} requests of {request} bytes "
            f"are more than the evaluator can send, {REQUEST_BYTES} bytes in one request and "
            f"{BYTES_IN_FLIGHT} in all: lower concurrency or batchSize"
        )


def as_floats(spec: JobSpec, tensor: DeclaredTensor) -> Preprocessing | None:
    """How pictures become the floats of a network without AIPP; None where nobody says it."""
    asked, dims = spec.pictures, tensor.dims
    is_picture = len(dims) == 3 and 3 in (dims[0], dims[2])
    if asked is None or spec.preprocessing is not None or not is_picture:
        return None
    if tensor.data_type not in FLOATS:
        return None
    height, width = dims[1:] if dims[0] == 3 else dims[:2]
    return Preprocessing(
        pixel_format="RGB888",
        source_height=height,
        source_width=width,
        crop=None,
        mean=asked.mean,
        std=asked.std,
        swap_red_blue=asked.swap_red_blue,
        raw_aipp=None,
        short_side=asked.short_side,
        interpolation=asked.interpolation,
    )


def lost(what: str) -> JobError:
    return JobError(Reason.RESULT_LOST, f"the fetched {what} is missing: the Job has to run again")
