"""Builds the images whose inputs changed and says where they are. Run by build.sh.

An image's key is the hash of all that goes into it, so an unchanged image costs a few file reads,
and a changed Python source costs the last layers of one image. The tar files lie in the cache
under <key>/<name>.tar.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.images.engine import Buildah
from devkit.images.materials import MATERIALS, BuildError, digest, say, wheels
from devkit.images.targets import IMAGES, Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
RECIPE = "1"
"""Raise it when the way of building changes the images though no input does."""
KEPT = 2
"""Builds of one image that stay in the cache, so that going back to a branch builds nothing."""
REPLACEABLE = {"PYTHON_IMAGE": "base", "TRITON_IMAGE": "triton", "CANN_IMAGE": "cann"}
"""Environment variable -> our own image that an ordinary one from a registry stands in for."""


def _sources(inputs: Sequence[str]) -> Iterator[Path]:
    for name in inputs:
        path = ROOT / name
        if not path.exists():
            raise BuildError(f"{name} is missing: it goes into an image")
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


class Builder:
    """Builds images of the table, bases first, into one cache."""

    def __init__(self, cache: Path, *, foreign: dict[str, str]) -> None:
        self.cache = cache
        self.foreign = foreign
        self.engine = Buildah(cache / "storage")
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        self.version = str(project["project"]["version"])
        self._keys: dict[str, str] = {}

    def key(self, image: Image) -> str:
        """Computed once: a source that somebody saves during the build is the next build's."""
        if image.name not in self._keys:
            self._keys[image.name] = self._compute_key(image)
        return self._keys[image.name]

    def _compute_key(self, image: Image) -> str:
        parts: list[str | bytes] = [RECIPE, image.reference, self.version]
        for path in _sources((image.dockerfile, *image.inputs)):
            parts += [str(path.relative_to(ROOT)), path.read_bytes()]
        parts += [self._base(name) for name in image.bases.values()]
        if image.material:
            parts.append(MATERIALS[image.material](self.cache).name)
        return digest(*parts)

    def _base(self, name: str) -> str:
        return self.foreign.get(name) or self.keyed(IMAGES[name])

    def keyed(self, image: Image) -> str:
        return f"localhost/keyed/{image.repository}:{self.key(image)}"

    def tar(self, image: Image) -> Path:
        return self.cache / self.key(image) / f"{image.name}.tar"

    def build(self, image: Image) -> str:
        """Make sure that the storage has the image; return its keyed reference."""
        reference = self.keyed(image)
        if self.engine.has(reference):
            return reference
        for name in image.bases.values():
            if name not in self.foreign:
                self.build(IMAGES[name])
        say(f"building {image.name} ...")
        start = time.monotonic()
        arguments = {name: self._base(base) for name, base in image.bases.items()}
        volumes = {}
        if image.lock:
            volumes[wheels(self.cache, ROOT / image.lock)] = "/wheels"
            arguments |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
        if image.stage:
            arguments["VERSION"] = self.version
        context = ROOT / image.context if image.context else None
        self.engine.build(
            reference,
            dockerfile=ROOT / image.dockerfile,
            context=context or MATERIALS[str(image.material)](self.cache),
            stage=image.stage,
            arguments=arguments,
            volumes=volumes,
        )
        say(f"  {image.name} built in {time.monotonic() - start:.1f} s")
        return reference

    def save(self, image: Image) -> Path:
        """The image's tar file; nothing but a look when it is there."""
        path = self.tar(image)
        if not path.exists():
            reference = self.build(image)
            self.engine.save(reference, path, image.reference)
            say(f"  {image.name} saved: {path.stat().st_size / 1e6:.0f} MB")
            self._forget_old(image)
        os.utime(path)
        return path

    def push(self, image: Image, prefix: str, *, verify_tls: bool) -> str:
        destination = f"{prefix}/{image.repository}:{self.key(image)}"
        say(f"pushing {image.name} ...")
        self.engine.push(self.build(image), destination, verify_tls=verify_tls)
        return destination

    def _forget_old(self, image: Image) -> None:
        tars = sorted(self.cache.glob(f"*/{image.name}.tar"), key=lambda path: path.stat().st_mtime)
        for path in tars[:-KEPT]:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        for reference in self.engine.tags(f"localhost/keyed/{image.repository}")[KEPT:]:
            self.engine.remove(reference)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    shipped = [name for name, image in IMAGES.items() if image.shipped]
    parser = argparse.ArgumentParser(
        prog="build.sh",
        description="Builds the images that are not built yet; prints their tar files.",
        epilog="PYTHON_IMAGE, TRITON_IMAGE and CANN_IMAGE in the environment name ordinary images "
        "to build on instead of the devkit's own; DEBIAN_MIRROR another mirror.",
    )
    parser.add_argument(
        "--only", metavar="A,B", help=f"some of: {','.join(shipped)}", default=",".join(shipped)
    )
    parser.add_argument(
        "--push",
        metavar="REGISTRY/PREFIX",
        default=os.environ.get("REGISTRY"),
        help="push there (default: $REGISTRY) and print NAME=REFERENCE lines, no tar files",
    )
    parser.add_argument("--plain-http", action="store_true", help="the registry has no TLS")
    parser.add_argument("--clean", action="store_true", help="remove all that was ever built")
    chosen = parser.parse_args(argv)
    chosen.only = [name for name in chosen.only.split(",") if name]
    if unknown := sorted(set(chosen.only) - set(IMAGES)):
        parser.error(f"no such image: {', '.join(unknown)}; there are: {', '.join(IMAGES)}")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    chosen = _arguments(argv)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = home / "resnet-operator" / "images"
    if chosen.clean:
        shutil.rmtree(cache, ignore_errors=True)
        return 0
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second caller waits and then finds everything built
        foreign = {ours: os.environ[v] for v, ours in REPLACEABLE.items() if os.environ.get(v)}
        try:
            builder = Builder(cache, foreign=foreign)
            images = [IMAGES[name] for name in chosen.only]
            if chosen.push:
                lines = [
                    f"{i.name}={builder.push(i, chosen.push, verify_tls=not chosen.plain_http)}"
                    for i in images
                ]
            else:
                lines = [str(builder.save(image)) for image in images]
        except BuildError as error:
            say(f"build.sh: {error}")
            return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
