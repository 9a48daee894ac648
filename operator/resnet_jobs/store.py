"""The artifact store as `publish` and `download` see it, whichever kind it is.

Layout: `blobs/sha256/<hex>` (the file), `artifacts/<contentKey>.json` (the manifest, committed
last; the first commit wins), `uploads/<random>` (temporary). A blob without a manifest does not
exist, and neither does a manifest whose blob is gone: that artifact is made again and repaired.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from resnet_jobs.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from resnet_jobs.files import Digest
    from resnet_jobs.spec import StoreSpec

STORE_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Manifest:
    """What the store says about one artifact; `document` is the whole of it."""

    content_key: str
    sha256: str
    size: int
    file: str
    document: Mapping[str, Any]

    def encoded(self) -> bytes:
        return json.dumps(self.document, indent=1).encode()


class Store(Protocol):
    """Failures are `JobError`: StoreUnavailable, StoreFull."""

    def find(self, content_key: str) -> Manifest | None:
        """The manifest of a whole artifact."""

    def put_blob(self, path: Path, digest: Digest) -> None:
        """Uploads a file under its digest."""

    def commit(self, manifest: Manifest) -> Manifest:
        """Publishes; the answer is the manifest that holds, which may be someone else's."""


def open_store(spec: StoreSpec, *, clock: Clock = SYSTEM_CLOCK) -> Store:
    """The store the operator named."""
    if spec.type == "SharedClaim":
        from pathlib import Path

        from resnet_jobs.store_shared import SharedClaimStore

        return SharedClaimStore(Path(spec.location))
    from resnet_jobs.store_server import ServerStore

    return ServerStore(spec.location, wait_seconds=STORE_WAIT_SECONDS, clock=clock)


def blob_path(sha256: str) -> str:
    return f"blobs/sha256/{sha256}"


def manifest_path(content_key: str) -> str:
    return f"artifacts/{content_key}.json"


def parse_manifest(data: bytes, content_key: str) -> Manifest | None:
    """None for anything that is not a manifest of that key: it is then made again."""
    try:
        document = json.loads(data)
        if document["contentKey"] != content_key:
            return None
        return from_document(document)
    except (ValueError, TypeError, KeyError):
        return None


def from_document(document: Mapping[str, Any]) -> Manifest:
    return Manifest(
        content_key=str(document["contentKey"]),
        sha256=str(document["sha256"]),
        size=int(document["sizeBytes"]),
        file=str(document["file"]),
        document=document,
    )
