"""All that a batch knows before the first request: contract, pictures, place of the output.

What can be refused is refused here, before the model is asked for anything.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from resnet_contract.batch.order import INPUT, InputFormat, OutputFormat
from resnet_jobs.base.errors import JobError, invalid
from resnet_jobs.batch.rows import columns, part_text
from resnet_jobs.datasets.arrays import open_unlabelled
from resnet_jobs.datasets.base import FIELD, Dataset, Kind, Layout, digest_of, of_files, pictures_in
from resnet_jobs.evaluation.feed import Feed, logits_output, picture_input
from resnet_jobs.evaluation.plan import REQUEST_BYTES, as_floats, lost

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_contract.batch.order import BatchOrder
    from resnet_contract.order import JobSpec
    from resnet_contract.types import DeclaredTensor, ServedModel
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.batch.rows import Writer
    from resnet_jobs.datasets.base import Dataset


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
            **({} if self.order.written == OutputFormat.CSV else {"format": self.order.written}),
        }

    @property
    def suffix(self) -> str:
        """The end of a part's name."""
        return self.order.written.lower()

    @property
    def writer(self) -> Writer:
        """What makes a part's file of its answers."""
        if self.order.written == OutputFormat.CSV:
            return part_text
        from resnet_jobs.batch.parquet import part_table

        return part_table

    @property
    def key(self) -> str:
        text = json.dumps(self.about(), sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def set_up(spec: JobSpec, workspace: Workspace) -> Setup:
    """Everything opened and checked; `JobError` says what is wrong with it."""
    if spec.served is None or spec.batch is None:
        raise invalid("RESNET_JOB of batch needs model and batch: the operator sets them")
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
        raise invalid(
            "a batch needs a classifier: one picture as input and an output [N, classes]; name "
            "another service in spec.service"
        ) from error


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def open_pictures(folder: Path, kind: str) -> Dataset:
    """Every picture below the folder by the name of its path, or the rows of an array."""
    if kind == InputFormat.NPY:
        try:
            found = open_unlabelled(folder)
        except JobError as error:
            raise of_input(error) from error
    else:
        files = sorted(pictures_in(folder), key=lambda path: path.relative_to(folder).as_posix())
        layout = Layout(folder=folder, labels=None, classes=1, sample_bytes=0)
        found = of_files(Kind.ENCODED, files, [0] * len(files), layout=layout)
    if not len(found):
        raise invalid(f"{INPUT}: there is no picture of format {kind} in it")
    return found


def of_input(error: JobError) -> JobError:
    """The same failure, told of the batch's input and not of the gate's data set."""
    words = error.message.removeprefix(FIELD)
    return JobError(error.reason, f"{INPUT}: {words}", exit_code=error.exit_code)
