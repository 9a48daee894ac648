"""What an image for arm64 takes from the one for amd64, and what it must not."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from devkit.images.tools import BuildError
from devkit.release.exchange import (
    files,
    has_libraries,
    refuse_native,
    write_base,
    write_libraries,
)
from tests.unit.devkit.release.archives import EPOCH, Entry, layer

if TYPE_CHECKING:
    from pathlib import Path

HEAD = b"\xa7\r\r\n" + bytes(4)
X86, ARM = b"\x7fELF x86", b"\x7fELF arm"
OWN = "opt/libraries"


def put(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def tar(path: Path, *entries: Entry) -> Path:
    path.write_bytes(layer(entries))
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {name: file.content for name, file in files(path).items() if file.member.isreg()}


AMD64 = [
    Entry(f"{OWN}/"),
    Entry(f"{OWN}/a/"),
    Entry(f"{OWN}/a/__init__.py", b"text"),
    Entry(f"{OWN}/a/__pycache__/__init__.cpython-311.pyc", b"bytecode"),
    Entry(f"{OWN}/a/fast.cpython-311-x86_64-linux-gnu.so", X86, mode=0o755),
    Entry(f"{OWN}/a.libs/libx-1234.so", X86),
    Entry(f"{OWN}/a-1.dist-info/RECORD", b"of amd64"),
    Entry(f"{OWN}/bin/tool", b"#!/usr/local/bin/python3"),
    Entry(f"{OWN}/include/python/a.h", b"header"),
    Entry("etc/other", b"kept"),
]
WHEELS = {
    f"{OWN}/a/__init__.py": b"text",
    f"{OWN}/a/fast.cpython-311-aarch64-linux-gnu.so": ARM,
    f"{OWN}/a/tests/test_a.py": b"left out of amd64's image",
    f"{OWN}/a.libs/libx-5678.so": ARM,
    f"{OWN}/a-1.dist-info/RECORD": b"a/__init__.py,,\n../../bin/tool,sha256=x,1\n",
    f"{OWN}/bin/tool": b"#!/this/machine/python",
    f"{OWN}/include/site/python3.11/a.h": b"header",
}


def test_libraries(tmp_path: Path) -> None:
    amd64 = tar(tmp_path / "amd64.tar", *AMD64)
    out = tmp_path / "out.tar"
    write_libraries(amd64, put(tmp_path / "wheels", WHEELS), out, EPOCH)
    assert contents(out) == {
        f"{OWN}/a/__init__.py": b"text",
        f"{OWN}/a/__pycache__/__init__.cpython-311.pyc": b"bytecode",
        f"{OWN}/a/fast.cpython-311-aarch64-linux-gnu.so": ARM,
        f"{OWN}/a.libs/libx-5678.so": ARM,
        f"{OWN}/a-1.dist-info/RECORD": b"a/__init__.py,,\n",
        f"{OWN}/bin/tool": b"#!/usr/local/bin/python3",
        f"{OWN}/include/python/a.h": b"header",
        "etc/other": b"kept",
    }
    with tarfile.open(out) as read:
        members = read.getmembers()
    assert {member.mtime for member in members} == {EPOCH}
    assert f"{OWN}/a.libs" in {member.name for member in members if member.isdir()}
    assert [m.name for m in members] == sorted(m.name for m in members)


def test_wheels_that_lack_a_module(tmp_path: Path) -> None:
    """A package that is another one for arm64 would fail only when it is imported there."""
    amd64 = tar(tmp_path / "amd64.tar", Entry(f"{OWN}/a/only_amd64.py", b"text"))
    with pytest.raises(BuildError, match=r"only_amd64.py is in the wheels for amd64 and not"):
        write_libraries(amd64, put(tmp_path / "wheels", WHEELS), tmp_path / "out.tar", EPOCH)


def test_own_layers_are_the_same_for_every_machine(tmp_path: Path) -> None:
    portable = tar(tmp_path / "a.tar", Entry("opt/resnet-operator/a.py", b"text"))
    refuse_native(portable)
    assert not has_libraries(portable)
    assert has_libraries(tar(tmp_path / "b.tar", Entry(f"{OWN}/a.py")))
    native = tar(tmp_path / "c.tar", Entry("usr/local/bin/tool", X86))
    with pytest.raises(BuildError, match="usr/local/bin/tool is a program for amd64"):
        refuse_native(native)


def test_base(tmp_path: Path) -> None:
    amd64 = tar(
        tmp_path / "amd64.tar",
        Entry("./usr/bin/env", X86, mode=0o755),
        Entry("./usr/lib/x86_64-linux-gnu/libc.so.6", X86),
        Entry("./etc/passwd", b"root"),
        Entry("./etc/ssl/certs/ca.crt", b"certificates"),
        Entry("./etc/ld.so.cache", b"of amd64"),
        Entry("./var/lib/dpkg/info/libc6:amd64.list", b"of amd64"),
        Entry("./var/log/dpkg.log", b"an hour"),
        Entry("./usr/lib/python3/a.py", b"text", time=100),
        Entry("./usr/lib/python3/__pycache__/a.cpython-311.pyc", HEAD + bytes([100, 0, 0, 0])),
        Entry("./usr/lib/python3/__pycache__/b.cpython-311.pyc", HEAD + bytes([99, 0, 0, 0])),
    )
    arm64 = tar(
        tmp_path / "arm64.tar",
        Entry("./"),
        Entry("./usr/bin/env", ARM, mode=0o755),
        Entry("./usr/lib/aarch64-linux-gnu/libc.so.6", ARM),
        Entry("./usr/lib/aarch64-linux-gnu/gconv/gconv-modules", b"text of that machine"),
        Entry("./usr/share/man/env.1", b"left out of amd64's root"),
        Entry("./usr/lib/python3/a.py", b"text", time=100),
        Entry("./var/lib/dpkg/status", b"of arm64"),
    )
    out = tmp_path / "out.tar"
    write_base(arm64, amd64, out, 2000)
    assert contents(out) == {
        "usr/bin/env": ARM,
        "usr/lib/aarch64-linux-gnu/libc.so.6": ARM,
        "usr/lib/aarch64-linux-gnu/gconv/gconv-modules": b"text of that machine",
        "usr/lib/python3/a.py": b"text",
        "usr/lib/python3/__pycache__/a.cpython-311.pyc": HEAD + bytes([100, 0, 0, 0]),
        "etc/passwd": b"root",
        "etc/ssl/certs/ca.crt": b"certificates",
        "var/lib/dpkg/status": b"of arm64",
    }
    with tarfile.open(fileobj=io.BytesIO(out.read_bytes())) as read:
        times = {member.name: member.mtime for member in read}
    assert times["usr/lib/python3/a.py"] == 100, "bytecode of the base names this time"
    assert times["etc/passwd"] == 2000
