"""Copies and digests of local files, with the free space checked before and not after.

Used by `sources` (pvc and configmap), `store_shared` and `download`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.progress import Progress, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import IO

CHUNK_BYTES = 1024 * 1024
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Digest:
    """What a file is: its SHA-256 in hexadecimal and its size."""

    sha256: str
    size: int


def digest_of(chunks: Iterable[bytes], write: Callable[[bytes], object] | None = None) -> Digest:
    """Of all chunks together; each is given to `write` on the way."""
    checksum, size = hashlib.sha256(), 0
    for chunk in chunks:
        if write is not None:
            write(chunk)
        checksum.update(chunk)
        size += len(chunk)
    return Digest(sha256=checksum.hexdigest(), size=size)


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK_BYTES), b"")


def digest_file(path: Path) -> Digest:
    """Reads the file once."""
    with path.open("rb") as file:
        return digest_of(chunks_of(file))


def copy_file(source: Path, target: Path, *, monotonic: Callable[[], float]) -> Digest:
    """Copies with progress and returns the digest, computed on the way.

    `EphemeralStorageExceeded` before the first byte when the target's disk has no room.
    """
    size = source.stat().st_size
    target.parent.mkdir(parents=True, exist_ok=True)
    require_space(target.parent, size)
    progress = Progress("copied", total=size, monotonic=monotonic)
    digest = copy_quietly(source, target, progress=progress)
    progress.finish()
    return digest


def copy_quietly(source: Path, target: Path, *, progress: Progress) -> Digest:
    """The same for one file of many, whose folder and space the caller has seen to."""
    with source.open("rb") as reader, no_space_explained(target), target.open("wb") as writer:

        def write(chunk: bytes) -> None:
            writer.write(chunk)
            progress.advance(len(chunk))

        return digest_of(chunks_of(reader), write)


def require_space(folder: Path, needed: int) -> None:
    """`EphemeralStorageExceeded` unless `needed` bytes are free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise no_space(folder, f"needs {size_text(needed)} and has {size_text(free)} free")


@contextlib.contextmanager
def no_space_explained(target: Path) -> Iterator[None]:
    """Turns "no space left on device" while writing `target` into the failure it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise no_space(target.parent, "ran full") from error


def no_space(folder: Path, what: str) -> JobError:
    return JobError(
        Reason.EPHEMERAL_STORAGE_EXCEEDED,
        f"the pod's local disk ({folder}) {what}: free disk space on the node, or let the pod run "
        "on another one",
    )
