"""Which CANN fits which Triton image: the serving image copies the one into the other.

Two things decide. CANN's libraries need at least the glibc of the system that they were built on.
pyACL must know the Python of Triton's stub, because it is imported there and not by CANN's own
Python. pairs.json is the one table of both; docs/support-matrix.md is generated from it. It follows
what NVIDIA and Huawei publish about their images; no pair was run on hardware.
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


def refusal(triton_base: Base, cann_base: Base) -> str | None:
    """Say in a sentence why the two do not fit and what to do; None if they do."""
    if _number(triton_base.glibc) < _number(cann_base.glibc):
        return (
            f"{cann_base.name} needs glibc {cann_base.glibc}, and {triton_base.name} has "
            f"{triton_base.glibc}: choose a CANN image for an older system, or a newer Triton"
        )
    if _number(triton_base.python) > _number(cann_base.python):
        return (
            f"the Python backend of {triton_base.name} runs Python {triton_base.python}, and pyACL "
            f"of {cann_base.name} knows Python up to {cann_base.python}: choose a newer CANN, or a "
            f"Triton image with a stub for Python {cann_base.python}"
        )
    return None
