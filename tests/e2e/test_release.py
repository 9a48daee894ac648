"""A release in one folder: whole, true to its sums, and the same when it is made again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
import yaml
from devkit.progress import cache_root
from tests.support.apiserver import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devkit.release.make import Release

pytestmark = pytest.mark.own_cluster  # it boots none, and builds all images twice
HASHED_SOURCE = 0b01
"""In the second word of a .pyc: its source is named by hash. Without it, by time."""


def test_what_is_in_the_folder(dist: Path, release: Release) -> None:
    names = {path.relative_to(dist).as_posix() for path in dist.rglob("*") if path.is_file()}
    version = release.version
    for_arm64 = ("resnet-operator", "resnet-jobs", "resnet-fetch")
    images = (*for_arm64, "resnet-serving-cpu", "resnet-store")
    wanted = {
        *("README.md", "SHA256SUMS", "images.txt", "install.yaml", "values.yaml"),
        *(f"resnet-operator-{version}.tgz", f"resnet-operator-{version}-bundle.tar"),
        "crds/resnetbatches.yaml",
        "crds/resnetservices.yaml",
        *("documentation/README.md", "documentation/docs/closed-networks.md"),
        *(f"images/{name}-{version}.tar" for name in images),
        *(f"sbom/{name}-{version}-amd64.cdx.json" for name in images),
        *(f"sbom/{name}-{version}-arm64.cdx.json" for name in for_arm64),
    }
    assert wanted - names == set()
    listed = {line.split()[1] for line in (dist / "SHA256SUMS").read_text().splitlines()}
    assert listed == names - {"SHA256SUMS"}
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=dist).returncode == 0


def test_the_lists_name_the_images_that_are_there(dist: Path) -> None:
    values = yaml.safe_load((dist / "values.yaml").read_text())["images"]["digests"]
    for line in (dist / "images.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        reference, digest, archive = line.split()
        assert values.get(reference, "-") == digest, "values.yaml and images.txt agree"
        if archive == "-":
            continue
        with tarfile.open(dist / archive) as tar:
            index = tar.extractfile("index.json")
            assert index
            [entry] = json.load(index)["manifests"]
        assert entry["digest"] == digest
        assert entry["annotations"]["io.resnet-operator.reference"] == reference


LOCKS = {
    "resnet-operator": "operator",
    "resnet-jobs": "jobs",
    "resnet-fetch": "fetch",
    "resnet-serving-cpu": "serving-cpu",
}


@pytest.mark.parametrize(("image", "lock"), LOCKS.items())
def test_bills_name_all_that_was_locked(
    dist: Path, release: Release, image: str, lock: str
) -> None:
    path = dist / "sbom" / f"{image}-{release.version}-amd64.cdx.json"
    found = {part["purl"].partition("?")[0] for part in json.loads(path.read_text())["components"]}
    lines = (ROOT / "requirements" / f"{lock}.lock").read_text().splitlines()
    locked = [line.split()[0] for line in lines if "==" in line and line[0] not in " #"]
    assert locked
    assert {f"pkg:pypi/{pin.replace('==', '@')}" for pin in locked} - found == set()
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in found)


def test_no_bytecode_depends_on_a_time_that_was_changed(dist: Path, release: Release) -> None:
    """Python would compile it again at each start, and could never write it down."""
    stale, seen = [], 0
    for image in LOCKS:
        for layer in layers(dist / "images" / f"{image}-{release.version}.tar"):
            for name, (content, _, _) in layer.items():
                if not name.endswith(".pyc"):
                    continue
                seen += 1
                folder, _, base = name.rpartition("__pycache__/")
                source = layer.get(f"{folder}{base.partition('.')[0]}.py")
                by_time = not int.from_bytes(content[4:8], "little") & HASHED_SOURCE
                if by_time and int.from_bytes(content[8:12], "little") != (source and source[2]):
                    stale.append(f"{image}: {name}")
    assert seen > 1000
    assert stale[:10] == []


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """The same files as another checkout has them: other modes and times, and no built image.

    Only what comes from Debian and the Python index is shared, for these change by the day.
    """
    tree = tmp_path / "tree"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (source := ROOT / name).is_file():
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            target.chmod(target.stat().st_mode | 0o020)
            os.utime(target, (1_600_000_000, 1_600_000_000))
    images = tmp_path / "cache" / "resnet-operator" / "images"
    images.mkdir(parents=True)
    for name in ("materials", "wheels"):
        (images / name).symlink_to(cache_root() / "images" / name)
    (images.parent / "cluster").symlink_to(cache_root() / "cluster")
    yield tree
    shutil.rmtree(tmp_path / "cache")


def test_made_twice_it_is_the_same(
    dist: Path, release: Release, elsewhere: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "devkit.release.make", "--out", str(tmp_path / "dist")]
    command += ["--version", release.version, "--commit", release.commit]
    command += ["--epoch", str(release.epoch)]
    environment = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": f"{elsewhere / 'operator'}:{elsewhere}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    subprocess.run(command, cwd=elsewhere, env=environment, check=True)
    first, second = sums(dist), sums(tmp_path / "dist")
    try:
        different = {name for name in first if first[name] != second.get(name)}
        assert first.keys() == second.keys()
        assert different == set(), layers_that_differ(dist, tmp_path / "dist")
    finally:
        shutil.rmtree(tmp_path / "dist")


def sums(folder: Path) -> dict[str, str]:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def layers_that_differ(first: Path, second: Path) -> list[str]:
    """Return, for a failed test, the members that differ in the layers of both releases."""
    found = []
    for archive in sorted((first / "images").iterdir()):
        for one, other in zip(
            layers(archive), layers(second / "images" / archive.name), strict=False
        ):
            names = sorted(n for n in one.keys() | other.keys() if one.get(n) != other.get(n))
            found += [f"{archive.name}: {name}" for name in names[:5]]
    return found


Layer = dict[str, tuple[bytes, int, int]]
"""Name -> (content, mode, time)."""


def layers(archive: Path) -> Iterator[Layer]:
    """Yield the layers of an archive, of each platform."""
    with tarfile.open(archive) as tar:

        def read(descriptor: dict[str, Any]) -> IO[bytes]:
            content = tar.extractfile(f"blobs/sha256/{descriptor['digest'][7:]}")
            assert content
            return content

        index = tar.extractfile("index.json")
        assert index
        [named] = json.load(index)["manifests"]
        for variant in json.load(read(named))["manifests"]:
            for part in json.load(read(variant))["layers"]:
                with tarfile.open(fileobj=read(part)) as layer:
                    yield {
                        member.name: (content_of(member, layer), member.mode, int(member.mtime))
                        for member in layer
                    }


def content_of(member: tarfile.TarInfo, layer: tarfile.TarFile) -> bytes:
    """Return a file's content, and where a symbolic link leads, which may be in another layer."""
    if member.issym():
        return member.linkname.encode()
    file = layer.extractfile(member)
    return file.read() if file else b""
