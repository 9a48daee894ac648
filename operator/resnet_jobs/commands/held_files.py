"""The files that a serving pod's ConfigMaps give, copied and compared with one digest.

Run by the init container `artifact` before anything else. What Triton's container executes and
reads is this copy, so a ConfigMap that somebody replaced keeps a pod from starting, and no more.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.files import CHUNK_BYTES, Digest, digest_file, no_space_explained
from resnet_jobs.base.progress import say
from resnet_jobs.formats.external_data import combined_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A ConfigMap has a mebibyte at most, and a pod few of them.
MOST_BYTES = 32 * 2**20


def hold_files(given: Path, target: Path, *, sha256: str, folders: Sequence[str] = ()) -> None:
    """Copies all files below `given`; `ChecksumMismatch`, and no file, when they are others."""
    _clear(target)
    digests, left = {}, MOST_BYTES
    for name in sorted(_names(given)):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        left -= _copy(given / name, path, limit=left)
        digests[name] = digest_file(path)
    if left < 0 or combined_digest(digests).sha256 != sha256:
        _clear(target)
        raise _replaced(digests)
    for folder in folders:
        (target / folder).mkdir(parents=True, exist_ok=True)
    say(f"{len(digests)} files are those of the revision")


def _names(given: Path) -> Iterator[str]:
    """Gives the paths below a folder, without what the kubelet keeps behind its links: `..data`."""
    for folder, folders, files in os.walk(given, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith("..")]
        root = Path(folder).relative_to(given)
        yield from (str(root / name) for name in files)


def _copy(source: Path, target: Path, *, limit: int) -> int:
    """Copies at most a chunk more than the limit; the bytes that were copied."""
    copied = 0
    with source.open("rb") as reader, no_space_explained(target), target.open("wb") as writer:
        while copied <= limit and (chunk := reader.read(CHUNK_BYTES)):
            writer.write(chunk)
            copied += len(chunk)
    return copied


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _replaced(digests: dict[str, Digest]) -> JobError:
    return JobError(
        Reason.CHECKSUM_MISMATCH,
        "a ConfigMap of the pod was replaced: its files are not those of the revision; find out "
        "who has rights on ConfigMaps here, then set spec.suspend to true and back: a node reads "
        "a ConfigMap again when no pod uses it",
        detail=", ".join(f"{name} {digests[name].sha256[:12]}" for name in sorted(digests)),
    )
