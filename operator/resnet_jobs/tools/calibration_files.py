"""Finds the files of a calibration set in the folder that `fetch` filled.

Called by `calibration`. What people bring is an archive with a folder or two around the files, the
macOS finder's shadows in it, or one single file; so files are looked for, not expected at a place.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from resnet_jobs import pictures
from resnet_jobs.base.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    Array = np.ndarray[Any, Any]

FIELD = "spec.conversion.quantization.calibration"
Item = TypeVar("Item")


def picture_files(folder: Path) -> list[Path]:
    """Every file with a picture's suffix, in the order of the paths."""
    return _files(folder, pictures.SUFFIXES)


def raw_batches(folder: Path, input_name: str | None) -> list[Path]:
    """The .bin files by name, as AMCT takes them. With several inputs, those in its folder."""
    found = _files(folder, (".bin",))
    return sorted(
        (path for path in found if input_name in (None, path.parent.name)), key=lambda p: p.name
    )


def load_array(folder: Path, input_name: str | None) -> Array:
    """The one array of a .npy or .npz, or with several inputs the one of that name.

    A .npy stays on the disk until it is read.
    """
    files = _files(folder, (".npy", ".npz"))
    if input_name is not None:
        named = [path for path in files if path.stem == input_name]
        files = named or [path for path in files if path.suffix == ".npz"]
    if len(files) != 1:
        which = "one .npy or .npz file" if input_name is None else f"one file {input_name}.npy"
        listed = ", ".join(shown(path, folder) for path in files[:3]) or "none"
        raise invalid(f"{FIELD}.format Npy needs {which}; the set has {len(files)}: {listed}")
    try:
        loaded = np.load(files[0], mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return _only_array(loaded, files[0].name, input_name)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise invalid(
            f"{shown(files[0], folder)} is no NumPy array ({error}): write it with numpy.save"
        ) from error


def _only_array(archive: Any, file_name: str, input_name: str | None) -> Array:
    names = list(archive.files)
    wanted = input_name if input_name in names else names[0]
    if input_name not in names and len(names) != 1:
        raise invalid(
            f"{file_name} holds {len(names)} arrays ({', '.join(names[:4])}): keep the one for "
            f"the model's input{'' if input_name is None else f' {input_name}'}"
        )
    array: Array = archive[wanted]
    return array


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` different items from the whole sequence: sets are often sorted by class."""
    return [items[index * len(items) // count] for index in range(count)]


def shown(path: Path, folder: Path) -> str:
    """The path inside the set, for people."""
    text = path.relative_to(folder).as_posix()
    return text if len(text) <= 80 else f"…{text[-79:]}"


def _files(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    wanted = tuple(suffixes)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in wanted and not path.name.startswith(".") and path.is_file()
    )
