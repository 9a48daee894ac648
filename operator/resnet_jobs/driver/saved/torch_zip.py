"""The archive of a PyTorch file: which bytes of it are which member, read by ourselves.

PyTorch writes its weights uncompressed and all members one after the other. Whatever is otherwise
is refused here, from the sizes alone: compressed numbers (bombs), two members of one name, members
inside of others. Called by torch_file.py.
"""

from __future__ import annotations

import os
import struct
from typing import Any, Dict, List, NamedTuple, Tuple

from ..checkpoint import MisfitError

DAMAGED = "the file is a damaged or cut-off archive, or none of PyTorch's: put it there again"
END, END_64, LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
LONGEST_COMMENT = 65535
MOST_MEMBERS = 20_000
MOST_DIRECTORY = 16 << 20
FULL_32 = 0xFFFFFFFF


class Member(NamedTuple):
    """Where a member's bytes lie in the file; TorchScript compresses its code."""

    begin: int
    size: int
    is_packed: bool = False


class Header(NamedTuple):
    """What the directory says of a member; `begin` is where its own header lies."""

    name: str
    size: int
    begin: int
    is_packed: bool


def read_members(file: Any) -> Dict[str, Member]:
    """Name -> place; `MisfitError` for an archive that PyTorch does not write."""
    try:
        size = os.fstat(file.fileno()).st_size
        count, directory, begin = _directory(file, size)
        headers = _headers(directory, count)
        return _places(file, headers, begin)
    except (struct.error, ValueError, IndexError, OverflowError, OSError) as error:
        raise MisfitError(DAMAGED) from error


def _directory(file: Any, size: int) -> Tuple[int, bytes, int]:
    """(members, the central directory, where it begins)."""
    tail_size = min(size, LONGEST_COMMENT + 22)
    tail = _read(file, size - tail_size, tail_size)
    at = tail.rfind(END)
    if at < 0:
        raise MisfitError(DAMAGED)
    count, length, begin = struct.unpack_from("<HII", tail, at + 10)
    end = size - tail_size + at
    if end >= 20 and _read(file, end - 20, 4) == LOCATOR_64:
        end, count, length, begin = _end_64(file, end)
    if begin + length != end or length > MOST_DIRECTORY or count > MOST_MEMBERS:
        raise MisfitError(DAMAGED)
    return count, _read(file, begin, length), begin


def _end_64(file: Any, end: int) -> Tuple[int, int, int, int]:
    """(where the record begins, members, length and begin of the directory) of a large archive."""
    (place,) = struct.unpack_from("<Q", _read(file, end - 20, 20), 8)
    record = _read(file, place, 56)
    if record[:4] != END_64 or place + 76 != end:
        raise MisfitError(DAMAGED)
    count, length, begin = struct.unpack_from("<QQQ", record, 32)
    return place, count, length, begin


def _headers(directory: bytes, count: int) -> List[Header]:
    found: List[Header] = []
    at = 0
    for _ in range(count):
        if directory[at : at + 4] != CENTRAL:
            raise MisfitError(DAMAGED)
        flags, method = struct.unpack_from("<HH", directory, at + 8)
        packed, size, names, extras, comments = struct.unpack_from("<IIHHH", directory, at + 20)
        (begin,) = struct.unpack_from("<I", directory, at + 42)
        name = directory[at + 46 : at + 46 + names].decode("utf-8")
        extra = directory[at + 46 + names : at + 46 + names + extras]
        packed, size, begin = _large(extra, [size, packed, begin])
        is_packed = bool(method or flags & 1)
        if packed != size and not is_packed:
            raise MisfitError(DAMAGED)
        found.append(Header(name, packed, begin, is_packed))
        at += 46 + names + extras + comments
    if at != len(directory) or len({header.name for header in found}) != len(found):
        raise MisfitError(DAMAGED)
    return found


def _large(extra: bytes, numbers: List[int]) -> Tuple[int, int, int]:
    """(packed, size, begin), each from the extra field where its own is full."""
    at = 0
    large = b""
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            large = extra[at + 4 : at + 4 + length]
        at += 4 + length
    for index, number in enumerate(numbers):
        if number == FULL_32:
            (numbers[index],) = struct.unpack_from("<Q", large)
            large = large[8:]
    size, packed, begin = numbers
    return packed, size, begin


def _places(file: Any, headers: List[Header], limit: int) -> Dict[str, Member]:
    """Members in the order of the file must not reach into each other, or the directory."""
    found: Dict[str, Member] = {}
    behind = 0
    for name, size, begin, is_packed in sorted(headers, key=lambda header: header.begin):
        if begin < behind:
            raise MisfitError(DAMAGED)
        local = _read(file, begin, 30)
        names, extras = struct.unpack_from("<HH", local, 26)
        own = _read(file, begin + 30, names)
        if local[:4] != LOCAL or own != name.encode("utf-8"):
            raise MisfitError(DAMAGED)
        member = Member(begin + 30 + names + extras, size, is_packed)
        behind = member.begin + size
        if behind > limit:
            raise MisfitError(DAMAGED)
        found[name] = member
    return found


def _read(file: Any, begin: int, size: int) -> bytes:
    if begin < 0:
        raise MisfitError(DAMAGED)
    file.seek(begin)
    data = bytes(file.read(size))
    if len(data) != size:
        raise MisfitError(DAMAGED)
    return data
