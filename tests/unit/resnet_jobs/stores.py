"""The three kinds of store under test, each on a real server or folder; and what goes into one.

The fixture `kind` is made known by conftest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.loopback import buckets, nginx
from tests.support.patience import patient

from resnet_jobs.base.files import Digest, digest_file
from resnet_jobs.store.base import Manifest, Store, from_document
from resnet_jobs.store.key import Seal
from resnet_jobs.store.server import ServerStore
from resnet_jobs.store.shared_claim import SharedClaimStore

KEY = "c" * 64
SEAL = Seal(b"the key of this namespace, 32 byte")


class Kind:
    """A store under test: how a Job sees it, and where its files really are."""

    def __init__(self, folder: Path, connect: Callable[[], Store], spec: dict[str, str]) -> None:
        self.folder = folder
        self.connect = connect
        self.spec = spec

    def uploads(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return [entry.name for entry in (self.folder / "uploads").iterdir()]
        return []


@pytest.fixture(params=["Server", "SharedClaim", "S3"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    folder = tmp_path / "store"
    if request.param == "SharedClaim":
        folder.mkdir()
        spec = {"type": "SharedClaim", "path": str(folder)}
        yield Kind(folder, lambda: SharedClaimStore(folder), spec)
    elif request.param == "S3":
        with buckets.running(tmp_path) as bucket:
            yield Kind(bucket.folder, bucket.store, {"type": "S3"})
    else:
        with nginx.running(tmp_path) as url:
            spec = {"type": "Server", "url": url}
            seconds = patient(1)  # a busy machine may be slow to accept
            yield Kind(
                folder,
                lambda: ServerStore(url, wait_seconds=seconds, password=nginx.PASSWORD),
                spec,
            )


def artifact(path: Path, content: bytes) -> tuple[Path, Digest]:
    path.write_bytes(content)
    return path, digest_file(path)


def manifest(digest: Digest, *, key: str = KEY, **more: Any) -> Manifest:
    return from_document(
        {
            "contentKey": key,
            "sha256": digest.sha256,
            "sizeBytes": digest.size,
            "file": "model.om",
            **more,
        }
    )


def publish(store: Store, path: Path, digest: Digest, **more: Any) -> Manifest:
    store.put_blob(path, digest)
    return store.commit(manifest(digest, **more))
