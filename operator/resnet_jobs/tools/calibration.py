"""The calibration set: from pictures, raw batches or an array to the .bin files that AMCT reads.

Called by `quantization` during `prepare`. AMCT takes one folder for each input of the model and in
it one file for each batch, without any header; it checks nothing but the size. The recipes of the
vendor fill it with copies of one picture, or with blue and red exchanged, and lose accuracy. So
pictures come here through the same block that describes serving, and each is another one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs import pictures
from resnet_jobs.base.errors import invalid
from resnet_jobs.base.files import copy_file, digest_file, no_space_explained, require_space
from resnet_jobs.base.progress import say
from resnet_jobs.tools.calibration_files import (
    FIELD,
    load_array,
    picture_files,
    raw_batches,
    shown,
    spread,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_contract.types import Preprocessing
    from resnet_jobs.base.errors import JobError
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.model.inspect import Tensor

    Array = np.ndarray[Any, Any]

DATA_TYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "FP16": np.dtype("<f2")}
EVERY_PERCENT = 10


@dataclass(frozen=True)
class CalibrationSet:
    """What AMCT is given: a folder for each input, `batches` files of `batch` samples in each."""

    folders: tuple[Path, ...]
    data_types: tuple[str, ...]
    batch: int
    batches: int
    sha256: str


def write_calibration(
    spec: JobSpec,
    workspace: Workspace,
    inputs: Sequence[Tensor],
    *,
    preprocessing: Preprocessing | None,
) -> CalibrationSet:
    """Fills workspace.calib_bins. `inputs` are the model's own, before AIPP changes them.

    `preprocessing` is the structured block, or what a raw AIPP text amounts to. `InvalidSpec` for
    a set that is too small or does not fit the model, with both numbers.
    """
    if spec.quantization is None:
        raise ValueError("the order asks for no quantization")
    wish, batch = spec.quantization.calibration, spec.batch_sizes[0]
    folders = tuple(
        workspace.calib_bins / folder_name(tensor.name, index)
        for index, tensor in enumerate(inputs)
    )
    needed = sum(wish.batches * batch_bytes(tensor, batch) for tensor in inputs)
    require_space(workspace.scratch, needed)
    job = _Job(workspace.calibration, batch, wish.batches, preprocessing)
    write = {"Images": _write_images, "RawBatches": _write_raw, "Npy": _write_arrays}[wish.format]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    write(job, inputs, folders)
    return CalibrationSet(
        folders=folders,
        data_types=tuple(str(DATA_TYPES[tensor.data_type].name) for tensor in inputs),
        batch=batch,
        batches=wish.batches,
        sha256=_digest(folders, wish.batches),
    )


def folder_name(name: str, index: int) -> str:
    """The input's own name where a folder may have it: it stands in AMCT's command line."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".-")
    return plain if plain and plain == name else f"{index}_{plain[:100]}"


def batch_bytes(tensor: Tensor, batch: int) -> int:
    return int(batch * prod(tensor.dims) * DATA_TYPES[tensor.data_type].itemsize)


@dataclass(frozen=True)
class _Job:
    """What every format needs to know."""

    source: Path
    batch: int
    batches: int
    preprocessing: Preprocessing | None

    @property
    def samples(self) -> int:
        return self.batch * self.batches


def _write_images(job: _Job, inputs: Sequence[Tensor], folders: Sequence[Path]) -> None:
    see = _network_view(job, inputs)
    files = picture_files(job.source)
    if len(files) < job.samples:
        raise _too_few(job, f"{len(files)} pictures" + ("" if files else " (.jpg, .png and so on)"))
    chosen = spread(files, job.samples)

    def load(index: int) -> Array:
        try:
            return see(pictures.decode(chosen[index].read_bytes()))
        except pictures.PictureError as error:
            raise _unusable(shown(chosen[index], job.source), error) from error

    _write_batches(job, load, folders[0], inputs[0])


