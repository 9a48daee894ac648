"""Builds the devkit's images whose inputs changed and says where they are. Run by build.sh.

The tar files lie in the cache under <key>/<name>.tar. What goes into a registry for production
is built by production.py.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from devkit.images.builder import Builder
from devkit.images.targets import DEMO, IMAGES
from devkit.images.tools import BuildError, digest, say
from devkit.progress import Steps, cache_root, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from devkit.images.targets import Image

REPLACEABLE = {
    "PYTHON_IMAGE": "base",
    "TRITON_IMAGE": "triton",
    "SERVING_BASE_IMAGE": "base",
    "CANN_IMAGE": "cann",
}
"""Environment variable, as the build argument is called -> our image that it stands in for."""


def cache_folder() -> Path:
    return cache_root() / "images"


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """A second caller waits and then finds everything built."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def plan_of(images: Iterable[Image]) -> dict[str, str]:
    """The steps that build these, by the name under which their durations are kept."""
    return {f"image-{image.name}": f"image {image.repository}" for image in images}


def devkit_builder() -> Builder:
    """On the devkit's own bases, or on ordinary ones that the environment names."""
    foreign = {name: os.environ[name] for name in REPLACEABLE if os.environ.get(name)}
    return Builder(cache_folder(), foreign=foreign)


def make(names: Iterable[str], builder: Builder, progress: Steps | None = None) -> list[Path]:
    """The tar files of images by name; what is missing is built, and announced."""
    images = [IMAGES[name] for name in names]
    if all(builder.tar(image).exists() for image in images):
        return [builder.save(image) for image in images]
    with locked(builder.cache):
        to_do = builder.missing(images)
        told = progress or steps(plan_of(to_do))
        for image in to_do:
            with told.step(f"image-{image.name}"):
                if image in images:
                    builder.save(image)
                else:
                    builder.build(image)
        return [builder.save(image) for image in images]


def content_tag(names: Iterable[str], builder: Builder) -> str:
    """A tag that changes with the content of any of these images."""
    return "demo-" + digest(*(builder.key(IMAGES[name]) for name in names))[:12]


def push(
    names: Iterable[str], builder: Builder, prefix: str, tag: str, *, verify_tls: bool = True
) -> dict[str, str]:
    """Build and push images as <prefix>/<repository>:<tag>; name -> reference."""
    images = [IMAGES[name] for name in names]
    with locked(builder.cache):
        told = steps({f"push-{image.name}": f"image {image.repository}" for image in images})
        pushed = {}
        for image in images:
            with told.step(f"push-{image.name}"):
                destination = f"{prefix.rstrip('/')}/{image.repository}:{tag}"
                pushed[image.name] = builder.push(image, destination, verify_tls=verify_tls)
        return pushed


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    shipped = [name for name, image in IMAGES.items() if image.shipped]
    parser = argparse.ArgumentParser(
        prog="build.sh",
        description="Builds the devkit's images that are not built yet; prints their tar files.",
        epilog="PYTHON_IMAGE, TRITON_IMAGE, SERVING_BASE_IMAGE and CANN_IMAGE in the environment "
        "name ordinary images to build on; DEBIAN_MIRROR another mirror.",
    )
    parser.add_argument(
        "--only",
        metavar="A,B",
        help=f"some of: {','.join(shipped)}; or demo: what the demo runs ({','.join(DEMO)})",
        default=",".join(shipped),
    )
    parser.add_argument(
        "--push",
        metavar="REGISTRY/PREFIX",
        help="push there and print NAME=REFERENCE lines, no tar files",
    )
    parser.add_argument("--tag", help="of what is pushed (default: a hash of the content)")
    parser.add_argument("--plain-http", action="store_true", help="the registry has no TLS")
    parser.add_argument("--clean", action="store_true", help="remove all that was ever built")
    chosen = parser.parse_args(argv)
    chosen.only = (
        list(DEMO) if chosen.only == "demo" else list(filter(None, chosen.only.split(",")))
    )
    if unknown := sorted(set(chosen.only) - set(IMAGES)):
        parser.error(f"no such image: {', '.join(unknown)}; there are: {', '.join(IMAGES)}")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    chosen = _arguments(argv)
    if chosen.clean:
        shutil.rmtree(cache_folder(), ignore_errors=True)
        return 0
    builder = devkit_builder()
    try:
        if chosen.push:
            tag = chosen.tag or content_tag(chosen.only, builder)
            secure = not chosen.plain_http
            pushed = push(chosen.only, builder, chosen.push, tag, verify_tls=secure)
            lines = [f"{name}={reference}" for name, reference in pushed.items()]
        else:
            lines = [str(path) for path in make(chosen.only, builder)]
    except BuildError as error:
        say(f"build.sh: {error}")
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
