"""Which CANN fits which Triton by their names: the serving image has what it needs of both.

Two things decide. Libraries need at least the glibc of the system that they were built on. pyACL
must know the Python of Triton's stub, because it is imported there and not by CANN's own Python.
pairs.json is the one table of both; docs/support-matrix.md is generated from it. It follows what
NVIDIA and Huawei publish about their images; no pair was run on hardware.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TRITON = re.compile(r"tritonserver:(?P<release>\d\d\.\d\d)(-.*)?$")
CANN = re.compile(r"cann:(?P<release>\d+\.\d+)[^-]*-[^-]+-(?P<system>[a-z]+[\d.]+)-py[\d.]+$")


@dataclass(frozen=True)
class Base:
    """What of an image decides: of Triton the stub's Python, of CANN the newest that it knows."""

    name: str
    glibc: str
    python: str


@cache
def table() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    return value


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _row(kind: str, release: str) -> dict[str, str] | None:
    rows = [row for row in table()[kind] if _number(row["from"]) <= _number(release)]
    return rows[-1] if rows else None


def triton(image: str) -> Base | None:
    """Read an image's name; None for an image of somebody's own, of which nothing is known."""
    found = TRITON.search(image)
    row = found and _row("triton", found["release"])
    return Base(image, table()["systems"][row["system"]], row["python"]) if row else None


def cann(image: str) -> Base | None:
    """The same of a CANN image, whose tag names its system."""
    found = CANN.search(image)
    row = found and _row("cann", found["release"])
    if not found or not row or found["system"] not in table()["systems"]:
        return None
    return Base(image, table()["systems"][found["system"]], row["python"])


def serving_base(server: Base) -> Base:
    """Return the SERVING_BASE_IMAGE that has the Python of Triton's stub."""
    given = table()["serving"]
    name = f"python:{server.python}-{given['suffix']}"
    return Base(name, given["glibc"], server.python)


def refusal(server: Base, toolkit: Base, *, base: Base | None = None) -> str | None:
    """Say in a sentence why the two do not fit and what to do; None if they do."""
    base = base or serving_base(server)
    for needs in (server, toolkit):
        if _number(base.glibc) < _number(needs.glibc):
            return (
                f"{needs.name} needs glibc {needs.glibc}, and {base.name} has {base.glibc}: "
                "choose a SERVING_BASE_IMAGE of a newer system"
            )
    if _number(server.python) > _number(toolkit.python):
        return (
            f"the Python backend of {server.name} runs Python {server.python}, and pyACL "
            f"of {toolkit.name} knows Python up to {toolkit.python}: choose a newer CANN, or a "
            f"Triton image with a stub for Python {toolkit.python}"
        )
    return None
