"""One cache of images: keys, building, tar files. Used by build.py and production.py.

An image's key is the hash of all that goes into it, so an unchanged image costs a few file reads,
and a changed Python source costs the last layers of one image.
"""

from __future__ import annotations

import os
import tomllib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.images.engine import Buildah
from devkit.images.materials import MATERIALS, wheels
from devkit.images.targets import IMAGES, Image
from devkit.images.tools import BuildError, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
RECIPE = "1"
"""Raise it when the way of building changes the images though no input does."""
KEPT = 2
"""Builds of one image that stay in the cache, so that going back to a branch builds nothing."""


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


def _passed(image: Image) -> dict[str, str]:
    return {name: os.environ[name] for name in image.passed if os.environ.get(name)}


class Builder:
    """Builds images of the table, bases first, into one cache."""

    def __init__(
        self,
        cache: Path,
        *,
        foreign: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> None:
        self.cache = cache
        self.foreign = foreign or {}
        """Build argument -> the image to give in place of the devkit's own."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        self.version = version or str(project["project"]["version"])
        self.pythons: dict[str, str] = {}
        """Build argument -> the Python of that base, where it is not the devkit's."""
        self._keys: dict[str, str] = {}

    @cached_property
    def engine(self) -> Buildah:
        """Made when it is first needed: what is built already needs no buildah."""
        return Buildah(self.cache / "storage")

    def key(self, image: Image) -> str:
        """Computed once: a source that somebody saves during the build is the next build's."""
        if image.name not in self._keys:
            self._keys[image.name] = self._compute_key(image)
        return self._keys[image.name]

    def _compute_key(self, image: Image) -> str:
        parts: list[str | bytes] = [RECIPE, image.reference, self.version]
        for path in _sources((image.dockerfile, *image.inputs)):
            parts += [str(path.relative_to(ROOT)), path.read_bytes()]
        parts += [self._base(*base) for base in image.bases.items()]
        parts += [f"{name}={value}" for name, value in _passed(image).items()]
        if image.material:
            parts.append(MATERIALS[image.material][0]())
        return digest(*parts)

    def _base(self, argument: str, name: str) -> str:
        return self.foreign.get(argument) or self.keyed(IMAGES[name])

    def _own_bases(self, image: Image) -> list[Image]:
        given = self.foreign
        return [IMAGES[base] for name, base in image.bases.items() if name not in given]

    def keyed(self, image: Image) -> str:
        return f"localhost/keyed/{image.repository}:{self.key(image)}"

    def tar(self, image: Image) -> Path:
        return self.cache / self.key(image) / f"{image.name}.tar"

    def missing(self, images: Iterable[Image]) -> list[Image]:
        """What is to be built so that all these have a tar file: bases first."""
        wanted = [image for image in images if not self.tar(image).exists()]
        found: dict[str, Image] = {}

        def visit(image: Image) -> None:
            for base in self._own_bases(image):
                if not self.engine.has(self.keyed(base)):
                    visit(base)
            found[image.name] = image

        for image in wanted:
            visit(image)
        return list(found.values())

    def build(self, image: Image) -> str:
        """Make sure that the storage has the image; return its keyed reference."""
        reference = self.keyed(image)
        if self.engine.has(reference):
            return reference
        for base in self._own_bases(image):
            self.build(base)
        arguments = {name: self._base(name, base) for name, base in image.bases.items()}
        volumes = {}
        if image.lock:
            python = [self.pythons[name] for name in image.bases if name in self.pythons]
            volumes[wheels(self.cache, ROOT / image.lock, *python[:1])] = "/wheels"
            arguments |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
        arguments |= _passed(image)
        if image.stage:
            arguments["VERSION"] = self.version
        context = ROOT / image.context if image.context else None
        self.engine.build(
            reference,
            dockerfile=ROOT / image.dockerfile,
            context=context or MATERIALS[str(image.material)][1](self.cache),
            stage=image.stage,
            arguments=arguments,
            volumes=volumes,
        )
        return reference

    def save(self, image: Image) -> Path:
        """The image's tar file; nothing but a look when it is there."""
        path = self.tar(image)
        if not path.exists():
            reference = self.build(image)
            self.engine.save(reference, path, image.reference)
            self._forget_old(image)
        os.utime(path)
        return path

    def push(self, image: Image, destination: str, *, verify_tls: bool) -> str:
        """Build what is missing and push it; return the destination."""
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
