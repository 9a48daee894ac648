"""Images for linux/arm64, put together on a machine that cannot run arm64 programs.

The image for amd64 says what belongs in: its own files are the same for every machine, and of its
libraries only what is native is exchanged, by the wheels of the same lock file for arm64. The
base is the same list of Debian packages, unpacked; what their scripts would have made (users,
certificates) comes from amd64's root. Nothing of it has been started: that takes a machine.
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.images import materials
from devkit.images.tools import run
from devkit.release.exchange import (
    LIBRARIES,
    MACHINE,
    STATUS,
    has_libraries,
    refuse_native,
    write_base,
    write_libraries,
)

if TYPE_CHECKING:
    from devkit.images.builder import Builder
    from devkit.release.oci import Layer, Layout, Variant

ARCHITECTURE = "arm64"
MADE_BY_DPKG = """\
for package in "$1"/var/cache/apt/archives/*.deb; do
  dpkg-deb --field "$package"
  echo "Status: install ok installed"
  echo
done >> "$1/var/lib/dpkg/status"
"""
"""dpkg's database, which unpacking alone does not fill."""


class Arm64:
    """Makes the arm64 variants of images whose only native parts are libraries from wheels."""

    def __init__(self, builder: Builder, layout: Layout, root_layers: frozenset[str]) -> None:
        self.builder = builder
        self.layout = layout
        self.root_layers = root_layers
        """Uncompressed digests of the base image's layers, as buildah has them."""
        self._base: Layer | None = None

    def variant(self, amd64: Variant, lock: Path) -> Variant:
        own = [layer for layer in amd64.layers if layer.source not in self.root_layers]
        layers = [self.base(), *(self._translate(layer, lock) for layer in own)]
        return self.layout.compose({**amd64.config, "architecture": ARCHITECTURE}, layers)

    def base(self) -> Layer:
        if self._base is None:
            root = materials.rootfs(self.builder.cache) / "rootfs.tar"
            limit = int(root.stat().st_mtime)
            with tempfile.TemporaryDirectory(dir=self.layout.folder) as work:
                plain = Path(work) / "base.tar"
                write_base(unpacked_root(self.builder.cache, root), root, plain, limit)
                self._base = self.layout.add_layer(plain)
        return self._base

    def _translate(self, layer: Layer, lock: Path) -> Layer:
        """Return a layer as it is, or with the libraries of the other machine."""
        packed = self.layout.blob(layer.blob.digest)
        if not has_libraries(packed):
            refuse_native(packed)
            return layer
        with tempfile.TemporaryDirectory(dir=self.layout.folder) as work:
            install(lock, Path(work) / LIBRARIES, self.builder.cache)
            plain = Path(work) / "layer.tar"
            write_libraries(packed, Path(work), plain, self.layout.epoch)
            return self.layout.add_layer(plain)


def install(lock: Path, target: Path, cache: Path) -> None:
    """Unpack the lock file's wheels for arm64; pip checks their hashes and runs nothing."""
    platforms = [f"manylinux_2_{minor}_{MACHINE}" for minor in range(36, 16, -1)]
    platforms.append(f"manylinux2014_{MACHINE}")
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
        *("--only-binary", ":all:", "--no-compile", "--implementation", "cp"),
        *("--python-version", materials.PYTHON, "--disable-pip-version-check"),
        *("--abi", "cp311", "--abi", "abi3", "--abi", "none"),
        *(part for name in platforms for part in ("--platform", name)),
        *("--cache-dir", cache / "pip-arm64", "--target", target, "-r", lock),
    )


def unpacked_root(cache: Path, amd64: Path) -> Path:
    """Return a tar file with the same Debian packages for arm64, unpacked and not configured."""
    names = [
        name for name in installed_packages(amd64) if name != "usr-is-merged"
    ]  # mmdebstrap's hook brings it
    folder = cache / "materials" / f"{amd64.parent.name}-{ARCHITECTURE}"
    out = folder / "rootfs.tar"
    if not out.exists():
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / ".new.tar"
        mirror = os.environ.get("DEBIAN_MIRROR", "")
        run(
            *("mmdebstrap", f"--architectures={ARCHITECTURE}", "--variant=extract"),
            *("--format=tar", "--skip=output/dev"),
            '--aptopt=APT::Install-Recommends "false"',
            '--aptopt=APT::Sandbox::User "root"',
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
            f"--extract-hook={MADE_BY_DPKG}",
            f"--include={','.join(names)}",
            *(materials.SUITE, new),
            *([mirror] if mirror else []),
        )
        new.rename(out)
    return out


def installed_packages(root: Path) -> list[str]:
    """Return the names of a root's installed packages."""
    with tarfile.open(root) as tar:
        content = tar.extractfile(f"./{STATUS}")
        assert content is not None
        records = content.read().decode().split("\n\n")
    fields = [dict(line.split(": ", 1) for line in r.splitlines() if ": " in line) for r in records]
    return [f["Package"] for f in fields if f.get("Status", "").endswith(" installed")]
