"""CIFAR-10 and CIFAR-100 as their authors publish them: a Python pickle. Called by `open_dataset`.

A pickle is a program. Only the few names that the real files need can be looked up here; the file
that names another is refused before anything of it has run.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.datasets.arrays import of_arrays
from resnet_jobs.datasets.base import Dataset, Layout, all_files, invalid

if TYPE_CHECKING:
    from pathlib import Path

TEST_FILES = ("test", "test_batch")  # CIFAR-100's and CIFAR-10's held-out part
SIDE, CHANNELS = 32, 3
COARSE_CLASSES = 20


class Refused(Exception):  # noqa: N818  not an error of the program
    """The pickle names something that no data set needs."""


class _Dtype:
    """What stands for numpy.dtype while the pickle is read: a code such as "u1"."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = code.decode() if isinstance(code, bytes) else str(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        if order not in ("|", "<", "="):
            raise Refused(f"numbers in the byte order {order}")


class _Array:
    """What stands for an array: numpy itself sees only bytes, a known type and a shape."""

    value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if fortran or not isinstance(dtype, _Dtype) or dtype.code not in ("u1", "i4", "i8"):
            raise Refused("an array of another kind than whole numbers")
        self.value = np.frombuffer(data, dtype.code).reshape(shape)


class DataUnpickler(pickle.Unpickler):
    """Plain containers and arrays of numbers, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = ALLOWED.get((module, name))
        if allowed is None:
            raise Refused(f"{module}.{name}")
        return allowed


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How Python 3 writes bytes into an old pickle. Other codecs could be made to unpack bombs."""
    if encoding != "latin1":
        raise Refused(f"the codec {encoding}")
    return text.encode("latin1")


def _reconstruct(*_: object) -> _Array:
    """An empty array; the pickle's next step fills it."""
    return _Array()


def _frombuffer(data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str = "C") -> _Array:
    """How newer pickles hold an array."""
    array = _Array()
    array.__setstate__((1, shape, dtype, order != "C", data))
    return array


ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


def open_cifar(layout: Layout) -> Dataset:
    """The held-out part, or the file named in labels."""
    path = layout.labels_path or _test_file(layout.folder)
    batch = load(path)
    pixels, labels = _arrays(batch, path.name, layout.classes)
    return of_arrays(
        pixels, labels, files=(path,), name=path.name, where=path.name, classes=layout.classes
    )


def load(path: Path) -> dict[Any, Any]:
    """The dictionary in the file; `InvalidSpec` when it holds anything else."""
    try:
        with path.open("rb") as file:
            batch = DataUnpickler(file, encoding="bytes").load()
    except Refused as error:
        raise invalid(
            f"{path.name} is a pickle that wants to load {error}: that is no CIFAR file, and it "
            "was not run"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a broken pickle can raise nearly anything
        raise invalid(f"{path.name} is no CIFAR file ({type(error).__name__})") from error
    if not isinstance(batch, dict):
        raise invalid(f"{path.name} is no CIFAR file: it holds no dictionary")
    return batch


def _test_file(folder: Path) -> Path:
    found = [path for path in all_files(folder) if path.name in TEST_FILES]
    if len(found) != 1:
        raise invalid(
            f"CifarPython needs one file {' or '.join(TEST_FILES)}, there are {len(found)}: unpack "
            "the authors' archive, or name the file in labels"
        )
    return found[0]


def _arrays(batch: dict[Any, Any], name: str, classes: int) -> tuple[Any, Any]:
    """(pictures [n, 32, 32, 3], labels [n]). The file has rows of 3072: red, green, blue planes."""
    values = {
        key.decode("latin1") if isinstance(key, bytes) else key: _plain(value)
        for key, value in batch.items()
    }
    keys = ["coarse_labels"] if classes == COARSE_CLASSES else ["fine_labels", "labels"]
    key = next((key for key in keys if key in values), None)
    data = values.get("data")
    row = CHANNELS * SIDE * SIDE
    fits = isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.shape[1:] == (row,)
    if key is None or not fits or not isinstance(data, np.ndarray):
        raise invalid(f"{name} is no CIFAR file: it needs data [n, {row}] and {' or '.join(keys)}")
    try:
        labels = np.array(values[key], dtype=np.int64)
    except (ValueError, TypeError, OverflowError) as error:
        raise invalid(f"{name}: its {key} are not whole numbers") from error
    pictures = data.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
    return pictures, labels


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, _Array) else value
