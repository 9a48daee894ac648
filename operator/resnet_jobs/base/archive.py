"""Unpacks .tar, .tar.gz, .tgz and .zip: calibration sets and datasets that a user named.

Only folders and regular files come out, always inside the target. Links, devices and paths that
lead out are refused and not skipped: half a dataset would be measured as if it were the whole.
Every file is checked against the free space before it is written, so an archive that unpacks to
a thousand times its size ends as a sentence.

Called by `file_sets`.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from resnet_contract.foreign.kinds import HEAD_BYTES, MARK, kind_of
from resnet_jobs.base.errors import JobError, invalid
from resnet_jobs.base.files import CHUNK_BYTES, no_space_explained, require_space
from resnet_jobs.base.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from typing import IO

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
MAX_FILES = 2_000_000  # ImageNet has 1.3 million
# What the standard library raises for an archive that is broken, or no archive.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
    ValueError,
    ArithmeticError,
    LookupError,
    RecursionError,
    RuntimeError,
    struct.error,
)
ZIPS = ("a ZIP archive", "an empty ZIP archive")
TARS = ("a gzip archive", "a tar archive")
# What a file is by its content whose name says something else.
OTHER_KINDS = {
    **dict.fromkeys(ZIPS, "a ZIP archive by its content"),
    **{kind: f"{kind} by its content" for kind in TARS},
    **{kind: kind for kind in ("a 7-Zip archive", "a RAR archive", "a Zstandard archive")},
    "a Git LFS pointer": "a Git LFS pointer and not the file; `git lfs pull` fetches it",
}
MARKUP = MARK + rb"\s*<"
# Errors of the archive: None is bzip2's and xz's own, EINVAL that of a place before the file.
DAMAGED = "is damaged or not what its name says: pack it again"
ODD_ERRORS = {
    None: DAMAGED,
    errno.EINVAL: DAMAGED,
    errno.ENAMETOOLONG: "has a name that is too long for the disk: shorten it",
    errno.EILSEQ: "has a name that the disk does not take: pack it again with names in UTF-8",
}
MACOS = ("__MACOSX", ".DS_Store")  # what the Finder adds, besides files that begin with "._"


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive."""

    files: int
    size: int


def is_archive(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def unpack(path: Path, folder: Path, *, name: str, monotonic: Callable[[], float]) -> Unpacked:
    """Unpacks `path` into `folder`; `name` has the suffix and stands in the sentences."""
    folder.mkdir(parents=True, exist_ok=True)
    progress = Progress("unpacked", total=None, monotonic=monotonic)
    entries = _zip_entries if name.lower().endswith(".zip") else _tar_entries
    count = 0
    try:
        with no_space_explained(folder / "x"), contextlib.closing(entries(path, name)) as members:
            for member in members:
                count += 1
                if count > MAX_FILES:
                    raise _refused(name, f"holds more than {MAX_FILES} files")
                _write(member, folder, name=name, progress=progress)
    except DAMAGE as error:
        if kind := _other_kind(path, name):
            raise _refused(name, f"is {kind}: pack it as {', '.join(SUFFIXES)}") from error
        first = str(error).partition(":\n")[0]
        raise _refused(
            name, f"is damaged or not what its name says ({first}): pack it again"
        ) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _refused(name, "has a file and a folder of one name: pack it again") from error
    except OSError as error:
        if error.errno not in ODD_ERRORS:
            raise
        raise _refused(name, ODD_ERRORS[error.errno]) from error
    if not count:
        raise _refused(name, "holds no files")
    progress.finish()
    return Unpacked(files=count, size=progress.done)


@dataclass(frozen=True)
class _Member:
    """A regular file of an archive, its path checked."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def _write(member: _Member, folder: Path, *, name: str, progress: Progress) -> None:
    """The size in the header is a claim: more bytes than it says are an attack or damage."""
    require_space(folder, member.size)
    target = folder / member.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        raise _refused(name, f'holds "{member.path}" twice: pack it again')
    left = member.size
    with member.open() as reader, target.open("wb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise _refused(name, f'is damaged: "{member.path}" is longer than it says')
            writer.write(chunk)
            progress.advance(len(chunk))
    if left:
        raise _refused(name, f'is damaged: "{member.path}" is shorter than it says')


def _tar_entries(path: Path, name: str) -> Generator[_Member]:
    with tarfile.open(path, "r:*") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # it keeps every header otherwise: gigabytes for a large set
            if member.issym() or member.islnk():
                raise _refused(
                    name,
                    f'holds the link "{member.name}": pack the files themselves, tar '
                    "--dereference --hard-dereference",
                )
            inside = _inside(member.name, name)
            if member.isdir() or inside is None:
                continue
            if not member.isreg():
                raise _refused(name, f'holds "{member.name}", which is no file: leave it out')
            yield _Member(inside, member.size, partial(_opened, archive, member))
        # The checksum of a .gz stands at its very end, and is checked there.
        while archive.fileobj and (rest := archive.fileobj.read(CHUNK_BYTES)):
            if rest.strip(b"\0"):
                raise _refused(
                    name, "goes on behind its end, as two that were put together do: pack it again"
                )


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise tarfile.ReadError(f'"{member.name}" has no content')
    return file


def _zip_entries(path: Path, name: str) -> Generator[_Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            if stat.S_ISLNK(mode):
                raise _refused(
                    name, f'holds the link "{member.filename}": pack the file itself, without -y'
                )
            inside = _inside(member.filename, name)
            if not member.filename:
                raise _refused(name, "holds a file without a name: pack it again")
            if member.is_dir() or member.filename.endswith("\\") or inside is None:
                continue
            if member.flag_bits & 1:
                raise _refused(name, "is encrypted: pack it without a password")
            yield _Member(inside, member.file_size, partial(archive.open, member))


def _inside(text: str, name: str) -> PurePosixPath | None:
    """The path below the target; None for what the Finder adds.

    Windows programs write paths with backslashes, into zip files above all, and drive letters.
    """
    path = PurePosixPath(text.replace("\\", "/"))
    drive = re.match(r"[A-Za-z]:", text)
    if path.is_absolute() or ".." in path.parts or drive or "\0" in text:
        raise _refused(name, f'holds the path "{text[:80]}", which leads out of it: pack it again')
    if any(part in MACOS or part.startswith("._") for part in path.parts):
        return None
    return path


def _other_kind(path: Path, name: str) -> str | None:
    """What a file is that its name does not say."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        return "empty"
    found = kind_of(head, OTHER_KINDS)
    kind = found.name if found else ""
    if kind in (ZIPS if name.lower().endswith(".zip") else TARS):
        return None
    if not kind and re.match(MARKUP, head):
        return "a web page or an XML document"
    return OTHER_KINDS.get(kind)


def _refused(name: str, what: str) -> JobError:
    return invalid(f"the archive {name} {what}")
