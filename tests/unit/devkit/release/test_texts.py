"""The lists of a release say what is in it, and what is not."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from devkit.release import texts
from devkit.release.__main__ import SEMVER
from devkit.release.oci import Descriptor, Image, Variant
from tests.support.apiserver import ROOT

D = "sha256:" + "0" * 64
NGINX = "docker.io/nginxinc/nginx-unprivileged:1.28"
CANN = "quay.io/ascend/cann:9.0.0"
NEEDED = ["resnet-jobs:1", "resnet-serving:1", CANN, NGINX]
ARCHIVES = {"resnet-jobs:1": "images/a.tar", "resnet-store:1": "images/b.tar"}
KNOWN = {"resnet-jobs:1": D, "resnet-store:1": D, CANN: D, "other:1": D}


def test_images_txt_has_every_image_and_says_what_it_does_not_know() -> None:
    text = texts.images_txt(NEEDED, KNOWN, ARCHIVES)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == [
        f"{NGINX} - -",
        f"{CANN} {D} -",
        f"resnet-jobs:1 {D} images/a.tar",
        "resnet-serving:1 - -",
        f"resnet-store:1 {D} images/b.tar",
    ]
    assert "skopeo inspect" in text


def test_values_pin_what_is_known() -> None:
    values = yaml.safe_load(texts.values_yaml(KNOWN, NEEDED, ARCHIVES))
    assert values["images"]["digests"] == {"resnet-jobs:1": D, "resnet-store:1": D, CANN: D}


STORES = [
    (ARCHIVES, "resnet-store:1", "the bundle's own nginx"),
    (ARCHIVES | {NGINX: "images/n.tar"}, None, "the usual nginx is in the bundle"),
    ({"resnet-jobs:1": "images/a.tar"}, None, "no nginx is in the bundle"),
]


@pytest.mark.parametrize(("archives", "image", "why"), STORES, ids=[s[2] for s in STORES])
def test_values_name_the_store_that_is_there(
    archives: dict[str, str], image: str | None, why: str
) -> None:
    values = yaml.safe_load(texts.values_yaml(KNOWN, NEEDED, archives))
    assert values.get("store", {}).get("image") == image, why


def test_what_is_missing_is_named_with_what_to_do() -> None:
    missing = texts.missing(NEEDED, ARCHIVES)
    assert set(missing) == {NGINX, CANN, "resnet-serving:1"}
    assert "docker build --target serving" in missing["resnet-serving:1"]
    assert "WITH=" in missing[NGINX]
    assert "resnet-jobs:1" not in missing
    readme = texts.readme(version="1", commit="abc", bases={"PYTHON_IMAGE": "x"}, missing=missing)
    assert all(f"- `{name}`: " in readme for name in (*missing, "PYTHON_IMAGE"))
    assert "commit abc" in readme


def image(reference: str, *architectures: str) -> Image:
    part = Descriptor("x", D, 1)
    return Image(reference, part, tuple(Variant(a, part, {}, ()) for a in architectures))


def test_file_names() -> None:
    assert texts.file_name(image("docker.io:5000/a/b:1.2")) == "docker.io_5000_a_b-1.2"


def test_platforms_are_not_promised() -> None:
    found = texts.platforms([image("a:1", "amd64"), image("b:1", "amd64", "arm64")])
    assert found["a:1 for linux/arm64"] == texts.NO_ARM64
    assert "never been started" in found["b:1 for linux/arm64"]


VERSIONS = [
    ("0.2.0", True, "a release"),
    ("10.20.30-rc.1", True, "a candidate"),
    ("", False, "forgotten"),
    ("v0.2.0", False, "helm takes it, but tags of images would have a v and pins would not fit"),
    ("0.2", False, "helm wants three numbers"),
    ("0.2.0+abc", False, "a tag of an image has no +"),
    ("0.2.0 ", False, "a blank"),
]


@pytest.mark.parametrize(("version", "valid", "why"), VERSIONS, ids=[v[2] for v in VERSIONS])
def test_versions(version: str, valid: bool, why: str) -> None:
    assert bool(SEMVER.fullmatch(version)) is valid, why


def test_a_release_without_a_version_says_what_to_write() -> None:
    command = [sys.executable, "-m", "devkit.release", "--version", ""]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "make release VERSION=0.2.0" in done.stderr
