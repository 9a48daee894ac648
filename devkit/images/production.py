"""Builds the images of a release from real bases and pushes them: `make images`.

    make images REGISTRY=registry.example.com/resnet VERSION=0.2.0

The bases are the Dockerfile's build arguments: PYTHON_IMAGE, TRITON_IMAGE, SERVING_BASE_IMAGE and
CANN_IMAGE, from the environment or as the Dockerfile has them. They are looked into before anything
is built. Nothing of the devkit's simulators gets into these images, and they are pushed under the
names that the chart asks for: <REGISTRY>/<name>:<VERSION>.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, TypeVar

from devkit.images import bases
from devkit.images.build import cache_folder, locked
from devkit.images.builder import ROOT, Builder
from devkit.images.compatibility import misfits, text
from devkit.images.targets import IMAGES, MAIN, Image
from devkit.images.tools import BuildError, say
from devkit.progress import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from devkit.images.engine import Buildah

EXPORT = Image(
    "export",
    "resnet-export",
    MAIN,
    stage="export",
    context=".",
    inputs=(".dockerignore", "requirements"),
    bases={"PYTHON_IMAGE": "base"},
    passed=("TORCH", "EXPORT_LOCK", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
)
DEFAULT = ("operator", "jobs", "fetch", "serving-cpu", "serving")
TARGETS = {name: IMAGES[name] for name in DEFAULT} | {"export": EXPORT}
"""Name -> image. `export` is built when it is asked for: it fetches PyTorch."""
T = TypeVar("T")
LOCK = "EXPORT_LOCK"
PINNED = re.compile(r"@sha256:[0-9a-f]{64}$")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def base_references(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return build argument -> image, for the bases that these targets have."""
    defaults = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", (ROOT / MAIN).read_text(), re.MULTILINE))
    wanted = {argument for name in names for argument in TARGETS[name].bases}
    return {name: environment.get(name) or defaults[name] for name in defaults if name in wanted}


