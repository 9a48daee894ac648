"""Builds the release's images and puts them into one OCI layout."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from devkit.images import materials, targets
from devkit.images.build import REPLACEABLE, cache_folder, locked
from devkit.images.builder import Builder
from devkit.images.targets import IMAGES
from devkit.images.tools import say
from devkit.release.arm64 import Arm64
from devkit.release.sbom import Package, debian_package, python_package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devkit.release.oci import Image, Layout, Variant

RELEASED = ("operator", "jobs", "fetch", "serving-cpu")
"""What a release ships, as far as the table of images has it. CANN's licence does not allow
redistribution of `serving`; `export` is as large as PyTorch and made for few."""
STORE = "store"
"""Debian's nginx on the devkit's own base: for bundles that were made where no registry is."""
BASE, TRITON = "base", "triton"
PYTHON = "PYTHON_IMAGE"


FOR_ARM64 = {"operator", "jobs", "fetch"}
"""Those whose native parts are all in wheels: Triton has none for arm64."""


@dataclass(frozen=True)
class Made:
    """One image in the layout, and what it contains beside packages with records of their own."""

    image: Image
    more: tuple[Package, ...] = ()


def builder(version: str) -> Builder:
    foreign = {name: os.environ[name] for name in REPLACEABLE if os.environ.get(name)}
    return Builder(cache_folder(), foreign=foreign, version=version)


def bases(builder_: Builder) -> dict[str, str]:
    """Return what the images are built on: build argument -> image, in words."""
    return {
        argument: builder_.foreign.get(argument)
        or f"the devkit's own {IMAGES[ours].repository} (for tests, not for production)"
        for argument, ours in REPLACEABLE.items()
        if argument != "CANN_IMAGE"
    }


def released(builder_: Builder) -> list[targets.Image]:
    names = [name for name in RELEASED if name in IMAGES]
    return [IMAGES[name] for name in (*names, *([] if PYTHON in builder_.foreign else [STORE]))]


def build(builder_: Builder, layout: Layout, foreign: Sequence[str]) -> list[Made]:
    """Build what is missing, and pull `foreign`; return all of them in this order."""
    made = []
    for image in released(builder_):
        say(f"image {image.repository} ...")
        with locked(builder_.cache):
            reference = builder_.build(image)
            limits = _base_layers(builder_, image)
            amd64 = _add(builder_, layout, reference, limits)
        variants = [amd64]
        if image.name in FOR_ARM64 and PYTHON not in builder_.foreign and image.lock:
            say(f"image {image.repository} for arm64 ...")
            arm64 = Arm64(builder_, layout, frozenset(limits))
            variants.append(arm64.variant(amd64, materials.HERE.parents[1] / image.lock))
        name = f"{image.repository}:{builder_.version}"
        made.append(Made(layout.publish(name, variants), _more(builder_, image)))
    for name in foreign:
        say(f"image {name} ...")
        with locked(builder_.cache):
            builder_.engine.pull(name)
            variant = _add(builder_, layout, name, _kept(builder_, name))
        made.append(Made(layout.publish(name, [variant])))
    return made


def _add(
    builder_: Builder, layout: Layout, reference: str, limits: Mapping[str, int | None]
) -> Variant:
    with tempfile.TemporaryDirectory(dir=layout.folder) as work:
        archive = Path(work) / "image.tar"
        builder_.engine.save(reference, archive, "localhost/image:1")
        return layout.add(archive, limits=limits)


def _kept(builder_: Builder, reference: str) -> dict[str, int | None]:
    return dict.fromkeys(builder_.engine.layers(reference))


def _base_layers(builder_: Builder, image: targets.Image) -> dict[str, int | None]:
    """Return the layers that are not written anew: a registry's, and the devkit's own Debian."""
    found: dict[str, int | None] = {}
    for argument, name in image.bases.items():
        if argument in builder_.foreign:
            found |= _kept(builder_, builder_.foreign[argument])
        elif name == BASE:
            root = materials.rootfs(builder_.cache) / "rootfs.tar"
            layers = builder_.engine.layers(builder_.keyed(IMAGES[BASE]))
            found |= dict.fromkeys(layers, int(root.stat().st_mtime))
        else:
            found |= _base_layers(builder_, IMAGES[name])
    return found


def _more(builder_: Builder, image: targets.Image) -> tuple[Package, ...]:
    """Return what comes neither from a wheel nor from dpkg, and so has no record in the image."""
    if image.name == STORE:
        [archive] = materials.rootfs(builder_.cache).glob("nginx_*.deb")
        _, version, architecture = archive.stem.split("_")
        return (debian_package("nginx", unquote(version), architecture),)
    if TRITON in image.bases.values() and "TRITON_IMAGE" not in builder_.foreign:
        lock = (materials.HERE / "triton.lock").read_text()
        name, _, version = lock.split()[0].partition("==")
        return (python_package(name, version),)
    return ()
