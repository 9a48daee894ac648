"""Archives whose bytes depend on nothing but their content."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

from devkit.release.tars import pack, repack_tgz

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1_700_000_000


def folder(root: Path, names: list[str], *, time: int, mask: int) -> Path:
    before = os.umask(mask)
    try:
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
            os.utime(path, (time, time))
        (root / "run").touch()
        (root / "run").chmod(0o777 & ~mask)
    finally:
        os.umask(before)
    return root


def test_a_folder_is_packed_the_same(tmp_path: Path) -> None:
    packed = []
    for number, (names, time, mask) in enumerate(
        [(["b/c", "a"], 1, 0o022), (["a", "b/c"], 2_000_000_000, 0o002)]
    ):
        out = io.BytesIO()
        pack(folder(tmp_path / str(number), names, time=time, mask=mask), out, EPOCH, below="x-1")
        packed.append(out.getvalue())
    assert packed[0] == packed[1]
    with tarfile.open(fileobj=io.BytesIO(packed[0])) as tar:
        found = {m.name: (oct(m.mode), m.mtime, m.uid) for m in tar}
    assert found == {
        "x-1/a": ("0o644", EPOCH, 0),
        "x-1/b": ("0o755", EPOCH, 0),
        "x-1/b/c": ("0o644", EPOCH, 0),
        "x-1/run": ("0o755", EPOCH, 0),
    }


def test_a_file_with_two_names_is_packed_with_its_content_twice(tmp_path: Path) -> None:
    """The layout of one image is made of hard links, which must not become links in the tar."""
    (tmp_path / "a").write_text("content")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    out = io.BytesIO()
    pack(tmp_path, out, EPOCH)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        assert [(m.isreg(), m.size) for m in tar] == [(True, 7), (True, 7)]


def test_a_package_of_helm_is_packed_again(tmp_path: Path) -> None:
    packages = []
    for number, names in enumerate((["a", "b"], ["b", "a"])):
        source, out = tmp_path / f"{number}.tgz", tmp_path / f"{number}.out.tgz"
        with tarfile.open(source, "w:gz") as tar:
            for name in names:
                member = tarfile.TarInfo(f"chart/{name}")
                member.mtime, member.size = 1000 + number, 1
                tar.addfile(member, io.BytesIO(b"x"))
        repack_tgz(source, out, EPOCH)
        packages.append(out.read_bytes())
    assert packages[0] == packages[1]
    with tarfile.open(fileobj=io.BytesIO(packages[0])) as tar:
        assert [(m.name, m.mtime, m.size) for m in tar] == [
            ("chart/a", EPOCH, 1),
            ("chart/b", EPOCH, 1),
        ]
