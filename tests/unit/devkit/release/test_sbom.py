"""Bills of material: read out of layers, whole by CycloneDX's rules, the same each time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from devkit.release.sbom import Package, bill, debian_package, packages_of, python_package
from tests.unit.devkit.release.archives import Entry, layer

if TYPE_CHECKING:
    from pathlib import Path

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u9

Package: tzdata
Status: deinstall ok config-files
Architecture: all
Version: 2024a

Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13.dfsg-1
"""
LIBRARIES = "opt/libraries"


def metadata(name: str, version: str, license_line: str) -> bytes:
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{license_line}\n\nLong text"
    return text.encode()


def layers(folder: Path, *contents: list[Entry]) -> list[Path]:
    paths = []
    for number, entries in enumerate(contents):
        path = folder / f"{number}.tar"
        path.write_bytes(layer(entries))
        paths.append(path)
    return paths


def test_packages(tmp_path: Path) -> None:
    first = [
        Entry("./var/lib/dpkg/status", STATUS.encode()),
        Entry("usr/share/doc/x.dist-info/METADATA.txt", b"no record"),
    ]
    second = [
        Entry(
            f"{LIBRARIES}/PyYAML-6.dist-info/METADATA", metadata("PyYAML", "6.0.3", "License: MIT")
        ),
        Entry(
            f"./{LIBRARIES}/a_b-1.dist-info/METADATA",
            metadata("a_b.C", "1+x", "License-Expression: BSD-3-Clause OR MIT"),
        ),
        Entry(f"{LIBRARIES}/l.dist-info/METADATA", metadata("l", "1", f"License: {'x' * 200}")),
    ]
    assert packages_of(layers(tmp_path, first, second)) == [
        Package("PyYAML", "6.0.3", "pkg:pypi/pyyaml@6.0.3", "MIT"),
        Package("a_b.C", "1+x", "pkg:pypi/a-b-c@1%2Bx", "BSD-3-Clause OR MIT"),
        Package("l", "1", "pkg:pypi/l@1", ""),
        Package("libc6", "2.36-9+deb12u9", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64"),
        Package("zlib1g", "1:1.2.13.dfsg-1", "pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64"),
    ]


def test_the_upper_layer_has_the_last_word(tmp_path: Path) -> None:
    upgraded = STATUS.replace("2.36-9+deb12u9", "2.36-9+deb12u13")
    found = packages_of(
        layers(
            tmp_path,
            [Entry("var/lib/dpkg/status", STATUS.encode())],
            [Entry("var/lib/dpkg/status", upgraded.encode())],
        )
    )
    assert [p.version for p in found if p.name == "libc6"] == ["2.36-9+deb12u13"]


def test_an_image_without_a_package_manager(tmp_path: Path) -> None:
    """Google's distroless has a file for each package, without a line Status."""
    text = b"Package: tzdata\nVersion: 2024a\nArchitecture: all\n"
    [found] = packages_of(layers(tmp_path, [Entry("var/lib/dpkg/status.d/tzdata", text)]))
    assert found == debian_package("tzdata", "2024a", "all")


@pytest.fixture
def described() -> dict[str, Any]:
    return bill(
        name="resnet-jobs",
        version="0.2.0",
        digest=f"sha256:{'0' * 64}",
        packages=[python_package("numpy", "2.0", "BSD"), debian_package("libc6", "2", "amd64")],
        epoch=1_700_000_000,
    )


def test_the_bill_is_whole(described: dict[str, Any]) -> None:
    """What CycloneDX 1.5 wants: required fields, patterns, unique references, closed edges."""
    assert described["bomFormat"] == "CycloneDX"
    assert described["specVersion"] == "1.5"
    assert isinstance(described["version"], int)
    serial = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    assert re.fullmatch(serial, described["serialNumber"])
    assert described["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    components = [described["metadata"]["component"], *described["components"]]
    for component in components:
        assert component["type"] in {"container", "library"}
        assert all(component[name] for name in ("name", "version", "bom-ref"))
        assert re.fullmatch(r"pkg:(oci|pypi|deb)/[^@\s]+@[^@\s]+", component["purl"])
    references = [component["bom-ref"] for component in components]
    assert len(set(references)) == len(references)
    assert [d["ref"] for d in described["dependencies"]] == references
    assert described["dependencies"][0]["dependsOn"] == references[1:]
    assert json.loads(json.dumps(described)) == described


def test_the_bill_is_the_same_each_time(described: dict[str, Any]) -> None:
    packages = [debian_package("libc6", "2", "amd64"), python_package("numpy", "2.0", "BSD")]
    options: dict[str, Any] = {
        "name": "resnet-jobs",
        "version": "0.2.0",
        "digest": f"sha256:{'0' * 64}",
        "epoch": 1_700_000_000,
    }
    assert bill(packages=packages, **options) == described
    other = bill(packages=packages[:1], **options)
    assert other["serialNumber"] != described["serialNumber"]
