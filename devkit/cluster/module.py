"""The Go module that Kubernetes is built from: kall/ as it is committed, or for another version.

Kubernetes names its own libraries by folders of its repository, which nobody else has, so who
builds it must say for each which released module stands for it. The list differs from minor to
minor: it is read from the go.mod of the version that is asked for. Used by build.py.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Go = Callable[..., None]

VERSION = re.compile(r"v1\.(\d+)\.(\d+)")
STAGED = re.compile(r"^\s*(?:replace\s+)?(k8s\.io/\S+) => \./staging/src/\S+$", re.MULTILINE)
DIRECT = ("client-go", "component-base", "kubectl")


class VersionError(ValueError):
    """Not a version of Kubernetes that can be built; the message says which can."""


def libraries(version: str) -> str:
    """Return the version of the libraries: v1.36.4 is made of v0.36.4."""
    found = VERSION.fullmatch(version)
    if not found:
        raise VersionError(f"{version!r} is not a version; write one like v1.36.4")
    return f"v0.{found[1]}.{found[2]}"


def go_mod(version: str, upstream: str) -> str:
    """Return the go.mod that builds a version; `upstream` is that version's own go.mod."""
    staged = STAGED.findall(upstream)
    if not staged:
        raise VersionError(f"the go.mod of Kubernetes {version} names no libraries of its own")
    language = re.search(r"^go (\S+)$", upstream, re.MULTILINE)
    made_of = libraries(version)
    lines = ["module kall", "", f"go {language[1] if language else '1.24.0'}", "", "require ("]
    lines += [f"\tk8s.io/{name} {made_of}" for name in DIRECT]
    lines += [f"\tk8s.io/kubernetes {version}", ")", "", "replace ("]
    lines += [f"\t{name} => {name} {made_of}" for name in staged]
    return "\n".join([*lines, ")", ""])


def write(version: str, *, source: Path, folder: Path, go: Go) -> None:
    """Make a module for a version in a folder: go.mod, go.sum and the committed main.go.

    Hashes are those of Go's checksum database, because no go.sum is committed for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "main.go", folder)
    (folder / "go.mod").write_text(go_mod(version, _upstream(version)), encoding="utf-8")
    go("mod", "tidy", cwd=folder)


def _upstream(version: str) -> str:
    libraries(version)
    command = ["go", "mod", "download", "-json", f"k8s.io/kubernetes@{version}"]
    done = subprocess.run(command, cwd="/", text=True, capture_output=True)
    answer = json.loads(done.stdout or "{}")
    if "GoMod" not in answer:
        said = answer.get("Error") or done.stderr.strip()
        raise VersionError(f"Kubernetes {version} is not to be had as a Go module: {said}")
    with open(answer["GoMod"], encoding="utf-8") as file:  # noqa: PTH123
        return file.read()
