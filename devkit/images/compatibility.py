"""Which base images fit together, said in sentences before anything is built. Pure.

The facts are read from the files of the images by bases.py; which Python a CANN knows is in
pairs.json, which also judges images by their names alone (pairs.py). What is not known of an image
is None and refuses nothing: the build then finds out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from devkit.images.pairs import table

Version = tuple[int, ...]
OLDEST_PYTHON = (3, 11)
"""Of operator, jobs and fetch."""


@dataclass(frozen=True)
class Base:
    """An image to put something on: PYTHON_IMAGE or SERVING_BASE_IMAGE."""

    python: Version | None
    glibc: Version | None
    glibcxx: Version | None
    machine: str | None
    has_pip: bool = True
    has_libpython: bool = True


@dataclass(frozen=True)
class Triton:
    """TRITON_IMAGE: the Python that its stub loads, and the newest symbols that it needs."""

    stub_python: Version | None
    glibc: Version | None
    glibcxx: Version | None
    machine: str | None


@dataclass(frozen=True)
class Cann:
    """CANN_IMAGE: its release, the Pythons its pyACL is compiled for, the symbols that it needs."""

    release: str | None
    has_pyacl: bool
    pythons: tuple[Version, ...]
    glibc: Version | None
    glibcxx: Version | None
    machine: str | None


def misfits(
    python: Base | None, serving: Base | None, triton: Triton | None, cann: Cann | None
) -> list[str]:
    """Return what does not fit, and what to give instead; None is an image that is not used."""
    said = _of_python(python)
    if serving and triton:
        said += _of_triton(serving, triton)
    if serving and triton and cann:
        said += _of_cann(serving, triton, cann)
    return said + _of_machines(python, serving, triton, cann)


def _of_python(python: Base | None) -> list[str]:
    if python is None:
        return []
    if python.python and python.python < OLDEST_PYTHON:
        has = f"PYTHON_IMAGE has Python {text(python.python)}"
        return [f"{has}: give one with {text(OLDEST_PYTHON)} or newer"]
    return [] if python.has_pip else ["PYTHON_IMAGE has no pip: give an image with Python and pip"]


def _of_triton(serving: Base, triton: Triton) -> list[str]:
    said = []
    stub = triton.stub_python
    if stub and serving.python and stub != serving.python:
        said.append(
            f"Triton's stub in TRITON_IMAGE is for Python {text(stub)}, and SERVING_BASE_IMAGE has "
            f"{text(serving.python)}: give a SERVING_BASE_IMAGE with Python {text(stub)}"
        )
    elif stub and not serving.has_libpython:
        said.append(
            f"SERVING_BASE_IMAGE has no libpython{text(stub)}.so, which Triton's stub loads: give "
            "an image whose Python has its shared library"
        )
    if not serving.has_pip:
        said.append("SERVING_BASE_IMAGE has no pip: give an image with Python and pip")
    return said + _too_old("TRITON_IMAGE", triton, serving, "")


def _of_cann(serving: Base, triton: Triton, cann: Cann) -> list[str]:
    if not cann.has_pyacl:
        return ["CANN_IMAGE has no pyACL below /usr/local/Ascend: give an image of CANN's toolkit"]
    said = []
    stub = triton.stub_python
    newest = newest_python(cann.release)
    if stub and cann.pythons and stub not in cann.pythons:
        known = " and ".join(text(one) for one in sorted(cann.pythons))
        said.append(
            f"pyACL in CANN_IMAGE is compiled for Python {known}, and Triton's stub in "
            f"TRITON_IMAGE is for {text(stub)}: give a CANN_IMAGE for Python {text(stub)}, or a "
            "TRITON_IMAGE with another stub"
        )
    elif stub and newest and stub > newest:
        said.append(
            f"pyACL of CANN {cann.release} knows Python up to {text(newest)}, and Triton's stub in "
            f"TRITON_IMAGE is for {text(stub)}: give a CANN_IMAGE of a newer CANN"
            f"{_first_for(stub)}, or a TRITON_IMAGE with a stub for Python {text(newest)} or older"
        )
    other = ", or a CANN_IMAGE made for an older one"
    return said + _too_old("CANN_IMAGE", cann, serving, other)


def _too_old(name: str, needs: Triton | Cann, serving: Base, other: str) -> list[str]:
    said = []
    for library, wanted, there in (
        ("glibc", needs.glibc, serving.glibc),
        ("libstdc++ (GLIBCXX)", needs.glibcxx, serving.glibcxx),
    ):
        if wanted and there and wanted > there:
            said.append(
                f"{name} needs {library} {text(wanted)}, and SERVING_BASE_IMAGE has {text(there)}: "
                f"give a SERVING_BASE_IMAGE of a newer distribution{other}"
            )
    return said


def _of_machines(*images: Base | Triton | Cann | None) -> list[str]:
    names = ("PYTHON_IMAGE", "SERVING_BASE_IMAGE", "TRITON_IMAGE", "CANN_IMAGE")
    found = {name: one.machine for name, one in zip(names, images, strict=True) if one}
    known = {name: machine for name, machine in found.items() if machine}
    if len(set(known.values())) < 2:
        return []
    each = ", ".join(f"{name} is for {machine}" for name, machine in known.items())
    return [f"the base images are for different processors: {each}; give all for one"]


def newest_python(release: str | None) -> Version | None:
    """Return the newest Python that pyACL of a CANN such as 8.2.RC1 is documented for."""
    named = re.match(r"(\d+)\.(\d+)", release or "")
    rows = [row for row in _pythons() if named and row[0] <= (int(named[1]), int(named[2]))]
    return rows[-1][1] if rows else None


def _first_for(python: Version) -> str:
    fitting = [release for release, newest in _pythons() if newest >= python]
    return f" ({text(fitting[0])} or later)" if fitting else ""


def _pythons() -> list[tuple[Version, Version]]:
    """Return the rows of pairs.json: from this CANN on, up to this Python."""
    return [(_number(row["from"]), _number(row["python"])) for row in table()["cann"]]


def _number(version: str) -> Version:
    return tuple(int(part) for part in version.split("."))


def text(version: Version) -> str:
    return ".".join(str(number) for number in version)
