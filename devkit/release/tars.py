"""Tar files whose bytes follow from their content alone: sorted, one time, no owner's name.

Everything in a release is written through here, so that the same commit gives the same files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from devkit.release.bytecode import HEAD_BYTES, is_stale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NO_CONTENT = {"var/cache/ldconfig/aux-cache"}
"""ldconfig's notes about inodes of the machine that it ran on."""
COPY_BYTES = 1 << 20
KEPT_ATTRIBUTES = "SCHILY.xattr."
"""Of the extended headers only these are content: capabilities of programs, for example."""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rewrite(
    source: Path,
    out: BinaryIO,
    time: Callable[[int], int],
    *,
    mode: Callable[[str, int], int] | None = None,
) -> None:
    """Write the members of a tar file again, sorted by name, with other times and modes.

    Hard links come last, because what they link to has to be there. What is of no use to anybody
    else is left out: see NO_CONTENT and `bytecode`.
    """
    with (
        tarfile.open(source) as tar,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        members = sorted(tar, key=lambda m: (m.islnk(), m.name))
        times = {member.name: time(int(member.mtime)) for member in members}
        for member in members:
            if member.name.removeprefix("./") in NO_CONTENT or _is_stale(tar, member, times):
                continue
            member.mtime = times[member.name]
            member.uname = member.gname = ""
            member.pax_headers = {
                name: value
                for name, value in member.pax_headers.items()
                if name.startswith(KEPT_ATTRIBUTES)
            }
            if mode:
                member.mode = mode(member.name, member.mode)
            new.addfile(member, tar.extractfile(member) if member.isreg() else None)


def _is_stale(tar: tarfile.TarFile, member: tarfile.TarInfo, times: Mapping[str, int]) -> bool:
    if not member.isreg() or not member.name.endswith(".pyc"):
        return False
    content = tar.extractfile(member)
    return content is not None and is_stale(member.name, content.read(HEAD_BYTES), times)


def pack(folder: Path, out: BinaryIO, epoch: int, *, below: str = "") -> None:
    """Write a folder as a tar file, its content under the name `below`."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in _paths(folder):
            name = str(Path(below) / path.relative_to(folder))
            member = tar.gettarinfo(path, name)
            executable = path.is_dir() or path.stat().st_mode & 0o100
            member.mode = 0o755 if executable else 0o644
            member.mtime, member.uid, member.gid = epoch, 0, 0
            member.uname = member.gname = ""
            member.type = tarfile.DIRTYPE if path.is_dir() else tarfile.REGTYPE
            if path.is_dir():
                tar.addfile(member)
            else:
                member.size = path.stat().st_size  # a hard link to a file written before has none
                with path.open("rb") as content:
                    tar.addfile(member, content)


def repack_tgz(source: Path, out: Path, epoch: int) -> None:
    """Write a .tgz again with sorted members and one time."""
    plain = io.BytesIO()
    rewrite(source, plain, lambda _: epoch)
    plain.seek(0)
    with out.open("wb") as file:
        compress(plain, file)


def compress(source: BinaryIO, out: BinaryIO) -> None:
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as packed:
        while data := source.read(COPY_BYTES):
            packed.write(data)


def _paths(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts))
