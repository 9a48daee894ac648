"""Looks up the digests of the chart's images of others, in their registries.

Apart from a release itself, because a tag may point elsewhere tomorrow: what was found is kept in
a file, and a release that is given the file is the same each time.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.release.chart import find_helm, package
from devkit.release.pusher.references import host_of
from devkit.release.pusher.registry import PushError, Registry, login_of, say

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
DOCKER_HUB = {"docker.io": "registry-1.docker.io"}
"""Docker Hub's name in references is not its address."""


def look_up(reference: str, *, ca: str | None = None, plain_http: bool = False) -> str:
    """Return the digest that a tag has now, of all platforms; PushError says why not."""
    host = host_of(reference)
    repository, _, tag = reference.removeprefix(f"{host}/").rpartition(":")
    address = DOCKER_HUB.get(host, host)
    registry = Registry(address, login=login_of(host), ca=ca, plain_http=plain_http)
    return f"sha256:{hashlib.sha256(registry.manifest(repository, tag)).hexdigest()}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make release-digests")
    parser.add_argument("--images", default="", help="these, in place of the chart's")
    parser.add_argument("--plain-http", action="store_true", help="the registries have no TLS")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as work:
        named = chosen.images.split()
        if not named:
            chart = ROOT / "charts" / "resnet-operator"
            made = package(find_helm(), chart, Path(work), version="0.0.0", epoch=0)
            named = [image for image in made.images() if host_of(image)]
    failed = 0
    for reference in named:
        try:
            print(reference, look_up(reference, plain_http=chosen.plain_http), flush=True)
        except PushError as error:
            say(f"{reference}: {error}")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
