"""A Python for Triton's stubs with the libraries of the serving images.

The tests' own Python has NumPy 2, with which stubs as old as devkit's misread BYTES tensors; the
images pin NumPy 1, and have Pillow. The stub takes its packages from the first python3 on PATH, so
a virtual environment in the cache does, made once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from devkit.images.materials import PYTHON
from tests.triton.server import ROOT, triton_home

LOCKS = (
    ROOT / "devkit/cann/requirements.lock",  # NumPy 1, ONNX Runtime, what simulated pyACL needs
    ROOT / "requirements/serving.lock",  # the same NumPy, and Pillow
)


def image_path() -> str:
    """PATH for `pod(env=…)`, or a skip that says what is missing."""
    home = triton_home()
    return os.pathsep.join([str(_made() / "bin"), str(home / "bin"), os.environ["PATH"]])


def _made() -> Path:
    made_of = b"".join(lock.read_bytes() for lock in LOCKS) + sys.prefix.encode()
    key = hashlib.sha256(made_of).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "resnet-operator" / "tests" / f"image-python-{key}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".image-python.lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)  # another worker makes it, and then it is there
        if not folder.is_dir():
            _make(folder)
    return folder


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as work:
        new = Path(work) / "made"
        _run("venv", "--without-pip", str(new))
        target = new / "lib" / f"python{PYTHON}" / "site-packages"
        exactly = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
        for lock in LOCKS:
            _run("pip", "install", "--quiet", *exactly, "--target", str(target), "-r", str(lock))
        new.rename(folder)


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no Python as in the serving image ({done.stderr.strip()[-300:]})")
