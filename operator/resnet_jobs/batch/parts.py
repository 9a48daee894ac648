"""The output of a batch: parts of a fixed number of pictures, each written whole or not at all.

`batch.json` says whose parts they are and is written first; a second batch is refused by it. A part
is a file of rows and, after it, a small file with its digest; only with both it counts. So a pod
that is stopped anywhere leaves whole parts and nothing else, and another one goes on from there.
`manifest.json` comes when every part is there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_contract.batch.order import OUTPUT
from resnet_jobs.base.errors import invalid
from resnet_jobs.base.files import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resnet_jobs.batch.place import Place

OWNER, MANIFEST = "batch.json", "manifest.json"


@dataclass(frozen=True)
class Part:
    """Pictures from `first` on."""

    number: int
    first: int
    pictures: int
    suffix: str = "csv"

    @property
    def file(self) -> str:
        return f"part-{self.number:05}.{self.suffix}"

    @property
    def seal(self) -> str:
        return f"part-{self.number:05}.json"


@dataclass(frozen=True)
class Written:
    """A part that is there; `failed` of its pictures have no answer."""

    part: Part
    failed: int
    digest: Digest


def split(total: int, size: int, suffix: str = "csv") -> tuple[Part, ...]:
    """All parts of a batch, the last one as small as it is."""
    return tuple(
        Part(number, first, min(size, total - first), suffix)
        for number, first in enumerate(range(0, total, size))
    )


def shares(parts: tuple[Part, ...], *, shard: int, shards: int) -> tuple[Part, ...]:
    """The parts of one of several pods."""
    return parts[shard::shards]


@dataclass(frozen=True)
class Output:
    """Where the parts go; `key` names what decides about every row of them."""

    store: Place
    key: str

    def claim(self, about: Mapping[str, Any]) -> None:
        """Makes the place this batch's own; `InvalidSpec` where another one has been."""
        if self.store.read(OWNER) is None and self.store.read(MANIFEST) is not None:
            raise invalid(
                f"{OUTPUT}.uri holds something else already, which {MANIFEST} of this batch would "
                "replace; name an empty folder, or a tag that is not there yet"
            )
        said = json.dumps({"key": self.key, **about}, indent=1).encode()
        if self.store.write(OWNER, said, overwrite=False):
            return
        if _read(self.store.read(OWNER)).get("key") != self.key:
            raise invalid(
                f"{OUTPUT}.uri holds the parts of another batch, or of other pictures or another "
                "model under the same names; name an empty folder"
            )

    def find(self, part: Part) -> Written | None:
        """A part whose digest was compared; None for what has to be made again."""
        said = _read(self.store.read(part.seal))
        stated = [said.get(name) for name in ("key", "first", "pictures")]
        size, sha256, failed = said.get("size"), said.get("sha256"), said.get("failed")
        if stated != [self.key, part.first, part.pictures] or not isinstance(failed, int):
            return None
        found = self.store.checksum(part.file)
        if found is None or (found.sha256, found.size) != (sha256, size):
            return None
        return Written(part, failed, found)

    def put(self, part: Part, data: bytes, *, failed: int) -> Written:
        """Writes a part, its digest last."""
        digest = Digest(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        self.store.write(part.file, data)
        said = {"key": self.key, **_entry(Written(part, failed, digest))}
        self.store.write(part.seal, json.dumps(said).encode())
        return Written(part, failed, digest)

    def finish(self, parts: tuple[Part, ...], about: Mapping[str, Any]) -> str | None:
        """Writes the manifest and returns its digest; None while another pod's part is missing."""
        written = [self.find(part) for part in parts]
        there = [found for found in written if found is not None]
        if len(there) < len(parts):
            return None
        manifest = {
            "key": self.key,
            **about,
            "pictures": sum(found.part.pictures for found in there),
            "failed": sum(found.failed for found in there),
            "parts": [_entry(found) for found in there],
        }
        data = json.dumps(manifest, indent=1).encode()
        self.store.write(MANIFEST, data)
        return hashlib.sha256(data).hexdigest()


def _entry(written: Written) -> dict[str, Any]:
    part = written.part
    return {
        "file": part.file,
        "first": part.first,
        "pictures": part.pictures,
        "failed": written.failed,
        "sha256": written.digest.sha256,
        "size": written.digest.size,
    }


def _read(data: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(data or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