def _network_view(job: _Job, inputs: Sequence[Tensor]) -> Callable[[Array], Array]:
    """What makes the model's input of a picture; refuses what pictures cannot fill."""
    wish = job.preprocessing
    if wish is None:
        raise invalid(
            f"{FIELD}: pictures need spec.conversion.preprocessing, which says how one becomes the "
            "model's input: write pixelFormat, source, mean and std, or bring float32 arrays (Npy)"
        )
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs)
        raise invalid(
            f"{FIELD}: pictures fill one input, the model has {len(inputs)} ({names}): bring Npy "
            "or RawBatches with a file or folder named as each input"
        )
    name, dims = inputs[0].name, inputs[0].dims
    channels = pictures.CHANNELS[wish.pixel_format]
    if len(dims) != 3 or dims[0] != channels:
        raise invalid(
            f"{FIELD}: pixelFormat {wish.pixel_format} gives {channels} channel(s), but input "
            f'"{name}" is {list(dims)}: choose a pixelFormat that fits'
        )
    size = (dims[1], dims[2])
    top, left, height, width = pictures.crop_box(wish, size)
    if (height, width) != size or min(top, left) < 0:
        raise invalid(
            f"spec.conversion.preprocessing gives pictures of {height}x{width} out of "
            f'{wish.source_height}x{wish.source_width}, but input "{name}" is {list(dims)}: '
            "correct crop or source"
        )
    return lambda picture: pictures.normalise(pictures.to_source(picture, wish), wish, size)


def _write_arrays(job: _Job, inputs: Sequence[Tensor], folders: Sequence[Path]) -> None:
    for tensor, folder in zip(inputs, folders, strict=True):
        array = load_array(job.source, tensor.name if len(inputs) > 1 else None)
        as_pictures = array.dtype == np.uint8 and array.ndim == 4 and array.shape[-1] == 3
        if not as_pictures and (array.dtype.kind != "f" or array.shape[1:] != tensor.dims):
            dims = ", ".join(map(str, tensor.dims))
            raise invalid(
                f'the calibration array is {array.dtype} {list(array.shape)}; input "{tensor.name}"'
                f" needs float32 [n, {dims}], or uint8 pictures [n, height, width, 3]"
            )
        if len(array) < job.samples:
            raise _too_few(job, f"{len(array)} samples")
        see = _network_view(job, inputs) if as_pictures else np.asarray

        def load(index: int, array: Array = array, see: Callable[..., Array] = see) -> Array:
            try:
                return see(array[index])
            except pictures.PictureError as error:
                raise _unusable(f"number {index} of the array", error) from error

        _write_batches(job, load, folder, tensor)


def _write_raw(job: _Job, inputs: Sequence[Tensor], folders: Sequence[Path]) -> None:
    """The user's own batches, in the order of their names as AMCT takes them."""
    for tensor, folder in zip(inputs, folders, strict=True):
        files = raw_batches(job.source, tensor.name if len(inputs) > 1 else None)
        if len(files) < job.batches:
            raise invalid(
                f"{FIELD} has {len(files)} .bin files and batches is {job.batches}: add files or "
                "write the smaller number"
            )
        want = batch_bytes(tensor, job.batch)
        for path in files[: job.batches]:
            if path.stat().st_size != want:
                dims = ", ".join(map(str, [job.batch, *tensor.dims]))
                raise invalid(
                    f"{shown(path, job.source)} has {path.stat().st_size} bytes; a batch for input "
                    f'"{tensor.name}" [{dims}] {tensor.data_type} has {want}: write one whole '
                    "batch into each file"
                )
        for index, path in enumerate(files[: job.batches]):
            copy_file(path, _bin(folder, index), monotonic=lambda: 0.0)


def _write_batches(job: _Job, load: Callable[[int], Array], folder: Path, tensor: Tensor) -> None:
    data_type = DATA_TYPES[tensor.data_type]
    told = 0
    for number in range(job.batches):
        path = _bin(folder, number)
        with no_space_explained(path), path.open("wb") as file:
            for index in range(number * job.batch, (number + 1) * job.batch):
                file.write(np.ascontiguousarray(load(index), dtype=data_type).tobytes())
        percent = 100 * (number + 1) // job.batches
        if percent >= told + EVERY_PERCENT or percent == 100:
            told = percent
            say(f"calibration batch {number + 1} of {job.batches} written ({percent} %)")


def _bin(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.bin"


def _digest(folders: Sequence[Path], batches: int) -> str:
    """One digest of all that AMCT will read: another picture makes another artifact."""
    checksum = hashlib.sha256()
    for folder in folders:
        for number in range(batches):
            digest = digest_file(_bin(folder, number))
            checksum.update(f"{digest.sha256}  {folder.name}/{number:06d}.bin\n".encode())
    return checksum.hexdigest()


def _unusable(which: str, error: Exception) -> JobError:
    return invalid(
        f"the calibration picture {which} cannot be used: {error}; replace it or take it out"
    )


def _too_few(job: _Job, have: str) -> JobError:
    return invalid(
        f"{FIELD} has {have}, but batches {job.batches} of batch size {job.batch} need "
        f"{job.samples} different ones: add some, or write fewer batches"
    )
