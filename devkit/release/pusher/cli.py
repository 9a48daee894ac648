"""`bundle push REGISTRY`: copies what is in the bundle to a registry, and prints the helm line.

The bundle's folder is an OCI image layout with the chart and values beside it. Standard library
and Python 3.8: it runs where nothing can be installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Sequence  # noqa: UP035

from devkit.release.pusher.references import host_of, mirrored
from devkit.release.pusher.registry import PushError, Registry, login_of, say

REFERENCE = "io.resnet-operator.reference"
"""The annotation with the name that the chart knows an image by."""


def blob(folder: Path, digest: str) -> Path:
    algorithm, _, name = digest.partition(":")
    return folder / "blobs" / algorithm / name


def images(folder: Path) -> list[dict[str, Any]]:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise PushError(f"{folder} is not an unpacked bundle ({error})") from error
    return list(index["manifests"])


def verify(folder: Path) -> None:
    """Raise when a file is not what its name says: a copy on a stick may be damaged."""
    for path in sorted((folder / "blobs" / "sha256").iterdir()):
        found = hashlib.sha256()
        with path.open("rb") as file:
            for data in iter(lambda: file.read(1 << 20), b""):
                found.update(data)
        if found.hexdigest() != path.name:
            raise PushError(f"{path} is damaged: its digest is another one; copy the bundle again")


def push(folder: Path, registry: Registry, mirror: str) -> None:
    for entry in images(folder):
        reference = entry["annotations"][REFERENCE]
        target = mirrored(reference, mirror)
        repository, _, tag = target[len(registry.host) + 1 :].rpartition(":")
        say(f"pushing {target} ...")
        pushed = _push_manifest(folder, registry, repository, tag, entry)
        if pushed != entry["digest"]:
            raise PushError(f"{target}: the registry has {pushed}, not {entry['digest']}")


def _push_manifest(
    folder: Path, registry: Registry, repository: str, tag: str, entry: dict[str, Any]
) -> str:
    """Push what a manifest names before the manifest itself; of several platforms each."""
    data = blob(folder, entry["digest"]).read_bytes()
    manifest = json.loads(data)
    for part in manifest.get("manifests", ()):
        _push_manifest(folder, registry, repository, part["digest"], part)
    for part in (*manifest.get("layers", ()), *filter(None, [manifest.get("config")])):
        registry.push_blob(repository, part["digest"], blob(folder, part["digest"]))
    return registry.push_manifest(repository, tag, data, entry["mediaType"])


def helm_line(folder: Path, mirror: str) -> str:
    [chart] = folder.glob("resnet-operator-*.tgz")
    return (
        f"helm upgrade --install resnet-operator {chart} \\\n"
        f"  --namespace resnet-system --create-namespace \\\n"
        f"  --values {folder / 'values.yaml'} --set images.mirror={mirror}"
    )


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bundle", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print the images that are in here, with their digests")
    commands.add_parser("verify", help="compare every file with its digest")
    to = commands.add_parser("push", help="push the images and print the helm line")
    to.add_argument("registry", metavar="REGISTRY", help="host[:port][/path], as in images.mirror")
    to.add_argument("--username")
    to.add_argument("--password-stdin", action="store_true", help="default: docker's login")
    to.add_argument("--ca", metavar="FILE", help="certificate authority of the registry")
    to.add_argument("--plain-http", action="store_true", help="the registry has no TLS")
    chosen = parser.parse_args(argv)
    if chosen.command == "push":
        chosen.registry = chosen.registry.rstrip("/")
        if "://" in chosen.registry or not host_of(f"{chosen.registry}/"):
            parser.error(f"REGISTRY is {chosen.registry}; write host[:port][/path] without scheme")
        if bool(chosen.username) != chosen.password_stdin:
            parser.error("--username and --password-stdin go together")
    return chosen


def main(folder: Path, argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    try:
        if chosen.command == "list":
            for entry in images(folder):
                print(entry["annotations"][REFERENCE], entry["digest"])
            return 0
        verify(folder)
        if chosen.command == "push":
            host = chosen.registry.partition("/")[0]
            login = login_of(host)
            if chosen.username:
                login = chosen.username, sys.stdin.readline().rstrip("\n")
            options = {"login": login, "ca": chosen.ca, "plain_http": chosen.plain_http}
            push(folder, Registry(host, **options), chosen.registry)
            print(helm_line(folder, chosen.registry))
    except PushError as error:
        say(f"bundle: {error}")
        return 1
    return 0
