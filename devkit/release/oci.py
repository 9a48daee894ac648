"""OCI images whose bytes follow from their content: out of docker-archives, as buildah saves them.

Layers that were built here are written again: sorted, every time the commit's, no owner's name.
Layers of a base from a registry stay byte for byte what they are there; those of the devkit's own
Debian keep times up to a limit, because Debian's bytecode is valid for its source's time only.
What a builder notes of itself is left out of the configuration.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devkit.release.pusher.cli import REFERENCE
from devkit.release.pusher.references import host_of
from devkit.release.tars import compress, pack, rewrite, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OURS = "opt/resnet-operator/"
"""What comes from the repository: its modes are git's, whatever the umask of the checkout was."""
COPIED = re.compile(r"\b(file|dir|multi):[0-9a-f]{64}")
"""buildah's hash of copied files, over their times too."""

RUN_AS = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels"),
    *("StopSignal", "Healthcheck"),
)
"""Of a configuration what says how to run the image; the rest is of the builder's container."""
BUILDER = "io.buildah.version"


@dataclass(frozen=True)
class Descriptor:
    media_type: str
    digest: str
    size: int

    def json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class Layer:
    """`source` is the uncompressed digest before the layer was written again."""

    diff_id: str
    blob: Descriptor
    source: str


@dataclass(frozen=True)
class Variant:
    """An image for one platform."""

    architecture: str
    manifest: Descriptor
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]

    def entry(self) -> dict[str, Any]:
        platform = {"architecture": self.architecture, "os": "linux"}
        return self.manifest.json() | {"platform": platform}


@dataclass(frozen=True)
class Image:
    """An image by its name, for one platform or several."""

    reference: str
    index: Descriptor
    variants: tuple[Variant, ...]

    @property
    def tag(self) -> str:
        return self.reference.rpartition(":")[2]

    def entry(self) -> dict[str, Any]:
        """Return the line of a layout's index. Its names are those that the chart asks for."""
        names = {
            REFERENCE: self.reference,
            "io.containerd.image.name": node_name(self.reference),
            "org.opencontainers.image.ref.name": self.tag,
        }
        return self.index.json() | {"annotations": names}


class Layout:
    """A folder in OCI's image layout. Layers that images share are there once."""

    def __init__(self, folder: Path, epoch: int) -> None:
        self.folder = folder
        self.epoch = epoch
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        self._layers: dict[str, Layer] = {}

    def blob(self, digest: str) -> Path:
        return self.blobs / digest.removeprefix("sha256:")

    def add(self, archive: Path, *, limits: Mapping[str, int | None]) -> Variant:
        """Add the one image of a docker-archive.

        `limits`: a base layer's uncompressed digest -> the latest time in it; None: as it is.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            with tarfile.open(archive) as tar:
                tar.extractall(work, filter="data")
            [described] = json.loads((Path(work) / "manifest.json").read_text())
            config = json.loads((Path(work) / described["Config"]).read_text())
            found = zip(config["rootfs"]["diff_ids"], described["Layers"], strict=True)
            layers = [self._add_layer(source, Path(work) / path, limits) for source, path in found]
        return self.compose(config, layers)

    def compose(self, config: Mapping[str, Any], layers: Sequence[Layer]) -> Variant:
        """Add an image that is made of layers that are in here."""
        normal = normal_config(config, [layer.diff_id for layer in layers], self.epoch)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._add_json(normal, CONFIG).json(),
            "layers": [layer.blob.json() for layer in layers],
        }
        written = self._add_json(manifest, MANIFEST)
        return Variant(normal["architecture"], written, normal, tuple(layers))

    def publish(self, reference: str, variants: Sequence[Variant]) -> Image:
        """Give a name to what is one image for several platforms."""
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [variant.entry() for variant in variants],
        }
        return Image(reference, self._add_json(index, INDEX), tuple(variants))

    def add_layer(self, plain: Path, source: str = "") -> Layer:
        """Add a layer that is as it shall be."""
        packed = plain.with_name(f"{plain.name}.gz")
        with plain.open("rb") as content, packed.open("wb") as out:
            compress(content, out)
        digest, size = f"sha256:{sha256(packed)}", packed.stat().st_size
        packed.replace(self.blob(digest))
        diff_id = f"sha256:{sha256(plain)}"
        return Layer(diff_id, Descriptor(LAYER, digest, size), source or diff_id)

    def _add_layer(self, source: str, file: Path, limits: Mapping[str, int | None]) -> Layer:
        if source not in self._layers:
            plain = file.resolve()
            limit = limits.get(source)
            if source not in limits:
                plain = self._written(plain, lambda _: self.epoch)
            elif limit is not None:
                plain = self._written(plain, lambda time: min(time, limit))
            self._layers[source] = self.add_layer(plain, source)
        return self._layers[source]

    def _written(self, source: Path, time: Callable[[int], int]) -> Path:
        plain = source.with_name(f"{source.name}.normal")
        with plain.open("wb") as out:
            rewrite(source, out, time, mode=normal_mode)
        return plain

    def _add_json(self, value: Mapping[str, Any], media_type: str) -> Descriptor:
        data = _bytes(value)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blob(digest).write_bytes(data)
        return Descriptor(media_type, digest, len(data))

    def finish(self, images: Sequence[Image]) -> None:
        """Write the files that say what is in the layout."""
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [image.entry() for image in images],
        }
        (self.folder / "oci-layout").write_bytes(_bytes({"imageLayoutVersion": "1.0.0"}))
        (self.folder / "index.json").write_bytes(_bytes(index))

    def blobs_of(self, image: Image) -> set[str]:
        found = {image.index.digest}
        for variant in image.variants:
            manifest = json.loads(self.blob(variant.manifest.digest).read_text())
            found |= {variant.manifest.digest, manifest["config"]["digest"]}
            found |= {layer.blob.digest for layer in variant.layers}
        return found

    def archive(self, image: Image, out: Path) -> None:
        """Write an oci-archive with one image."""
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            alone = Layout(Path(work), self.epoch)
            for digest in self.blobs_of(image):
                alone.blob(digest).hardlink_to(self.blob(digest))
            alone.finish([image])
            with out.open("wb") as file:
                pack(Path(work), file, self.epoch)


def node_name(reference: str) -> str:
    """Return the name under which a node looks for what a pod calls `reference`."""
    if host_of(reference):
        return reference
    return f"docker.io/{reference}" if "/" in reference else f"docker.io/library/{reference}"


def normal_mode(path: str, mode: int) -> int:
    """Return git's modes for what comes from the repository, others as they are."""
    if not path.removeprefix("./").startswith(OURS):
        return mode
    return 0o755 if mode & 0o111 else 0o644


def normal_config(config: Mapping[str, Any], diff_ids: list[str], epoch: int) -> dict[str, Any]:
    """Return an image's configuration without the traces of the machine and the hour."""
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    history = [
        {
            "created": created,
            "created_by": COPIED.sub(r"\1", str(step.get("created_by", ""))),
        }
        | ({"empty_layer": True} if step.get("empty_layer") else {})
        for step in config.get("history", [])
    ]
    kept = ("architecture", "os", "variant")
    run_as = {name: config["config"][name] for name in RUN_AS if config["config"].get(name)}
    labels = {name: value for name, value in run_as.pop("Labels", {}).items() if name != BUILDER}
    run_as |= {"Labels": labels} if labels else {}
    return {name: config[name] for name in kept if name in config} | {
        "config": run_as,
        "created": created,
        "history": history,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }


def _bytes(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
