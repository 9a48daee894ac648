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

from resnet_jobs.errors import JobError, Reason
from resnet_jobs.files import CHUNK_BYTES, FULL
from resnet_jobs.progress import say, size_text
from resnet_jobs.store import Manifest, blob_path, manifest_path, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from resnet_jobs.files import Digest


class SharedClaimStore:
    """One folder, shared by every Job and every serving pod of a namespace."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, content_key: str) -> Manifest | None:
        with self._explained():
            try:
                data = (self._root / manifest_path(content_key)).read_bytes()
                manifest = parse_manifest(data, content_key)
                if manifest is None:
                    return None
                size = (self._root / blob_path(manifest.sha256)).stat().st_size
            except FileNotFoundError:
                return None
        return manifest if size == manifest.size else None

    def put_blob(self, path: Path, digest: Digest) -> None:
        with self._explained():
            free = shutil.disk_usage(self._root).free
            if digest.size > free:
                raise self._full(f"needs {size_text(digest.size)}, has {size_text(free)}")
            with self._upload() as (file, temporary), path.open("rb") as source:
                shutil.copyfileobj(source, file, CHUNK_BYTES)
                self._finish(file)
                temporary.replace(self._place(blob_path(digest.sha256)))

    def commit(self, manifest: Manifest) -> Manifest:
        target = manifest_path(manifest.content_key)
        with self._explained(), self._upload() as (file, temporary):
            file.write(manifest.encoded())
            self._finish(file)
            place = self._place(target)
            try:
                place.hardlink_to(temporary)  # fails when there is one: the first commit wins
            except FileExistsError:
                winner = self.find(manifest.content_key)
                if winner is not None:
                    return winner
                say("the manifest there has lost its blob; replacing it")
                temporary.replace(place)
            except OSError as error:
                if error.errno in FULL:
                    raise
                # No hard links on this file system. Both manifests of a race are whole and both
                # blobs are there, so the last one winning is harmless.
                temporary.replace(place)
        return self.find(manifest.content_key) or manifest

    def _place(self, relative: str) -> Path:
        path = self._root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextlib.contextmanager
    def _upload(self) -> Iterator[tuple[IO[bytes], Path]]:
        temporary = self._place(f"uploads/{secrets.token_hex(16)}")
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
                f"the store's claim at {self._root} cannot be used ({error.strerror}): it must be "
                "writable by group 1000",
                detail=str(error),
            ) from error

    @staticmethod
    def _full(what: str) -> JobError:
        return JobError(
            Reason.STORE_FULL,
            f"the store's claim {what}: enlarge it, or delete services whose artifacts are no "
            "longer needed",
        )
