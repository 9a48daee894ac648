"""Software bills of material (CycloneDX 1.5, JSON), read out of the images themselves.

An image's Debian packages are in dpkg's database, its Python packages in their METADATA: what is
really there, whichever base it was built on.
"""

from __future__ import annotations

import email.parser
import json
import re
import tarfile
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SPEC = "1.5"
NAMESPACE = uuid.UUID("5f1f5f86-3a86-4b1c-9b2c-7b8f0e2d9a51")
METADATA = re.compile(r"(^|/)[^/]+\.dist-info/METADATA$")
STATUS = re.compile(r"^var/lib/dpkg/status(\.d/[^/]+)?$")
LONG_LICENSE = 100
"""Some packages have the whole text of their licence where its name belongs."""


@dataclass(frozen=True, order=True)
class Package:
    """One package in an image; `purl` is its name in all the world."""

    name: str
    version: str
    purl: str
    license: str = ""

    def component(self) -> dict[str, Any]:
        licenses = {"licenses": [{"license": {"name": self.license}}]} if self.license else {}
        component = {"type": "library", "bom-ref": self.purl, "name": self.name}
        return component | {"version": self.version, "purl": self.purl} | licenses


def python_package(name: str, version: str, license_name: str = "") -> Package:
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return Package(name, version, f"pkg:pypi/{normal}@{quote(version, safe='')}", license_name)


def debian_package(name: str, version: str, architecture: str) -> Package:
    where = f"{quote(name, safe='')}@{quote(version, safe='')}?arch={architecture}"
    return Package(name, version, f"pkg:deb/debian/{where}")


def packages_of(layers: Iterable[Path]) -> list[Package]:
    """Return what is in an image's layers, given lowest first."""
    python: dict[str, Package] = {}
    debian: dict[str, list[Package]] = {}
    for layer in layers:
        for name, text in _records(layer):
            if STATUS.match(name):
                debian[name] = list(_debian(text))
            else:
                python[name] = _python(text)
    found = {*python.values(), *(package for part in debian.values() for package in part)}
    return sorted(found)


def _records(layer: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(layer) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if member.isreg() and (METADATA.search(name) or STATUS.match(name)):
                content = tar.extractfile(member)
                assert content is not None
                yield name, content.read().decode(errors="replace")


def _python(text: str) -> Package:
    fields = email.parser.HeaderParser().parsestr(text)
    name, version = str(fields["Name"]), str(fields["Version"])
    license_name = str(fields["License-Expression"] or fields["License"] or "").strip()
    if len(license_name) > LONG_LICENSE or "\n" in license_name:
        license_name = ""
    return python_package(name, version, license_name)


def _debian(text: str) -> Iterator[Package]:
    for record in text.split("\n\n"):
        fields = email.parser.HeaderParser().parsestr(record)
        if " installed" not in str(fields["Status"] or " installed") or not fields["Package"]:
            continue
        architecture = str(fields["Architecture"] or "all")
        yield debian_package(str(fields["Package"]), str(fields["Version"]), architecture)


def bill(
    *, name: str, version: str, digest: str, packages: Iterable[Package], epoch: int
) -> dict[str, Any]:
    """Return the bill of one image; the same image has the same bill, serial number included."""
    purl = f"pkg:oci/{name}@{quote(digest, safe='')}?tag={quote(version, safe='')}"
    components = [package.component() for package in sorted(packages)]
    main = {"type": "container", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    dependencies = {"ref": purl, "dependsOn": [part["bom-ref"] for part in components]}
    content = json.dumps([main, components], sort_keys=True)
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, content)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": main,
        },
        "components": components,
        "dependencies": [dependencies, *({"ref": part["bom-ref"]} for part in components)],
    }
