"""`make cli`: kubectl-resnet as one file, for machines with Python and without pip.

The libraries have native parts, which Python cannot import from an archive: the file unpacks itself
once into the user's cache, under a name that is its content's digest, and runs from there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = "resnet_operator/templates"
COMPLETES = "kubectl_complete-resnet"
# Tests of libraries are a fifth of their files, and nobody runs them there.
LEFT_OUT = {"__pycache__", "test", "tests"}
# Every file has this time, so that the same content is the same file.
TIME = (1980, 1, 1, 0, 0, 0)
START = """\
import os, shutil, sys, tempfile, zipfile
DIGEST = {digest!r}
base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
home = os.path.join(base, "kubectl-resnet", DIGEST)
if not os.path.isdir(home):
    os.makedirs(os.path.dirname(home), exist_ok=True)
    fresh = tempfile.mkdtemp(dir=os.path.dirname(home))
    with zipfile.ZipFile(sys.argv[0]) as archive:
        archive.extractall(fresh)
    try:
        os.rename(fresh, home)
    except OSError:
        shutil.rmtree(fresh)  # another one was quicker
sys.path.insert(0, home)
sys.argv[0] = "kubectl-resnet"
from resnet_cli.app import main
main()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write kubectl-resnet as one file.")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "kubectl-resnet")
    parser.add_argument("--libraries", type=Path, help="a folder that has them; else pip's")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if arguments.libraries:
            shutil.copytree(arguments.libraries, place, dirs_exist_ok=True)
        else:
            install(place)
        digest = build(place, arguments.output)
    shutil.copy(Path(__file__).parent / COMPLETES, arguments.output.parent / COMPLETES)
    sys.stdout.write(
        f"{arguments.output}: {arguments.output.stat().st_size / 2**20:.0f} MiB, {digest}, for "
        f"Python {sys.version_info[0]}.{sys.version_info[1]} on {platform.machine()}\n"
    )


def install(place: Path) -> None:
    """Put the libraries of the lock file into a folder."""
    script = Path(__file__).parent / "libraries.sh"
    subprocess.run([script, place], check=True, env=os.environ | {"PYTHON": sys.executable})


def build(place: Path, output: Path, *, method: int = zipfile.ZIP_DEFLATED) -> str:
    """Put our own packages beside the libraries, and all into one file; return its digest."""
    for package in sorted((ROOT / "operator").glob("*/__init__.py")):
        shutil.copytree(package.parent, place / package.parent.name, dirs_exist_ok=True)
    shutil.copytree(ROOT / "templates", place / TEMPLATES, dirs_exist_ok=True)
    files = sorted(path for path in place.rglob("*") if path.is_file() and _is_kept(path, place))
    content = hashlib.sha256()
    for path in files:
        content.update(path.relative_to(place).as_posix().encode() + b"\0" + path.read_bytes())
    digest = content.hexdigest()[:16]
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", method) as archive:
            for path in files:
                _write(archive, path.relative_to(place).as_posix(), path.read_bytes(), method)
            _write(archive, "__main__.py", START.format(digest=digest).encode(), method)
    output.chmod(0o755)
    return digest


def _is_kept(path: Path, place: Path) -> bool:
    parts = path.relative_to(place).parts
    return not LEFT_OUT & set(parts) and parts[0] != "bin"


def _write(archive: zipfile.ZipFile, name: str, data: bytes, method: int) -> None:
    about = zipfile.ZipInfo(name, date_time=TIME)
    about.compress_type = method
    about.external_attr = 0o644 << 16
    archive.writestr(about, data)


if __name__ == "__main__":
    main()
