"""Reads what compatibility.py wants to know out of the files of a base image; runs nothing of it.

`root` is where the image's file system is mounted. Links in it may be absolute: they are followed
within it.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from devkit.images.compatibility import Base, Cann, Triton, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TRITON = "opt/tritonserver"
STUB = f"{TRITON}/backends/python/triton_python_backend_stub"
# Until CANN 8.3, and from 8.5 on.
TOOLKITS = ("usr/local/Ascend/ascend-toolkit/latest", "usr/local/Ascend/cann")
PYTHONS = ("usr/local/bin/python3", "usr/bin/python3")
LIBRARY_FOLDERS = ("usr/local/lib", "lib", "usr/lib", "lib64", "usr/lib64")
MACHINES = {62: "amd64", 183: "arm64"}
"""e_machine of ELF."""
MAX_LINKS = 40
# What is looked into for the symbols that CANN needs: what a serving pod loads of it first.
CANN_LIBRARIES = ("lib64/libascendcl.so", "lib64/libruntime.so", "lib64/libge_executor.so")


def find(root: Path, path: str) -> Path | None:
    """Return a file of the image, its links followed within the image."""
    todo, done = list(PurePosixPath(path).parts), PurePosixPath()
    for _ in range(MAX_LINKS * 10):
        if not todo:
            return root / done if (root / done).exists() else None
        part = todo.pop(0)
        if part in ("/", "."):
            continue
        if part == "..":
            done = done.parent
            continue
        here = root / done / part
        if here.is_symlink():
            target = PurePosixPath(here.readlink())
            if target.is_absolute():
                done = PurePosixPath()
            todo = [*target.parts, *todo]
        else:
            done /= part
    return None


def base(root: Path) -> Base:
    python = _python(root)
    libraries = list(_libraries(root))
    return Base(
        python=python,
        glibc=_newest(_named(libraries, "libc.so.6"), "GLIBC"),
        glibcxx=_newest(_named(libraries, "libstdc++.so.6"), "GLIBCXX"),
        machine=_machine(_named(libraries, "libc.so.6")),
        has_pip=any(_globbed(root, ("usr/local/bin/pip*", "usr/bin/pip*"))),
        has_libpython=python is None or any(_named(libraries, f"libpython{_text(python)}.so*")),
    )


def triton(root: Path) -> Triton:
    parts = [find(root, STUB), find(root, f"{TRITON}/bin/tritonserver")]
    parts.append(find(root, f"{TRITON}/backends/python/libtriton_python.so"))
    parts.append(find(root, f"{TRITON}/lib/libtritonserver.so"))
    there = [part for part in parts if part]
    stub = _matches(there[:1] if parts[0] else [], rb"libpython(3)\.(\d+)\.so")
    return Triton(
        stub_python=max(stub, default=None),
        glibc=_newest(there, "GLIBC"),
        glibcxx=_newest(there, "GLIBCXX"),
        machine=_machine(there),
    )


def cann(root: Path) -> Cann:
    toolkit = next((found for name in TOOLKITS if (found := find(root, name))), None)
    if toolkit is None:
        return Cann(None, False, (), None, None, None)
    where = toolkit.relative_to(root).as_posix()
    site = find(root, f"{where}/python/site-packages")
    pyacl = sorted(site.glob("acl*")) if site else []
    compiled = [path for one in pyacl for path in ([one] if one.is_file() else one.rglob("*.so"))]
    tags = [re.search(r"\.cpython-(\d)(\d+)", path.name) for path in compiled]
    libraries = [found for name in CANN_LIBRARIES if (found := find(root, f"{where}/{name}"))]
    files = [*libraries, *(path for path in compiled if path.suffix == ".so")]
    return Cann(
        release=_release(root, where),
        has_pyacl=bool(pyacl),
        pythons=tuple(sorted({(int(tag[1]), int(tag[2])) for tag in tags if tag})),
        glibc=_newest(files, "GLIBC"),
        glibcxx=_newest(files, "GLIBCXX"),
        machine=_machine(files),
    )


def _release(root: Path, toolkit: str) -> str | None:
    info = find(root, f"{toolkit}/compiler/version.info") or find(root, f"{toolkit}/version.info")
    text = info.read_text(errors="replace") if info else ""
    if told := re.search(r"^Version=(\S+)", text, re.MULTILINE):
        return told[1]
    named = re.search(r"/(?:cann-)?(\d+\.\d+[^/]*)$", f"/{toolkit}")
    return named[1] if named else None


def _python(root: Path) -> Version | None:
    for path in PYTHONS:
        program = find(root, path)
        told = re.fullmatch(r"python(\d+)\.(\d+)", program.name) if program else None
        if told:
            return int(told[1]), int(told[2])
    return None


def _libraries(root: Path) -> Iterator[Path]:
    for folder in LIBRARY_FOLDERS:
        if found := find(root, folder):
            yield from found.glob("lib*.so*")
            yield from found.glob("*-linux-gnu/lib*.so*")


def _named(libraries: Iterable[Path], pattern: str) -> list[Path]:
    return [path for path in libraries if path.match(pattern)]


def _globbed(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from root.glob(pattern)


def _newest(files: Iterable[Path], symbol: str) -> Version | None:
    """Return the newest version of a symbol that is named in files; of a library, its own."""
    return max(_matches(files, symbol.encode() + rb"_(\d+)\.(\d+)(?:\.(\d+))?\b"), default=None)


def _matches(files: Iterable[Path], pattern: bytes) -> list[Version]:
    return [
        tuple(int(number) for number in match if number)
        for path in files
        if path.is_file()
        for match in re.findall(pattern, path.read_bytes())
    ]


def _machine(files: Iterable[Path]) -> str | None:
    for path in files:
        if path.is_file():
            with path.open("rb") as file:
                head = file.read(20)
            if head[:4] == b"\x7fELF":
                return MACHINES.get(int.from_bytes(head[18:20], "little"))
    return None


def _text(version: Version) -> str:
    return ".".join(str(number) for number in version)
