"""The store on a ReadWriteMany claim, mounted into the Job's publish container.

Serving pods mount the same claim read-only. Everything becomes visible by one rename or link, so
a reader never sees half a file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.files import CHUNK_BYTES, FULL, digest_file
from resnet_jobs.base.left_files import MOST_BYTES, read_bounded
from resnet_jobs.base.progress import size_text
from resnet_jobs.store.base import UPLOADS, Entry, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from resnet_jobs.base.files import Digest


class SharedClaimStore(Store):
    """One folder, shared by every Job and every serving pod of a namespace."""

    def __init__(self, root: Path, *, what: str = "the store's claim") -> None:
        self._root = root
        self._what = what

    def read(self, place: str) -> bytes | None:
        with self._explained():
            try:
                return read_bounded(self._root / place, most=MOST_BYTES)
            except FileNotFoundError:
                return None
            except ValueError as error:
                raise JobError(
                    Reason.STORE_UNAVAILABLE, f"{self._what}: {error}; remove it"
                ) from error

    def size(self, place: str) -> int | None:
        with self._explained():
            try:
                return (self._root / place).stat().st_size
            except FileNotFoundError:
                return None

    def checksum(self, place: str) -> Digest | None:
        with self._explained():
            try:
                return digest_file(self._root / place)
            except FileNotFoundError:
                return None

    def upload(self, place: str, path: Path, digest: Digest) -> None:
        with self._explained():
            free = shutil.disk_usage(self._root).free
            if digest.size > free:
                raise self._full(f"needs {size_text(digest.size)}, has {size_text(free)}")
            with self._upload() as (file, temporary), path.open("rb") as source:
                shutil.copyfileobj(source, file, CHUNK_BYTES)
                self._finish(file)
                temporary.replace(self._place(place))

    def write(self, place: str, data: bytes, *, overwrite: bool = True) -> bool:
        with self._explained(), self._upload() as (file, temporary):
            file.write(data)
            self._finish(file)
            target = self._place(place)
            if overwrite:
                temporary.replace(target)
                return True
            try:
                target.hardlink_to(temporary)  # fails when there is one: the first commit wins
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno in FULL:
                    raise
                # No hard links on this file system. Both manifests of a race are whole and both
                # blobs are there, so the last one winning is harmless.
                if target.exists():
                    return False
                temporary.replace(target)
        return True

    def entries(self, folder: str) -> list[Entry]:
        found = []
        with self._explained(), contextlib.suppress(FileNotFoundError):
            for item in os.scandir(self._root / folder):
                with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                    if item.is_file():
                        found.append(Entry(item.name, item.stat().st_mtime))
        return found

    def remove(self, place: str) -> None:
        with self._explained():
            (self._root / place).unlink(missing_ok=True)

    def _place(self, relative: str) -> Path:
        path = self._root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextlib.contextmanager
    def _upload(self) -> Iterator[tuple[IO[bytes], Path]]:
        temporary = self._place(f"{UPLOADS}/{secrets.token_hex(16)}")
        try:
            with temporary.open("wb") as file:
                yield file, temporary
        finally:
            temporary.unlink(missing_ok=True)

    @staticmethod
    def _finish(file: IO[bytes]) -> None:
        """On the disk before it has a name: a node that dies leaves no empty artifact."""
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o644)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise self._full("ran full") from error
            raise JobError(
                Reason.STORE_UNAVAILABLE,
                f"{self._what} at {self._root} cannot be used ({error.strerror}): it must be "
                "writable by group 1000",
                detail=str(error),
            ) from error

    def _full(self, what: str) -> JobError:
        return JobError(
            Reason.STORE_FULL,
            f"{self._what} {what}: enlarge it, or delete services whose artifacts are no "
            "longer needed",
        )
