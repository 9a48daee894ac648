"""The calibration data: raw .bin files, one whole batch each. Used by cli.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amct_onnx.errors import AmctError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


def parse_shapes(text: str) -> dict[str, tuple[int, ...]]:
    """`name:1,3,224,224;name2:…`"""
    shapes: dict[str, tuple[int, ...]] = {}
    for part in filter(None, text.split(";")):
        name, colon, sizes = part.rpartition(":")
        try:
            shape = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            shape = ()
        if not colon or not name or not shape or min(shape) < 1:
            sentence = f'The input_shape "{part}" is invalid; write "name:n,c,h,w".'
            raise AmctError("Command", sentence)
        shapes[name] = shape
    return shapes


class Batches:
    """The batches in the ascending order of the files' names."""

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], folders: Sequence[str], types: Sequence[str]
    ) -> None:
        if not len(shapes) == len(folders) == len(types):
            raise AmctError(
                "Command",
                f"input_shape names {len(shapes)} inputs, data_dir {len(folders)}, "
                f"data_types {len(types)}; they must be as many.",
            )
        for word in types:
            if word not in TYPES:
                raise AmctError(
                    "Command", f"The data type {word} is not one of {', '.join(TYPES)}."
                )
        self._shapes = shapes
        self._types = [np.dtype(word) for word in types]
        self._files = [self._listed(Path(folder)) for folder in folders]

    @staticmethod
    def _listed(folder: Path) -> list[Path]:
        if not folder.is_dir():
            raise AmctError("Command", f"The data_dir {folder} is no directory.")
        files = sorted(folder.glob("*.bin"))
        if not files:
            raise AmctError("Command", f"There is no .bin file in the data_dir {folder}.")
        return files

    def __len__(self) -> int:
        return min(len(files) for files in self._files)

    def first(self, count: int) -> Iterator[dict[str, np.ndarray]]:
        if count > len(self):
            raise AmctError(
                "Calibration",
                f"batch_num is {count}, but there are only {len(self)} batches of data.",
            )
        for number in range(count):
            columns = zip(self._shapes.items(), self._files, self._types, strict=True)
            yield {
                name: self._read(files[number], shape, dtype)
                for (name, shape), files, dtype in columns
            }

    @staticmethod
    def _read(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        size, wanted = path.stat().st_size, int(np.prod(shape)) * dtype.itemsize
        if size != wanted:
            sentence = f"input image size[{size}] is not equal to model input size[{wanted}]"
            raise AmctError("Calibration", f"{sentence}: {path}")
        return np.fromfile(path, dtype).reshape(shape)
