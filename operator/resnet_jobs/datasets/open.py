"""The data set of an order, whichever of the formats it has. Called by the evaluator's plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
from resnet_jobs.datasets.base import Dataset, Layout, invalid
from resnet_jobs.datasets.folder import open_image_folder


def open_dataset(
    folder: Path, kind: str, *, labels: str | None, classes: int, sample_bytes: int
) -> Dataset:
    """The checked data set of a format; `InvalidSpec` names the file and line at fault."""
    from resnet_jobs.datasets.arrays import open_npy
    from resnet_jobs.datasets.cifar import open_cifar
    from resnet_jobs.datasets.lists import open_image_list, open_raw_bin

    layout = Layout(folder=folder, labels=labels, classes=classes, sample_bytes=sample_bytes)
    formats: dict[str, Callable[[Layout], Dataset]] = {
        "ImageFolder": open_image_folder,
        "ImageList": open_image_list,
        "RawBin": open_raw_bin,
        "Npy": open_npy,
        "CifarPython": open_cifar,
    }
    if kind not in formats:
        raise invalid(f'the format "{kind}" is not known; write one of {", ".join(formats)}')
    dataset = formats[kind](layout)
    if not len(dataset):
        raise invalid(f"no sample of format {kind} was found: look at its layout")
    return dataset
