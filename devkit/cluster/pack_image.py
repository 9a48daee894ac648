#!/usr/bin/env python3
"""Packs files as a docker-archive image, without a container engine.

Why: the pause image and the tiny images of the devkit's own tests are one static program each;
buildah would need seconds and a storage directory for that. Called by build.sh and the tests.

    pack_image.py REFERENCE OUT.tar ENTRYPOINT_JSON [PATH_IN_IMAGE=FILE ...]
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

DIRECTORIES = ("tmp", "etc", "proc", "sys", "dev", "var")


def pack_layer(files: dict[str, Path]) -> bytes:
    """One uncompressed layer; every file is executable, every parent directory is made."""
    buffer = io.BytesIO()
    made: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def make_directory(path: str) -> None:
            if not path or path in made:
                return
            make_directory(path.rpartition("/")[0])
            made.add(path)
            entry = tarfile.TarInfo(path + "/")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if path == "tmp" else 0o755
            tar.addfile(entry)

        for directory in DIRECTORIES:
            make_directory(directory)
        for path, source in files.items():
            destination = path.lstrip("/")
            make_directory(destination.rpartition("/")[0])
            content = source.read_bytes()
            entry = tarfile.TarInfo(destination)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def pack_image(*, reference: str, entrypoint: list[str], files: dict[str, Path], out: Path) -> None:
    """Writes a docker-archive; the same input gives the same bytes."""
    layer = pack_layer(files)
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created_by": "pack_image.py"}],
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}]
    with tarfile.open(out, "w") as tar:
        for name, content in (
            (config_name, config),
            (layer_name, layer),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def main(arguments: list[str]) -> None:
    reference, out, entrypoint, *pairs = arguments
    files = {inside: Path(source) for inside, _, source in (p.partition("=") for p in pairs)}
    pack_image(reference=reference, entrypoint=json.loads(entrypoint), files=files, out=Path(out))


if __name__ == "__main__":
    main(sys.argv[1:])
