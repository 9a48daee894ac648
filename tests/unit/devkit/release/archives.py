"""Docker archives like buildah's, made by hand, so that tests can vary what a build varies."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

EPOCH = 1_700_000_000


@dataclass(frozen=True)
class Entry:
    """A member of a layer; `link` makes it a hard link."""

    name: str
    content: bytes = b""
    time: int = EPOCH + 50
    mode: int = 0o644
    user: str = "root"
    link: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def layer(entries: Sequence[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.mtime, member.mode = entry.time, entry.mode
            member.uname, member.pax_headers = entry.user, dict(entry.headers)
            if entry.name.endswith("/"):
                member.type = tarfile.DIRTYPE
            elif entry.link:
                member.type, member.linkname = tarfile.LNKTYPE, entry.link
            else:
                member.size = len(entry.content)
            tar.addfile(member, io.BytesIO(entry.content))
    return buffer.getvalue()


def diff_id(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def docker_archive(path: Path, layers: Sequence[bytes], config: Mapping[str, Any] = {}) -> Path:
    """Write an image; `config` is laid over what every image has."""
    described = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-02T03:04:05.678Z",
        "config": {"Entrypoint": ["/bin/true"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id(data) for data in layers]},
        "history": [{"created": "2026-01-02T03:04:05Z", "created_by": "RUN x"} for _ in layers],
    } | dict(config)
    text = json.dumps(described).encode()
    files = {f"{diff_id(data)[7:]}.tar": data for data in layers}
    manifest = [{"Config": "config.json", "RepoTags": ["x:1"], "Layers": list(files)}]
    files |= {"config.json": text, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path
