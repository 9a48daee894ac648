"""The bundle: one tar file with images, chart, values, documentation and a program to push them."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.release.tars import pack

if TYPE_CHECKING:
    from devkit.release.oci import Layout

PUSHER = Path(__file__).parent / "pusher"
MAIN = b"""\
import sys
from pathlib import Path

from devkit.release.pusher.cli import main

sys.exit(main(Path(sys.argv[0]).resolve().parent))
"""
BESIDE = ("values.yaml", "images.txt", "README.md", "documentation", "sbom", "crds")
FIRST_TIME = (1980, 1, 1, 0, 0, 0)


def program() -> bytes:
    """Return the program `bundle`: Python's own kind of archive, which runs by itself."""
    buffer = io.BytesIO()
    files = {"__main__.py": MAIN}
    for folder in ("devkit", "devkit/release", "devkit/release/pusher"):
        files[f"{folder}/__init__.py"] = b""
    for path in sorted(PUSHER.glob("*.py")):
        files[f"devkit/release/pusher/{path.name}"] = path.read_bytes()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, FIRST_TIME), content)
    return b"#!/usr/bin/env python3\n" + buffer.getvalue()


def write_bundle(layout: Layout, chart: Path, out: Path, version: str) -> None:
    """Lay the bundle out in the layout's folder and pack it. The lists are in `out` already."""
    for name in BESIDE:
        source = out / name
        if source.is_dir():
            shutil.copytree(source, layout.folder / name)
        else:
            shutil.copy(source, layout.folder)
    shutil.copy(chart, layout.folder)
    executable = layout.folder / "bundle"
    executable.write_bytes(program())
    executable.chmod(0o755)
    name = f"resnet-operator-{version}-bundle"
    with (out / f"{name}.tar").open("wb") as file:
        pack(layout.folder, file, layout.epoch, below=name)
