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
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHUNK_BYTES = 1024 * 1024
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Digest:
    """What a file is: its SHA-256 in hexadecimal and its size."""

    sha256: str
    size: int


def digest_file(path: Path) -> Digest:
    """Reads the file once."""
    checksum, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            checksum.update(chunk)
            size += len(chunk)
    return Digest(sha256=checksum.hexdigest(), size=size)


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
    checksum, size = hashlib.sha256(), 0
    with source.open("rb") as reader, no_space_explained(target), target.open("wb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            writer.write(chunk)
            checksum.update(chunk)
            size += len(chunk)
            progress.advance(len(chunk))
    return Digest(sha256=checksum.hexdigest(), size=size)


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
