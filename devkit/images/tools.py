"""Running tools, telling people, hashing recipes: what the modules beside this one share."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class BuildError(Exception):
    """A build step failed; the message says what to do or ends with the tool's own words."""


def say(text: str) -> None:
    """Progress, for people: stdout belongs to the result."""
    print(text, file=sys.stderr, flush=True)


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a tool; return its stdout, or raise with the end of what it said."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise BuildError(f"{command[0]} failed with status {done.returncode}:\n{tail}")
    return done.stdout


def digest(*parts: str | bytes) -> str:
    """16 hex digits over the parts; the border between two parts counts."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()[:16]
