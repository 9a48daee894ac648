"""Exchanges what is native in the layers of an image: pure work on tar files, for arm64.py."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.images.tools import BuildError
from devkit.release.bytecode import is_stale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBRARIES = "opt/libraries/"
MACHINE = "aarch64"
ELF = b"\x7fELF"
STATUS = "var/lib/dpkg/status"
PLACED_BY_PIP = ("bin/", "include/")
"""Programs have this machine's Python in their first line, headers its version in their path."""
FOREIGN = ("x86_64", "x86-64", "ld.so.cache", "var/cache/", "var/log/", "var/lib/dpkg/")
"""Parts of the names of what amd64's scripts have made for amd64."""


@dataclass(frozen=True)
class File:
    """A member of a tar file with its content."""

    member: tarfile.TarInfo
    content: bytes = b""


def files(archive: Path) -> dict[str, File]:
    with tarfile.open(archive) as tar:
        return {
            member.name.removeprefix("./").rstrip("/"): File(
                member, (tar.extractfile(member) or io.BytesIO()).read() if member.isreg() else b""
            )
            for member in tar
        }


def write(found: dict[str, File], out: Path, time: Callable[[int], int]) -> None:
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(found, key=lambda n: (found[n].member.islnk(), n)):
            member = found[name].member
            member.name, member.mtime = name, time(int(member.mtime))
            member.uname, member.gname, member.pax_headers = "", "", {}
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            tar.addfile(member, io.BytesIO(found[name].content) if member.isreg() else None)


def has_libraries(layer: Path) -> bool:
    with tarfile.open(layer) as tar:
        return any(member.name.startswith(LIBRARIES) for member in tar)


def refuse_native(layer: Path) -> None:
    for name, file in files(layer).items():
        if file.content.startswith(ELF):
            raise BuildError(f"{name} is a program for amd64; no image for arm64 can have it")


def write_libraries(amd64: Path, installed: Path, out: Path, epoch: int) -> None:
    """Write amd64's layer with the native files of another machine's installation.

    What amd64's layer has and the installation has not is native, or bytecode; bytecode names its
    source by hash, so it is either right or not looked at.
    """
    found = {}
    for name, file in files(amd64).items():
        other = installed / name
        if not _is_exchanged(name, file):
            found[name] = file
        elif other.is_file():
            content = _portable(name, other.read_bytes())
            file.member.size = len(content)
            found[name] = File(file.member, content)
        elif not file.content.startswith(ELF):
            raise BuildError(f"{name} is in the wheels for amd64 and not in those for arm64")
    for name, file in _native(installed):
        found.setdefault(name, file)
    write({name: found[name] for name in _with_folders(found)}, out, lambda _: epoch)


def _is_exchanged(name: str, file: File) -> bool:
    """Tell whether a file comes out of a wheel as it is there, and not out of pip."""
    by_pip = name.startswith(tuple(f"{LIBRARIES}{place}" for place in PLACED_BY_PIP))
    return name.startswith(LIBRARIES) and file.member.isreg() and not by_pip and ".pyc" not in name


def _portable(name: str, content: bytes) -> bytes:
    """Return a wheel's list of files without the lines that depend on this machine's Python."""
    if not name.endswith(".dist-info/RECORD"):
        return content
    lines = content.splitlines(keepends=True)
    there = tuple(place.encode() for place in PLACED_BY_PIP)
    return b"".join(line for line in lines if not line.removeprefix(b"../../").startswith(there))


def _native(installed: Path) -> Iterator[tuple[str, File]]:
    for path in sorted(installed.rglob("*")):
        if path.is_file() and path.stat().st_size > len(ELF):
            with path.open("rb") as content:
                if content.read(len(ELF)) != ELF:
                    continue
            name = path.relative_to(installed).as_posix()
            member = tarfile.TarInfo(name)
            member.mode, member.size = 0o755, path.stat().st_size
            yield name, File(member, path.read_bytes())


def _with_folders(found: dict[str, File]) -> list[str]:
    """Add the folders that only the other machine has (numpy.libs); leave empty ones out."""
    names = set(found)
    for name in list(names):
        for folder in Path(name).parents:
            key = folder.as_posix()
            if key != "." and key not in names:
                member = tarfile.TarInfo(key)
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                found[key] = File(member)
                names.add(key)
    return sorted(names)


def write_base(arm64: Path, amd64: Path, out: Path, limit: int) -> None:
    """Write arm64's root, without what amd64's leaves out, with what scripts have made there."""
    theirs, found = files(amd64), files(arm64)
    kept = {
        name: file
        for name, file in found.items()
        if name in theirs or file.content.startswith(ELF) or MACHINE in name or name == STATUS
    }
    for name, file in theirs.items():
        native = file.content.startswith(ELF) or any(part in name for part in FOREIGN)
        if name not in kept and not native:
            kept[name] = file
    for name in ("", "."):
        kept.pop(name, None)
    times = {name: min(int(file.member.mtime), limit) for name, file in kept.items()}
    used = {name: file for name, file in kept.items() if not is_stale(name, file.content, times)}
    write(used, out, lambda time: min(time, limit))
