"""Several image archives as one: every image is listed, what they share is there once."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from devkit.images.bundle import bundle

LISTS = {"repositories": b"{}", "index.json": b"{}", "oci-layout": b"{}"}


def archive(path: Path, name: str, layers: dict[str, bytes], links: dict[str, str]) -> Path:
    manifest = [{"RepoTags": [name], "Layers": [*layers]}]
    with tarfile.open(path, "w") as tar:
        for member, data in {
            **layers,
            "manifest.json": json.dumps(manifest).encode(),
            **LISTS,
        }.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for member, target in links.items():
            entry = tarfile.TarInfo(member)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return path


def test_shared_layers_go_in_once(tmp_path: Path) -> None:
    base, own = b"b" * 3000, b"o" * 512
    out = io.BytesIO()
    bundle(
        [
            archive(tmp_path / "a.tar", "a:1", {"base.tar": base}, {"x/layer.tar": "../base.tar"}),
            archive(tmp_path / "b.tar", "b:1", {"base.tar": base, "own.tar": own}, {}),
        ],
        out,
    )
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        names = tar.getnames()
        read = {m.name: f.read() for m in tar if m.isfile() and (f := tar.extractfile(m))}
    assert names == ["base.tar", "x/layer.tar", "own.tar", "manifest.json"], (
        "links stay; lists that know one archive only would hide the other's images"
    )
    assert (read["base.tar"], read["own.tar"]) == (base, own)
    assert [entry["RepoTags"] for entry in json.loads(read["manifest.json"])] == [["a:1"], ["b:1"]]


@pytest.mark.parametrize(("name", "reason"), [("gone.tar", "no such file"), ("bad.tar", "no tar")])
def test_says_which_file_is_bad(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "bad.tar").write_text("<html>")
    with pytest.raises(SystemExit) as caught:
        bundle([tmp_path / name], io.BytesIO())
    assert name in str(caught.value), reason
