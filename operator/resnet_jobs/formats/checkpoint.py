"""What a PyTorch file is and holds, read without torch and without running what is in it.

Called by `torch_model`. A checkpoint is a pickle, which names functions to call; here only those
that make a tensor are known, and they make its shape instead.
"""

from __future__ import annotations

import collections
import io
import pickle
import re
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

from resnet_jobs.driver.checkpoint import MisfitError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

CHECKPOINT, OLD_CHECKPOINT, TORCH_SCRIPT = "checkpoint", "old checkpoint", "TorchScript"
OLD_MAGIC = 0x1950A86A20F9469CFC6C  # the first value of a file of before PyTorch 1.6
MOST_BYTES = 64 << 20  # of the pickle of a zip: names and shapes, no weights
SAVE_HINT = "save the weights alone: torch.save(model.state_dict(), path)"
DAMAGED = "the file is a damaged or cut-off archive, or none of PyTorch's: put it there again"


def read_kind(path: Path) -> str:
    """One of the three kinds; `MisfitError` that says what the file is instead."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PK\x03\x04"):
        names = {name.rpartition("/")[2] for name in _names(path)}
        if "data.pkl" not in names:
            raise MisfitError(DAMAGED)
        return TORCH_SCRIPT if "constants.pkl" in names else CHECKPOINT
    kind = "no PyTorch file"
    if tarfile.is_tarfile(path):
        kind = "in PyTorch's format of before 0.1.10, which cannot be loaded safely; " + SAVE_HINT
    elif re.match(rb"\x80[\x02-\x05]", head):
        return OLD_CHECKPOINT
    elif head.startswith(b"version https://git-lfs"):
        kind = "a Git LFS pointer; fetch the file with `git lfs pull` first"
    elif re.match(rb"\s*<", head):
        kind = "a web page; write the address of the file itself"
    elif b"onnx" in head or b"pytorch" in head:
        kind = "an ONNX model; TorchAIE compiles PyTorch files, so bring one or remove the runtime"
    raise MisfitError(f"the file is {kind}")


def read_shapes(path: Path) -> Any:
    """The checkpoint with its `Sizes` in place of every tensor."""
    try:
        if read_kind(path) == CHECKPOINT:
            return _Shapes(io.BytesIO(_pickle_of(path))).load()
        with path.open("rb") as file:
            return _read_old(file)
    except MisfitError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise MisfitError(f"the file cannot be read ({error}): put it there again") from error


def _read_old(file: BinaryIO) -> Any:
    """Three pickles before that of the weights: a magic number, a version, and the writer's sizes.

    The numbers themselves follow, and are not read.
    """
    if _Shapes(file).load() != OLD_MAGIC:
        raise MisfitError("the file is a pickle, but none of PyTorch's: " + SAVE_HINT)
    for _ in ("version", "sizes"):
        _Shapes(file).load()
    return _Shapes(file).load()


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise MisfitError(DAMAGED) from error


def _pickle_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("/data.pkl"))
        if archive.getinfo(name).file_size > MOST_BYTES:
            raise MisfitError("the checkpoint holds more than weights: " + SAVE_HINT)
        return archive.read(name)


class _Shapes(pickle.Unpickler):
    """Calls nothing but what is written below."""

    def find_class(self, module: str, name: str) -> Any:
        known = KNOWN.get((module, name))
        if known is not None:
            return known
        if module == "torch" and (name.endswith("Storage") or name in TYPES):
            return _Named
        raise MisfitError(
            f"the checkpoint holds more than weights ({module}.{name}): save "
            "torch.save(model.state_dict(), path); loading this one would run code from it"
        )

    def persistent_load(self, _: Any) -> Any:
        """A tensor's numbers, which stay where they are."""
        return None


class _Named:
    """Stands for a class that is only named."""

    def __init__(self, *_: Any) -> None: ...


class Sizes(tuple[int, ...]):
    """The shape of a tensor, and not any other tuple."""


def _tensor(_storage: Any, _offset: int, size: Any, *_: Any) -> Sizes:
    return Sizes(int(number) for number in size)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _size(numbers: Any = ()) -> tuple[int, ...]:
    return tuple(numbers)


KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}
TYPES = {"float32", "float16", "float64", "int64", "device"}
