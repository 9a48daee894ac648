"""The texts of a release: images.txt, values.yaml, README.md. Pure."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from devkit.release.oci import Image

STORE = "resnet-store"
NGINX = "docker.io/nginxinc/nginx-unprivileged:"
REASONS = (
    (
        r"resnet-serving:",
        "CANN's licence does not allow redistribution: docker build --target serving .",
    ),
    (r"resnet-export:", "as large as PyTorch: docker build --target export ."),
    (r"", "of its own vendor: add it by WITH=..., or copy it to your registry"),
)

NO_ARM64 = "has programs that no wheel brings; build it on an arm64 machine by docker build"
UNTRIED = "is in here, but has never been started: it was put together on another machine"


class ReleaseError(Exception):
    """A release cannot be made from what was given; the message says why."""


def file_name(image: Image) -> str:
    """Return what an image's files are called, without extension."""
    name, _, tag = image.reference.rpartition(":")
    return f"{re.sub(r'[/:]', '_', name)}-{tag}"


def images_txt(needed: Iterable[str], known: Mapping[str, str], archives: Mapping[str, str]) -> str:
    """Return every image of the chart and of the bundle, with its digest where one is known."""
    lines = [
        "# Every image that the chart may have pulled, and those of the bundle.",
        "# image digest archive; a digest - was not looked up: run make release-digests where the",
        "# registry can be reached, or skopeo inspect --format '{{.Digest}}' docker://IMAGE",
    ]
    lines += [
        " ".join((name, known.get(name, "-"), archives.get(name, "-")))
        for name in sorted({*needed, *archives})
    ]
    return "\n".join(lines) + "\n"


def values_yaml(
    known: Mapping[str, str], needed: Iterable[str], archives: Mapping[str, str]
) -> str:
    """Return values for the chart: digests, and the bundle's nginx where the usual one is not."""
    digests = {name: known[name] for name in sorted({*needed, *archives}) if name in known}
    lines = ["# Give this file to helm: the images of this release, by digest.", "images:"]
    lines += [
        "  digests:",
        *(f"    {json.dumps(name)}: {digest}" for name, digest in digests.items()),
    ]
    store = [name for name in archives if name.startswith(f"{STORE}:")]
    if store and not any(name.startswith(NGINX) for name in archives):
        lines += ["store:", f"  image: {store[0]}"]
    return "\n".join(lines) + "\n"


def missing(needed: Iterable[str], archives: Mapping[str, str]) -> dict[str, str]:
    """Return the chart's images that are not in the release, each with what to do."""
    return {
        name: next(reason for pattern, reason in REASONS if re.match(pattern, name))
        for name in sorted(needed)
        if name not in archives
    }


def platforms(images: Iterable[Image]) -> dict[str, str]:
    """Return what an image of this release does not run on, and how far the others were tried."""
    alone: list[str] = []
    both: list[str] = []
    for image in images:
        found = {variant.architecture for variant in image.variants}
        (both if "arm64" in found else alone).append(image.reference)
    lacking = {f"{name} for linux/arm64": NO_ARM64 for name in alone}
    return lacking | {f"{name} for linux/arm64": UNTRIED for name in both}


def readme(
    *, version: str, commit: str, bases: Mapping[str, str], missing: Mapping[str, str]
) -> str:
    template = Template((Path(__file__).parent / "README.dist.md").read_text(encoding="utf-8"))
    return template.substitute(
        version=version, commit=commit, bases=_list(bases), missing=_list(missing)
    )


def _list(items: Mapping[str, str]) -> str:
    return "\n".join(f"- `{name}`: {text}" for name, text in items.items())
