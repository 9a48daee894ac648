"""What the demo builds, pushes and asks for: only what it runs, and under the same names."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from devkit import deploy, place
from devkit.cluster import build as cluster_build
from devkit.images import build as image_build
from devkit.images.builder import Builder
from devkit.images.targets import DEMO, IMAGES, ON_DEMAND

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY = "registry.example.com/team"


def test_every_image_is_the_demos_or_built_on_demand() -> None:
    shipped = [name for name, image in IMAGES.items() if image.shipped]
    assert sorted((*DEMO, *ON_DEMAND)) == sorted(shipped)


@pytest.mark.parametrize("name", ["amct", "export", "serving-oneflow", "serving-torch"])
def test_the_demo_needs_nothing_of(name: str) -> None:
    """Not as a base either: PyTorch alone would be 600 MB."""
    below = {base for one in DEMO for base in bases(one)}
    assert name not in {*DEMO, *below}


def bases(name: str) -> set[str]:
    own = set(IMAGES[name].bases.values())
    return own.union(*(bases(base) for base in own))


def test_images_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGES", raising=False)
    assert place.wanted() == DEMO
    monkeypatch.setenv("IMAGES", "all")
    assert set(place.wanted()) == {*DEMO, *ON_DEMAND}
    monkeypatch.setenv("IMAGES", "amct")
    with pytest.raises(deploy.DeployError, match="set it to all"):
        place.wanted()


def asked_for(values: Mapping[str, Any]) -> set[str]:
    """References that the chart makes of these values and its own, but for images of others."""
    images = values["images"]
    prefix, tag = images["registry"], images["tag"]
    serving = {"AscendOM": "resnet-serving", "ONNXRuntime": "resnet-serving-cpu"}
    names = {
        "resnet-operator",
        "resnet-jobs",
        "resnet-fetch",
        *(serving | images["serving"]).values(),
    }
    names |= {images[key] for key in ("amct", "export") if key in images}
    own = {f"{prefix}/{name}:{tag}" for name in names}
    converters = {image for image in images["converter"].values() if image}
    return own | converters | {values["store"]["image"]}


CANN = "quay.example.com/cann:9"
PLACES = [
    ({}, set(), "the simulator converts"),
    ({"CANN_IMAGE": CANN}, {CANN}, "a real CANN image is the cluster's to pull"),
    ({"REGISTRY": REGISTRY + "/"}, set(), "a slash at the end changes nothing"),
    ({"PULL_SECRET": "login"}, set(), "a registry with a login"),
]


@pytest.mark.parametrize("choice", [DEMO, (*DEMO, *ON_DEMAND)], ids=["demo", "all"])
@pytest.mark.parametrize(("environment", "of_others", "reason"), PLACES)
def test_a_cluster_is_asked_for_what_was_pushed(
    environment: dict[str, str],
    of_others: set[str],
    reason: str,
    choice: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pushed: set[str] = set()

    def push(
        names: list[str], _builder: Builder, prefix: str, tag: str, *, verify_tls: bool
    ) -> None:
        assert verify_tls
        pushed.update(f"{prefix}/{IMAGES[name].repository}:{tag}" for name in names)

    monkeypatch.setattr(image_build, "push", push)
    monkeypatch.setattr(image_build, "devkit_builder", lambda: Builder(tmp_path))
    monkeypatch.setattr(cluster_build, "build", lambda: tmp_path)
    monkeypatch.setattr(place, "wanted", lambda: choice)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: None)
    where, _ = place.on_foreign_cluster(Path("kubeconfig"), {"REGISTRY": REGISTRY, **environment})
    assert asked_for(where.values) <= pushed | of_others, reason
    assert (CANN in asked_for(where.values)) == bool(of_others), reason
    secrets = where.values["images"].get("pullSecrets", [])
    assert secrets == [environment[key] for key in ("PULL_SECRET",) if key in environment]


def test_another_content_is_another_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IfNotPresent would keep an old image of the same name."""
    builder = Builder(tmp_path)
    before = image_build.content_tag(DEMO, builder)
    changed = Builder(tmp_path, version="9.9.9")
    assert image_build.content_tag(DEMO, builder) == before
    assert image_build.content_tag(DEMO, changed) != before


def test_a_cluster_without_a_registry_is_refused() -> None:
    with pytest.raises(deploy.DeployError, match="set REGISTRY"):
        place.on_foreign_cluster(Path("kubeconfig"), {})


def test_the_plan_has_what_is_missing_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run builds bases, programs and images; a later one only boots and loads."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("IMAGES", raising=False)
    monkeypatch.setattr(Builder, "engine", Nothing())
    first = place.plan_here()
    images = [f"image-{name}" for name in ("base", "store", "cann", "operator", "jobs", "fetch")]
    images += ["image-triton", "image-serving-cpu", "image-serving"]
    programs = [part.name for part in cluster_build.parts()]
    last = ["load", *place.LAST_STEPS]
    assert list(first) == [*programs, "boot", *images, *last]

    builder = image_build.devkit_builder()
    for name in DEMO:
        builder.tar(IMAGES[name]).parent.mkdir(parents=True)
        builder.tar(IMAGES[name]).touch()
    for part in cluster_build.parts():
        part.folder.mkdir(parents=True)
        (part.folder / "complete").touch()
    assert list(place.plan_here()) == ["boot", *last]


class Nothing:
    """An engine with an empty storage."""

    def has(self, _reference: str) -> bool:
        return False
