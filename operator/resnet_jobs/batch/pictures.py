"""The pictures of a batch, in the one order that all its pods agree on; none has a label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_contract.batch.order import INPUT, InputFormat
from resnet_jobs.base.errors import JobError, invalid
from resnet_jobs.datasets.arrays import open_unlabelled
from resnet_jobs.datasets.base import FIELD, Dataset, Kind, Layout, of_files, pictures_in

if TYPE_CHECKING:
    from pathlib import Path


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
