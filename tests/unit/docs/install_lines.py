"""The lines of the repository that install lock files: options of pip, and locks they mean."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.apiserver import ROOT

# Where the line says $lock: which files it is called with.
CALLED_WITH = {
    "devkit/venv.sh": tuple(f"requirements/{name}.lock" for name in ("dev", "docs", "tools")),
    "devkit/originals.sh": ("requirements/originals.lock",),
    "devkit/deviceplugin/venv.sh": ("devkit/deviceplugin/requirements.txt",),
    # PyTorch's wheels differ from index to index: whoever wants a lock file brings their own.
    "Dockerfile": (),
}
WITH_VALUE = {"--only-binary", "--target", "-r", "--dest", "--platform"}
# What decides which files pip takes; the others say where to and how loudly.
KEPT = {"--no-deps", "--require-hashes", "--only-binary"}
PIP = re.compile(r"\bpip\"?\s+(?:--\S+\s+)*(?:install|download)\s+(?P<rest>.*?)(?:&&|;|\||>|\n|$)")


@dataclass(frozen=True)
class Line:
    """One `pip install -r`: where, the options that choose, and the lock files it may mean."""

    where: str
    options: tuple[str, ...]
    locks: tuple[str, ...]


def repository_files() -> list[Path]:
    """Return every text file of the repository that may hold commands."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    paths = (ROOT / name for name in listed if name and not name.startswith("tests/"))
    return [path for path in paths if path.suffix not in {".png", ".onnx", ".lock", ".npy"}]


def lock_files() -> set[str]:
    """Return every file with hashes for pip."""
    found = [*ROOT.glob("requirements/*.lock"), *ROOT.glob("devkit/**/*.lock")]
    found += ROOT.glob("devkit/**/requirements*.txt")
    return {path.relative_to(ROOT).as_posix() for path in found}


def install_lines(path: Path) -> list[Line]:
    """Find the file's pip commands with `-r`."""
    where = path.relative_to(ROOT).as_posix()
    try:
        text = path.read_text().replace("\\\n", " ")
    except UnicodeDecodeError:
        return []
    lines = []
    for match in PIP.finditer(text):
        words = [word.strip("\"'`") for word in match["rest"].split()]
        options, files = _sorted_out(words)
        if files:
            locks = tuple(name for file in files for name in _meant(where, file))
            lines.append(Line(where, options, locks))
    return lines


def _sorted_out(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    options: list[str] = []
    files: list[str] = []
    rest = iter(words)
    for word in rest:
        value = [next(rest)] if word in WITH_VALUE else []
        if word in {"-r", "--requirement"}:
            files += value
        elif word in KEPT:
            options += [word, *value]
    return tuple(options), files


def _meant(where: str, file: str) -> tuple[str, ...]:
    if "$" in file:
        return CALLED_WITH[where]
    name = Path(file).name
    same = [lock for lock in sorted(lock_files()) if Path(lock).name == name]
    beside = [lock for lock in same if where.startswith(Path(lock).parent.as_posix() + "/")]
    return tuple(beside or same)
