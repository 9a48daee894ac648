"""The artifact store as `publish`, `prepare` and `evaluate` see it, whichever kind it is.

Layout: `blobs/sha256/<hex>` (the file), `artifacts/<contentKey>.json` (the manifest, committed
last; the first commit wins), `used/<contentKey>` (empty; its time is that of the last use),
`unused/<hex>` (empty; since when no manifest names that blob), `results/<key>.json` (measured
results), `inputs/<digest>.<contentKey>` (see `known`), `uploads/<random>` (temporary).

A blob without a manifest does not exist, and neither does a manifest whose blob is gone or has
another digest, or which no Job of this namespace has signed (`store_key`): that artifact is made
again and replaced. `sweep` removes what nobody uses.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resnet_contract.words import FILE_NAMES
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.files import Digest
from resnet_jobs.base.progress import say
from resnet_jobs.store.key import MAC

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from resnet_jobs.store.key import Seal

DIGEST = re.compile(r"[0-9a-f]{64}")
MANIFESTS, BLOBS, USED, UNUSED = "artifacts", "blobs/sha256", "used", "unused"
UPLOADS, RESULTS, INPUTS = "uploads", "results", "inputs"


@dataclass(frozen=True)
class Manifest:
    """What the store says about one artifact; `document` is the whole of it but for the MAC."""

    content_key: str
    sha256: str
    size: int
    file: str
    document: Mapping[str, Any]
    mac: object = field(default=None, compare=False)

    @property
    def digest(self) -> Digest:
        return Digest(sha256=self.sha256, size=self.size)


@dataclass(frozen=True)
class Entry:
    """One file of a folder; `modified` in seconds, by the clock of the store."""

    name: str
    modified: float


class Store(ABC):
    """What every kind promises. Failures are `JobError`: StoreUnavailable, StoreFull."""

    seal: Seal | None = None  # without it no manifest counts, and none can be written

    def find(self, content_key: str) -> Manifest | None:
        """The manifest of a whole artifact; its blob is read and compared."""
        manifest = self.named(content_key)
        if manifest is None:
            return None
        if self.checksum(blob_path(manifest.sha256)) != manifest.digest:
            say(f"the store's copy of {manifest.sha256} is damaged")
            return None
        return manifest

    def named(self, content_key: str) -> Manifest | None:
        """The manifest of an artifact whose blob has the right size, if it may be believed."""
        data = self.read(manifest_path(content_key))
        manifest = None if data is None else parse_manifest(data, content_key)
        if manifest is None or self.seal is None:
            return None
        if not self.seal.holds(manifest.document, manifest.mac):
            say(f"nobody vouches for the manifest of {content_key[:12]}: it does not count")
            return None
        return manifest if self.size(blob_path(manifest.sha256)) == manifest.size else None

    def put_blob(self, path: Path, digest: Digest) -> None:
        """Uploads a file under its digest; a damaged copy of it is replaced."""
        place = blob_path(digest.sha256)
        if self.size(place) == digest.size:
            if self.checksum(place) == digest:
                self.remove(f"{UNUSED}/{digest.sha256}")
                say("the store has the file already")
                return
            say("the store's copy of the file is damaged; replacing it")
        self.upload(place, path, digest)

    def commit(self, manifest: Manifest) -> Manifest:
        """Publishes; the answer is the manifest that holds, which may be someone else's."""
        if self.seal is None:
            raise JobError(Reason.STORE_UNAVAILABLE, "without the store's key nothing is published")
        key, signed = manifest.content_key, self.seal.sign(manifest.document)
        data = json.dumps(signed, indent=1).encode()
        if not self.write(manifest_path(key), data, overwrite=False):
            winner = self.find(key)
            if winner is not None and self.seal.is_signed(winner.document, winner.mac):
                return winner
            say("the manifest there does not count; replacing it")
            self.write(manifest_path(key), data)
        kept = self.named(key)
        if kept is None:
            raise JobError(
                Reason.STORE_UNAVAILABLE, "the store lost the artifact right after it was stored"
            )
        return kept

    def confirm(self, there: Manifest) -> Manifest:
        """Signs what was found and is only vouched for; the answer is what holds."""
        is_signed = self.seal is not None and self.seal.is_signed(there.document, there.mac)
        return there if is_signed else self.commit(there)

    def touch(self, content_key: str) -> None:
        """Notes that the artifact was used now."""
        self.write(f"{USED}/{content_key}", b"")

    def put_result(self, key: str, data: bytes) -> None:
        """Keeps a measured result; a newer one of the same key replaces it."""
        self.write(f"{RESULTS}/{key}.json", data)

    def get_result(self, key: str) -> bytes | None:
        return self.read(f"{RESULTS}/{key}.json")

    # What each kind knows how to do. Places are relative, without a leading slash.

    @abstractmethod
    def read(self, place: str) -> bytes | None:
        """A small file."""

    @abstractmethod
    def size(self, place: str) -> int | None: ...

    @abstractmethod
    def checksum(self, place: str) -> Digest | None:
        """What the file really holds, read from the first to the last byte."""

    @abstractmethod
    def write(self, place: str, data: bytes, *, overwrite: bool = True) -> bool:
        """A small file, whole or not at all; False when the name is taken and may not be."""

    @abstractmethod
    def upload(self, place: str, path: Path, digest: Digest) -> None:
        """A large file, whole or not at all."""

    @abstractmethod
    def entries(self, folder: str) -> list[Entry]:
        """The files right in a folder; none for one that is not there."""

    @abstractmethod
    def remove(self, place: str) -> None:
        """Deletes a file; one that is not there is as good."""


def is_digest(name: str) -> bool:
    """Whether a name in the store can be one of ours: content keys and blobs are digests."""
    return DIGEST.fullmatch(name) is not None


def blob_path(sha256: str) -> str:
    return f"{BLOBS}/{sha256}"


def manifest_path(content_key: str) -> str:
    return f"{MANIFESTS}/{content_key}.json"


def parse_manifest(data: bytes, content_key: str) -> Manifest | None:
    """None for anything that is not a manifest of that key: it is then made again."""
    try:
        document = json.loads(data)
        if document["contentKey"] != content_key:
            return None
        return from_document({k: v for k, v in document.items() if k != MAC}, document.get(MAC))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def from_document(document: Mapping[str, Any], mac: object = None) -> Manifest:
    """Raises ValueError, TypeError or KeyError for what no Job of ours has written."""
    key, sha256 = document["contentKey"], document["sha256"]
    size, file = document["sizeBytes"], document["file"]
    if not all(isinstance(value, str) and DIGEST.fullmatch(value) for value in (key, sha256)):
        raise ValueError("a digest is not 64 hexadecimal digits")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**53:
        raise ValueError("sizeBytes is not a number of bytes")
    if file not in FILE_NAMES:
        raise ValueError("file is not a name of an artifact")
    return Manifest(
        content_key=key, sha256=sha256, size=size, file=file, document=document, mac=mac
    )
