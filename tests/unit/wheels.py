"""Wheels without content, and a folder of them that stands for an index on a later day."""

from __future__ import annotations

import hashlib
import re
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
NEWER = "99999"


def pins(lock: Path) -> dict[str, str]:
    """Return name -> version of a lock file."""
    return {match[1]: match[2] for match in PIN.finditer(lock.read_text())}


def write_wheel(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> str:
    """Write a wheel of metadata only, with an extra `more`; return its sha256."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += ["Provides-Extra: more", *(f"Requires-Dist: {one}" for one in requires)]
    files = {
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def later_day(lock: Path, folder: Path) -> Path:
    """Fill `folder` with the lock's packages and a newer version of each; return the lock for it.

    Each package asks for the next one with an extra and takes any later version: the shape that
    made pip resolve a hashed lock once more and stop at the newer one.
    """
    wanted = pins(lock)
    names = list(wanted)
    lines = []
    for name, after in zip(names, names[1:] + names[:1], strict=True):
        requires = [f"{after}[more]>={wanted[after]}"]
        digest = write_wheel(folder, name, wanted[name], requires)
        write_wheel(folder, name, NEWER, requires)
        lines.append(f"{name}=={wanted[name]} --hash=sha256:{digest}\n")
    rewritten = folder / lock.name
    rewritten.write_text("".join(lines))
    return rewritten
