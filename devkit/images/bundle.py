#!/usr/bin/env python3
"""Writes several docker-archive files as one, to stdout: layers they share go in once.

Our images share half of their bytes (the base, Triton), and importing is paid by the byte. Called
by devkit/cluster/load.sh:

    python3 bundle.py A.tar B.tar ... | ctr images import -
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Sequence

COPY_BYTES = 1 << 20
OWN_LISTS = frozenset(("repositories", "index.json", "oci-layout"))
"""Lists of one archive alone: the joined manifest.json takes their place."""


def bundle(archives: Sequence[Path], out: BinaryIO) -> None:
    """Layers and configurations are named by their digest, so equal names are equal files."""
    manifest: list[object] = []
    written: set[str] = set()
    for path in archives:
        try:
            manifest += _add(path, written, out)
        except (OSError, tarfile.TarError) as error:
            sys.exit(f"bundle.py: {path}: {error}")
    text = json.dumps(manifest).encode()
    last = tarfile.TarInfo("manifest.json")
    last.size = len(text)
    out.write(last.tobuf() + text)
    out.write(b"\0" * (-len(text) % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE))


def _add(path: Path, written: set[str], out: BinaryIO) -> list[object]:
    """Write what is not there yet; return the archive's own manifest."""
    manifest: list[object] = []
    with path.open("rb") as source, tarfile.open(fileobj=source, mode="r:") as archive:
        for member in archive:
            if member.name == "manifest.json":
                manifest += json.load(archive.extractfile(member) or io.BytesIO(b"[]"))
            elif not member.isdir() and member.name not in OWN_LISTS | written:
                written.add(member.name)
                _copy(member, source, out)
    return manifest


def _copy(member: tarfile.TarInfo, source: BinaryIO, out: BinaryIO) -> None:
    out.write(member.tobuf())
    after = source.tell()
    source.seek(member.offset_data)
    left = member.size
    while left:
        left -= out.write(source.read(min(left, COPY_BYTES)))
    out.write(b"\0" * (-member.size % tarfile.BLOCKSIZE))
    source.seek(after)


if __name__ == "__main__":
    bundle([Path(name) for name in sys.argv[1:]], sys.stdout.buffer)
