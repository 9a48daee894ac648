"""Writes dist/ from the tree that this file is in, which `python -m devkit.release` has exported.

Everything goes through `tars` and `oci`, so that the same commit gives the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.images.tools import BuildError, run, say
from devkit.release import images as release_images
from devkit.release import texts
from devkit.release.bundle import write_bundle
from devkit.release.chart import Chart, ChartError, find_helm, package
from devkit.release.oci import Layout
from devkit.release.sbom import bill, packages_of
from devkit.release.tars import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devkit.release.images import Made

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "CHANGELOG.md", "docs", "samples")


@dataclass(frozen=True)
class Release:
    """What is released, and from where."""

    version: str
    commit: str
    epoch: int
    out: Path
    registry: str = ""
    foreign: tuple[str, ...] = ()
    digests: Path | None = None
    mkdocs: Path | None = None
    """The program that makes the documentation's site; without it there are the pages alone."""

    @property
    def values(self) -> list[str]:
        return [f"images.registry={self.registry}"] if self.registry else []


def make(release: Release) -> None:
    """Write everything; the folder is empty before."""
    out = release.out
    for folder in ("images", "crds", "sbom"):
        (out / folder).mkdir(parents=True)
    say("chart ...")
    chart = package(
        find_helm(),
        ROOT / "charts" / "resnet-operator",
        out,
        version=release.version,
        epoch=release.epoch,
    )
    (out / "install.yaml").write_text(chart.manifest(release.values), encoding="utf-8")
    for crd in ("resnetservices.yaml", "resnetbatches.yaml"):
        shutil.copy(ROOT / "crds" / crd, out / "crds")
    _copy_documents(release)
    with tempfile.TemporaryDirectory(dir=out) as work:
        layout = Layout(Path(work), release.epoch)
        builder = release_images.builder(release.version)
        made = release_images.build(builder, layout, release.foreign)
        layout.finish([one.image for one in made])
        _write_images(release, layout, made)
        bases = release_images.bases(builder)
        known = _digests(release.digests) | {m.image.reference: m.image.index.digest for m in made}
        _write_lists(release, chart, made, known, bases)
        say("bundle ...")
        write_bundle(layout, chart.package, out, release.version)
    _write_sums(out)


def _copy_documents(release: Release) -> None:
    target = release.out / "documentation"
    target.mkdir()
    for name in DOCUMENTS:
        if (ROOT / name).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, target / name, ignore=unwanted)
        else:
            shutil.copy(ROOT / name, target)
    if release.mkdocs:
        say("documentation ...")
        site = ("--site-dir", target / "site")
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(release.epoch)}
        run(release.mkdocs, "build", "--quiet", "--strict", *site, cwd=ROOT, env=environment)


def _write_images(release: Release, layout: Layout, made: Sequence[Made]) -> None:
    for one in made:
        name = texts.file_name(one.image)
        layout.archive(one.image, release.out / "images" / f"{name}.tar")
        for variant in one.image.variants:
            described = bill(
                name=one.image.reference.rpartition(":")[0],
                version=one.image.tag,
                digest=variant.manifest.digest,
                packages=[
                    *packages_of([layout.blob(layer.blob.digest) for layer in variant.layers]),
                    *one.more,
                ],
                epoch=release.epoch,
            )
            target = release.out / "sbom" / f"{name}-{variant.architecture}.cdx.json"
            target.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def _write_lists(
    release: Release,
    chart: Chart,
    made: Sequence[Made],
    known: Mapping[str, str],
    bases: Mapping[str, str],
) -> None:
    needed = chart.images()
    archives = {one.image.reference: f"images/{texts.file_name(one.image)}.tar" for one in made}
    lines = {
        "images.txt": texts.images_txt(needed, known, archives),
        "values.yaml": texts.values_yaml(known, needed, archives),
        "README.md": texts.readme(
            version=release.version,
            commit=release.commit,
            bases=bases,
            missing=texts.missing(needed, archives) | texts.platforms([one.image for one in made]),
        ),
    }
    for name, text in lines.items():
        (release.out / name).write_text(text, encoding="utf-8")


def _digests(lock: Path | None) -> dict[str, str]:
    """Return digests of foreign images out of a file with lines `REFERENCE sha256:...`."""
    lines = lock.read_text(encoding="utf-8").splitlines() if lock else []
    return dict(line.split() for line in lines if line.strip() and not line.startswith("#"))


def _write_sums(out: Path) -> None:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    lines = [f"{sha256(path)}  {path.relative_to(out)}\n" for path in files]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--epoch", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--registry", default="")
    parser.add_argument("--with", dest="foreign", action="append", default=[])
    parser.add_argument("--digests", type=Path)
    parser.add_argument("--mkdocs", type=Path)
    chosen = parser.parse_args(argv)
    chosen.foreign = tuple(chosen.foreign)
    try:
        make(Release(**vars(chosen)))
    except (BuildError, ChartError, texts.ReleaseError) as error:
        say(f"release: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
