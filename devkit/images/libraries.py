"""Takes programs out of an unpacked Debian root together with the libraries they load.

Called by materials.py for the image `export`. Debian's PyTorch depends on the whole of OpenCV and
FFmpeg, by packages 1.1 GB; what the dynamic loader really opens is half of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOUND = re.compile(r"^\s*(\S+) => (/\S+) \(", re.MULTILINE)
LOST = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
# Where Debian keeps one implementation each; packages that are only unpacked have no alternatives.
ALTERNATIVES = ("blas", "lapack")


def libraries(root: Path, programs: Iterable[Path]) -> dict[str, Path]:
    """Return name -> path below `root` of all that the programs load, as the loader finds it."""
    (loader,) = root.glob("usr/lib*/ld-linux-*.so.*")
    (multiarch,) = {path.parent for path in root.glob("usr/lib/*-linux-gnu/libc.so.6")}
    where = [f"/{multiarch.relative_to(root)}/{name}" for name in ALTERNATIVES]
    found: dict[str, Path] = {}
    for program in programs:
        inside = f"/{program.relative_to(root)}"
        loading = [f"/{loader.relative_to(root)}", "--library-path", ":".join(where)]
        done = subprocess.run(
            ["chroot", str(root), *loading, "--list", inside],
            capture_output=True,
            text=True,
            check=True,
        )
        if lost := LOST.findall(done.stdout):
            raise FileNotFoundError(f"{inside} needs {', '.join(lost)}, which no package brought")
        found |= {name: root / path.lstrip("/") for name, path in FOUND.findall(done.stdout)}
        if program.is_symlink():  # a library that the program opens by itself
            found[program.readlink().name] = program.parent / program.readlink()
    return found


def copy_libraries(found: dict[str, Path], root: Path, target: Path, *, there: set[str]) -> None:
    """Copy libraries below `target`, each under the name it is loaded by.

    What is `there` already, in the image below, stays as it is: parts of one C library must not
    come from two versions.
    """
    for name, path in found.items():
        folder = path.parent.resolve().relative_to(root.resolve())
        if folder.name in ALTERNATIVES:
            folder = folder.parent
        if str(folder / name) in there:
            continue
        (target / folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path.resolve(), target / folder / name)


def copy_modules(source: Path, target: Path, names: Sequence[str], *, without: set[str]) -> None:
    """Copy Python packages and modules, but no tests, stubs and bytecode."""
    ignore = shutil.ignore_patterns("__pycache__", "tests", "*.pyi", *without)
    for name in names:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, symlinks=True, ignore=ignore)
        else:
            shutil.copyfile(source / name, target / name)


def members(tar: Path) -> set[str]:
    """Return the paths in a root's tar file, without a leading ./"""
    with tarfile.open(tar) as archive:
        return {name.removeprefix("./") for name in archive.getnames()}
