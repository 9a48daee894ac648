"""Opens what `torch.save` wrote: the archive of today, and the stream of pickles of before 1.6.

Neither torch nor numpy is needed, and nothing in the file is run; pickled.py says why. Used by
`prepare`, and by the serving pods of TorchAIE, whose torch may be of any version.
"""

from __future__ import annotations

import re
import struct
import tarfile
from typing import Any, Dict, NamedTuple

from ..checkpoint import MisfitError
from .names import SIZES, Storage, Tensor
from .pickled import SAVE_HINT, read_pickle
from .torch_zip import DAMAGED, Member, read_members

CHECKPOINT, OLD_CHECKPOINT, TORCH_SCRIPT = "checkpoint", "old checkpoint", "TorchScript"
OLD_MAGIC = 0x1950A86A20F9469CFC6C  # the first value of a file of before PyTorch 1.6
MOST_STORAGES = 20_000
OTHER_ORDER = (
    "the checkpoint was saved on a machine of the other byte order: save it again on an x86 or ARM "
    "machine"
)


class Checkpoint(NamedTuple):
    """`root` is what was saved, with a `Tensor` for each tensor; `places` are the numbers'."""

    path: str
    root: Any
    places: Dict[str, Member]

    def check(self, tensor: Tensor) -> Member:
        """Where its numbers lie; `MisfitError` where the file has fewer than it says."""
        place = self.places.get(tensor.storage.key)
        if place is None or place.size < tensor.storage.length * SIZES[tensor.storage.kind]:
            raise MisfitError(DAMAGED)
        if place.is_packed:
            raise _packed()
        return place

    def numbers(self, tensor: Tensor) -> bytearray:
        """The bytes from the first number of a tensor to its last, little-endian."""
        size, place = SIZES[tensor.kind], self.check(tensor)
        if not tensor.length:
            return bytearray()
        steps = zip(tensor.shape, tensor.strides)  # noqa: B905
        span = sum((count - 1) * stride for count, stride in steps) + 1
        data = bytearray(span * size)
        with open(self.path, "rb") as file:
            file.seek(place.begin + tensor.offset * size)
            if file.readinto(data) != len(data):
                raise MisfitError(DAMAGED)
        return data


def read_kind(path: str) -> str:
    """One of the three kinds; `MisfitError` that says what the file is instead."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head.startswith(b"PK\x03\x04"):
            names = {name.rpartition("/")[2] for name in read_members(file)}
            if "data.pkl" not in names:
                raise MisfitError(DAMAGED)
            return TORCH_SCRIPT if "constants.pkl" in names else CHECKPOINT
    kind = "no PyTorch file; check spec.model.uri"
    if tarfile.is_tarfile(path):  # whatever its first bytes are
        kind = "in PyTorch's format of before 0.1.10, which cannot be loaded safely; " + SAVE_HINT
    elif re.match(rb"\x80[\x02-\x05]", head):
        return OLD_CHECKPOINT
    elif head.startswith(b"version https://git-lfs"):
        kind = "a Git LFS pointer; fetch the file with `git lfs pull` first"
    elif re.match(rb"\s*<", head):
        kind = "a web page; write the address of the file itself"
    elif b"onnx" in head or b"pytorch" in head:
        kind = "an ONNX model; write spec.model.format: ONNX"
    raise MisfitError("the file is {}".format(kind))


def open_checkpoint(path: str) -> Checkpoint:
    """`MisfitError` for anything that is not a sound checkpoint."""
    kind = read_kind(path)
    if kind == TORCH_SCRIPT:
        raise MisfitError(
            "the file is TorchScript, not weights: write spec.model.format: TorchScript",
            field=True,
        )
    return _open_old(path) if kind == OLD_CHECKPOINT else _open_archive(path)


def _open_archive(path: str) -> Checkpoint:
    with open(path, "rb") as file:
        members = read_members(file)
        pickles = [name for name in members if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise MisfitError(DAMAGED)
        top = pickles[0][: -len("data.pkl")]
        order = members.get(top + "byteorder")
        if order is not None and _text(file, order) != b"little":
            raise MisfitError(OTHER_ORDER)
        place = members[pickles[0]]
        if place.is_packed:
            raise _packed()
        file.seek(place.begin)
        root = read_pickle(file)
        if file.tell() > place.begin + place.size:
            raise MisfitError(DAMAGED)
    folder = top + "data/"
    places = {
        name[len(folder) :]: member for name, member in members.items() if name.startswith(folder)
    }
    return Checkpoint(path, root, places)


def _packed() -> MisfitError:
    return MisfitError(
        "the archive is compressed or locked, as PyTorch never writes it: save the checkpoint with "
        "torch.save, or unpack it first"
    )


def _text(file: Any, member: Member) -> bytes:
    file.seek(member.begin)
    return bytes(file.read(min(member.size, 16))).strip()


def _open_old(path: str) -> Checkpoint:
    """A magic number, a version, the writer's sizes, the weights, the storages' names; then the
    numbers of each storage behind their count.
    """
    with open(path, "rb") as file:
        if read_pickle(file) != OLD_MAGIC:
            raise MisfitError("the file is a pickle, but none of PyTorch's: " + SAVE_HINT)
        read_pickle(file)
        sizes = read_pickle(file)
        if isinstance(sizes, dict) and sizes.get("little_endian") is False:
            raise MisfitError(OTHER_ORDER)
        storages: Dict[str, Storage] = {}
        root = read_pickle(file, storages)
        keys = read_pickle(file)
        return Checkpoint(path, root, _old_places(file, keys, storages))


def _old_places(file: Any, keys: Any, known: Dict[str, Storage]) -> Dict[str, Member]:
    if not isinstance(keys, list) or len(keys) > MOST_STORAGES:
        raise MisfitError(DAMAGED)
    places: Dict[str, Member] = {}
    for key in keys:
        head = file.read(8)
        storage = known.get(key) if isinstance(key, str) else None
        if len(head) != 8 or storage is None or key in places:
            raise MisfitError(DAMAGED)
        (count,) = struct.unpack("<q", head)
        if count != storage.length:
            raise MisfitError(DAMAGED)
        places[key] = Member(file.tell(), count * SIZES[storage.kind])
        file.seek(places[key].size, 1)
    end = file.tell()
    file.seek(0, 2)
    if file.tell() < end:
        raise MisfitError(DAMAGED)
    return places