def check_pinned(references: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """With REQUIRE_DIGESTS, raise BuildError for bases that could be others tomorrow."""
    if not environment.get("REQUIRE_DIGESTS"):
        return
    loose = [
        f"{argument} is {reference}; write {reference.partition('@')[0]}@sha256:<digest>"
        for argument, reference in references.items()
        if not PINNED.search(reference)
    ]
    if loose:
        raise BuildError("REQUIRE_DIGESTS wants digests:\n  " + "\n  ".join(loose))


def pulled(
    references: Mapping[str, str], engine: Buildah, *, verify_tls: bool = True
) -> dict[str, str]:
    """Fetch the bases; return their names here, which change with their content."""
    pinned = {}
    for argument, reference in references.items():
        try:
            pinned[argument] = engine.pin(reference, argument, verify_tls=verify_tls)
        except BuildError as error:
            what = f"{argument} is {reference}, which cannot be fetched"
            raise BuildError(f"{what}{advice(str(error), reference)}:\n{error}") from error
    return pinned


# What buildah says -> what to do about it; {host} is the registry's.
ADVICE = (
    (r"unauthorized|authentication required|authorization failed|no basic auth|denied",
     "log in by `buildah login {host}`"),
    (r"server gave HTTP response to HTTPS client", "it has no TLS: give PLAIN_HTTP=1"),
    (r"certificate signed by unknown authority",
     "put its CA into /etc/containers/certs.d/{host}/ca.crt"),
    (r"manifest unknown|not found|name unknown", "look at the name and the tag"),
    (r"no such host|connection refused|i/o timeout|network is unreachable",
     "this machine does not reach {host}: give a mirror that it reaches"),
)  # fmt: skip


def advice(said: str, reference: str) -> str:
    """Return what to do about a pull or push that failed, as the end of a sentence."""
    host = reference.partition("/")[0]
    for pattern, what in ADVICE:
        if re.search(pattern, said, re.IGNORECASE):
            return "; " + what.format(host=host)
    return ""


def checked(here: Mapping[str, str], engine: Buildah) -> dict[str, str]:
    """Return build argument -> Python of the base; BuildError says what does not fit together."""

    def look(argument: str, reader: Callable[[Path], T]) -> T | None:
        if argument not in here:
            return None
        with engine.mounted(here[argument]) as root:
            return reader(root)

    python = look("PYTHON_IMAGE", bases.base)
    serving = look("SERVING_BASE_IMAGE", bases.base)
    triton = look("TRITON_IMAGE", bases.triton)
    cann = look("CANN_IMAGE", bases.cann)
    if said := misfits(python, serving, triton, cann):
        raise BuildError("the base images do not fit together:\n  " + "\n  ".join(said))
    found = {"PYTHON_IMAGE": python, "SERVING_BASE_IMAGE": serving}
    return {name: text(base.python) for name, base in found.items() if base and base.python}


def builder_for(names: Sequence[str], version: str, *, verify_tls: bool = True) -> Builder:
    """Fetch and check the bases of these targets; return what builds on them."""
    builder = Builder(cache_folder(), version=version)
    references = base_references(names, os.environ)
    check_pinned(references, os.environ)
    if "export" in names and os.environ.get("REQUIRE_DIGESTS") and not os.environ.get(LOCK):
        raise BuildError(
            f"REQUIRE_DIGESTS wants a lock for the image export; set {LOCK} to a file of "
            "requirements/ that has exact versions with hashes"
        )
    here = pulled(references, builder.engine, verify_tls=verify_tls)
    builder.foreign = here
    builder.pythons = checked(here, builder.engine)
    return builder


def publish(
    names: Sequence[str], registry: str, version: str, *, verify_tls: bool = True
) -> dict[str, str]:
    """Build and push; return target -> reference."""
    subprocess.run([str(ROOT / "devkit" / "images" / "install.sh")], check=True)
    plan = {"bases": "the base images: fetching them, and whether they fit together"}
    plan |= {f"production-{name}": f"image {TARGETS[name].repository}" for name in names}
    plan |= {
        f"publish-{name}": f"{TARGETS[name].repository}:{version} to {registry}" for name in names
    }
    told = steps(plan)
    cache_folder().mkdir(parents=True, exist_ok=True)
    with locked(cache_folder()):
        with told.step("bases"):
            builder = builder_for(names, version, verify_tls=verify_tls)
        for name in names:
            with told.step(f"production-{name}"):
                builder.build(TARGETS[name])
        pushed = {}
        for name in names:
            with told.step(f"publish-{name}"):
                destination = f"{registry.rstrip('/')}/{TARGETS[name].repository}:{version}"
                pushed[name] = _pushed(builder, TARGETS[name], destination, verify_tls=verify_tls)
    return pushed


def _pushed(builder: Builder, image: Image, destination: str, *, verify_tls: bool) -> str:
    try:
        return builder.push(image, destination, verify_tls=verify_tls)
    except BuildError as error:
        what = f"{destination} cannot be pushed{advice(str(error), destination)}"
        raise BuildError(f"{what}:\n{error}") from error


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    parser = argparse.ArgumentParser(prog="make images", description=__doc__)
    parser.add_argument("--registry", default=os.environ.get("REGISTRY", ""))
    parser.add_argument("--version", default=os.environ.get("VERSION") or project["version"])
    parser.add_argument("--only", default=os.environ.get("IMAGES") or ",".join(DEFAULT))
    parser.add_argument(
        "--plain-http", action="store_true", default=bool(os.environ.get("PLAIN_HTTP"))
    )
    chosen = parser.parse_args(argv)
    chosen.only = [name for name in re.split("[, ]+", chosen.only) if name]
    if not chosen.registry:
        parser.error(
            "REGISTRY is not set; set it to where you may push and the cluster may pull, such as "
            "REGISTRY=registry.example.com/resnet"
        )
    if unknown := sorted(set(chosen.only) - set(TARGETS)):
        parser.error(f"no such image: {', '.join(unknown)}; there are: {', '.join(TARGETS)}")
    if not TAG.fullmatch(chosen.version):
        parser.error(f'VERSION is "{chosen.version}"; it must be an image tag, such as 0.2.0')
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    chosen = _arguments(argv)
    try:
        pushed = publish(
            chosen.only, chosen.registry, chosen.version, verify_tls=not chosen.plain_http
        )
    except (BuildError, subprocess.CalledProcessError) as error:
        say(f"make images: {error}")
        return 1
    print("\n".join(pushed.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
