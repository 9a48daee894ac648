"""Data sets of NumPy arrays: one .npz, or x.npy beside labels.npy. Called by `open_dataset`.

Nothing that needs pickle is loaded: a file of Python objects is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.datasets.base import Dataset, Kind, Layout, all_files, check_label, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SAMPLES = ("x", "images", "pictures", "data", "inputs", "x_test")
LABELS = ("y", "labels", "label", "targets", "y_test")


def open_npy(layout: Layout) -> Dataset:
    """uint8 [n, H, W, 3] pictures or float [n, C, H, W] tensors, with integer labels [n]."""
    files = array_files(layout.folder)
    if len(files) == 1 and files[0].suffix.lower() == ".npz":
        samples, labels, where = *_pick(_load(files[0]), files[0].name), files[0].name
    else:
        files, samples, labels = _pair(files, layout)
        where = files[1].name
    return of_arrays(
        samples, labels, files=tuple(files), name=files[0].name, where=where, classes=layout.classes
    )


def array_files(folder: Path) -> list[Path]:
    return [path for path in all_files(folder) if path.suffix.lower() in (".npy", ".npz")]


def open_unlabelled(folder: Path) -> Dataset:
    """One array of samples, a .npy or the x of an .npz; every label is 0 and means nothing."""
    files = array_files(folder)
    if len(files) != 1:
        names = ", ".join(path.name for path in files[:6]) or "none"
        raise invalid(f"Npy needs one .npy or .npz with the pictures; found: {names}")
    found = _load(files[0])
    if files[0].suffix.lower() == ".npz":
        lower = {key.lower(): key for key in found}
        key = next((lower[key] for key in SAMPLES if key in lower), None)
        if key is None:
            raise invalid(f"{files[0].name} has no array x")
        found = _array(found, key, files[0].name)
    labels = np.zeros(len(found) if found.ndim else 0, np.int64)
    return of_arrays(
        found, labels, files=tuple(files), name=files[0].name, where=files[0].name, classes=1
    )


def of_arrays(
    samples: Any, labels: Any, *, files: tuple[Path, ...], name: str, where: str, classes: int
) -> Dataset:
    """The checked arrays as a data set; a sample's name is "x.npy[17]"."""
    kind = _kind(samples, name)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise invalid(
            f"{where}: the labels are {labels.dtype} {list(labels.shape)}; they must be one whole "
            "number a sample"
        )
    if len(labels) != len(samples):
        raise invalid(f"{where}: {len(labels)} labels for {len(samples)} samples of {name}")
    numbers = tuple(int(label) for label in labels)
    for index in np.flatnonzero((labels < 0) | (labels >= classes))[:1]:
        check_label(numbers[index], classes, where=f"{where}[{index}]")

    def read(index: int) -> Any:
        value = np.array(samples[index])
        return value.astype(np.float32) if kind is Kind.TENSORS else value

    return Dataset(
        kind=kind, names=_Names(name, len(samples)), labels=numbers, read=read, files=files
    )


class _Names(tuple[str, ...]):
    """The names of an array's rows."""

    def __new__(cls, name: str, count: int) -> _Names:
        return super().__new__(cls, (f"{name}[{index}]" for index in range(count)))


def _kind(samples: Any, name: str) -> Kind:
    if samples.ndim == 4 and samples.dtype == np.uint8 and samples.shape[3] == 3:
        return Kind.PIXELS
    if samples.ndim == 4 and samples.dtype.kind == "f":
        return Kind.TENSORS
    raise invalid(
        f"{name} holds {samples.dtype} {list(samples.shape)}; it must be uint8 pictures "
        "[n, height, width, 3] or float tensors [n, channels, height, width]"
    )


def _pair(files: list[Path], layout: Layout) -> tuple[list[Path], Any, Any]:
    """Two .npy files: the labels are the one that the order names, or that is called so."""
    named = layout.labels_path
    labels = [named] if named else [path for path in files if path.stem.lower() in LABELS]
    samples = [path for path in files if path not in labels]
    if len(labels) != 1 or len(samples) != 1:
        names = ", ".join(path.name for path in files[:6]) or "neither"
        raise invalid(
            f"Npy needs one .npz, or x.npy and labels.npy; found: {names}. With other names, name "
            "the file of the labels in labels"
        )
    return [samples[0], labels[0]], _load(samples[0]), _load(labels[0])


def _pick(arrays: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """The two arrays of an .npz, by their names, else by what they can only be."""
    lower = {key.lower(): key for key in arrays}
    x = next((lower[key] for key in SAMPLES if key in lower), None)
    y = next((lower[key] for key in LABELS if key in lower), None)
    if x is None or y is None:
        raise invalid(
            f"{name} holds the arrays {', '.join(sorted(arrays)[:8]) or 'none'}; it needs x and y, "
            "or images and labels"
        )
    return _array(arrays, x, name), _array(arrays, y, name)


def _array(arrays: Mapping[str, Any], key: str, name: str) -> Any:
    try:
        return arrays[key]
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(f"{key} of {name}", error) from error


def _load(path: Path) -> Any:
    """An array that stays on the disk, or the arrays of an archive."""
    try:
        if path.suffix.lower() == ".npz":
            return np.load(path, allow_pickle=False)
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy has no common base: ValueError, EOFError, BadZipFile, …
        raise _unreadable(path.name, error) from error


def _unreadable(name: str, error: Exception) -> Exception:
    objects = "Object arrays" in str(error)
    what = "Python objects; save plain numbers with numpy.save" if objects else "no NumPy array"
    return invalid(f"{name} holds {what}")
