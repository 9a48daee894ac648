"""oci:// sources: one file of an artifact, as `oras push` stores it (a layer for each file).

The layer is the one that the URI names (`#model.onnx`), else the only one, else the one whose
title, model file path or media type fits the format that is wanted. A model must be a file by
itself; a set of files may be packed, also as `oras push <folder>` does it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason, unsupported
from resnet_jobs.base.files import Digest
from resnet_jobs.net.transfer import (
    HttpStatusError,
    RetryPolicy,
    UnreachableError,
    download_by,
    with_retries,
)
from resnet_jobs.sources.http import unreachable
from resnet_jobs.sources.oci_registry import INDEX_TYPES, Registry, strange, wrong_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import urllib3

    from resnet_contract.address import SourceSpec
    from resnet_jobs.sources.access import Access

TITLES = (
    "org.opencontainers.image.title",
    "org.cncf.model.filepath",
    "org.cnai.model.filepath",  # ModelPack, under its first name
)
UNPACK = "io.deis.oras.content.unpack"  # what oras writes for a folder, which it packs
# The types of an image's layers: oras gives them to plain files, too, and those have a title.
IMAGE_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
PACKED = re.compile(r"[.+](tar|zip)(?:[.+](gzip|zstd))?$")
PACKINGS = {"gzip": ".tar.gz", "zstd": ".tar.zst"}
LISTED = 5
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True)
class Layer:
    """A file of the artifact. `title` is empty when whoever pushed it gave none."""

    digest: str
    media_type: str
    title: str
    is_folder: bool = False

    @property
    def packing(self) -> str:
        """The suffix of what the layer is packed as, "" for a file by itself."""
        kind = self.media_type.lower()
        if self.title and kind.startswith(IMAGE_LAYERS) and not self.is_folder:
            return ""
        found = PACKED.search(kind)
        return PACKINGS.get(found.group(2), f".{found.group(1)}") if found else ""

    @property
    def name(self) -> str:
        """A file name whose suffix tells what it is, from the media type if need be."""
        end = self.packing or (".onnx" if self.media_type.lower().endswith("onnx") else "")
        if not self.title:
            return f"layer{end}"
        return f"{self.title}{'' if self.title.lower().endswith(end) else end}"


def fetch_oci(
    source: SourceSpec,
    target: Path,
    *,
    suffixes: Sequence[str],
    access: Access,
    policy: RetryPolicy,
) -> tuple[Digest, str]:
    """Downloads the layer and checks its digest. Returns the file's name, too."""
    registry = Registry(source.host, source.path, access=access)
    try:
        layers = with_retries(lambda: _layers(registry, source), policy)
        layer = _choose(layers, source, suffixes)
        _check_packing(layer, source, suffixes)

        def opened(headers: Mapping[str, str]) -> AbstractContextManager[urllib3.BaseHTTPResponse]:
            return registry.open(f"blobs/{layer.digest}", headers)

        digest = download_by(opened, target, policy=policy)
    except HttpStatusError as error:
        raise _refused(source, error, has_login=registry.has_login) from error
    except UnreachableError as error:
        raise unreachable(source, source.host, error) from error
    if f"sha256:{digest.sha256}" != layer.digest:
        target.unlink()
        raise wrong_digest(source.host, layer.digest, f"sha256:{digest.sha256}")
    return digest, layer.name


def _layers(registry: Registry, source: SourceSpec) -> list[Layer]:
    """The files of the artifact. An index is followed to its manifest for Linux."""
    manifest = registry.manifest(source.revision or "latest")
    try:
        if manifest.get("mediaType") in INDEX_TYPES or "manifests" in manifest:
            manifest = registry.manifest(_of_index(manifest["manifests"], source))
        entries = manifest.get("layers") or manifest.get("blobs") or []
        layers = [_layer(entry) for entry in entries if entry.get("mediaType") != EMPTY_TYPE]
    except (AttributeError, KeyError, TypeError) as error:
        raise strange(source.host, "a manifest that no specification knows") from error
    for layer in layers:
        if not layer.digest.startswith("sha256:"):
            raise unsupported(
                f"{source.label} has a layer with digest {layer.digest[:20]}: push it again with "
                "sha256, as `oras push` does"
            )
    return layers


def _layer(entry: Mapping[str, Any]) -> Layer:
    annotations = entry.get("annotations") or {}
    return Layer(
        digest=str(entry["digest"]),
        media_type=str(entry.get("mediaType", "")),
        title=next((str(annotations[key]) for key in TITLES if annotations.get(key)), ""),
        is_folder=annotations.get(UNPACK) == "true",
    )


def _of_index(entries: Sequence[Mapping[str, Any]], source: SourceSpec) -> str:
    """Model files are the same for every platform; signatures hang in the index as well."""

    def rank(entry: Mapping[str, Any]) -> int:
        platform = entry.get("platform")
        if platform is None:
            return 1
        fits = (platform.get("os"), platform.get("architecture")) == ("linux", "amd64")
        return 0 if fits else 2 if platform.get("os") == "linux" else 3

    if not entries:
        raise JobError(Reason.MODEL_NOT_FOUND, f"{source.label} is an index without a manifest")
    return str(min(entries, key=rank)["digest"])


def _choose(layers: Sequence[Layer], source: SourceSpec, suffixes: Sequence[str]) -> Layer:
    """The layer with the file, or a sentence that lists what there is."""
    if source.title:
        fitting = [layer for layer in layers if layer.title == source.title]
    elif len(layers) == 1:
        fitting = list(layers)
    else:
        fitting = [layer for layer in layers if _fits(layer, suffixes)]
    if len(fitting) == 1:
        return fitting[0]
    titles = [layer.title or layer.media_type for layer in layers]
    more = f" and {len(titles) - LISTED} more" if len(titles) > LISTED else ""
    listed = f"it holds: {', '.join(titles[:LISTED])}{more}" if titles else "it is empty"
    if source.title:
        what = f"has no file {source.title}"
    else:
        what = f"has {len(fitting) or 'no'} files that end in {' or '.join(suffixes)}"
    raise JobError(
        Reason.MODEL_NOT_FOUND,
        f"{source.label} {what}; {listed}. Push one file, or name it: {source.label}#<file>",
    )


def _fits(layer: Layer, suffixes: Sequence[str]) -> bool:
    if layer.title:
        return layer.title.lower().endswith(tuple(suffixes)) or layer.packing in suffixes
    kind = layer.media_type.lower()
    return layer.packing in suffixes or any(kind.endswith(end.lstrip(".")) for end in suffixes)


def _check_packing(layer: Layer, source: SourceSpec, suffixes: Sequence[str]) -> None:
    """Images for containers and some tools' models are archives; a model must be the file."""
    if not layer.packing or layer.packing in suffixes:
        return
    raise JobError(
        Reason.UNSUPPORTED_MODEL,
        f"{source.label} keeps {layer.title or 'its file'} packed as {layer.packing}, wanted is "
        f"{' or '.join(suffixes)}: push the file as it is, for example with `oras push`",
        detail=layer.media_type,
    )


def _refused(source: SourceSpec, error: HttpStatusError, *, has_login: bool) -> JobError:
    if error.status in (404, 410):
        return JobError(
            Reason.MODEL_NOT_FOUND,
            f"{source.host} has no {source.path} with tag or digest {source.revision}; check the "
            "name, and that the login may see it",
        )
    if error.status in (401, 403) and has_login:
        return JobError(
            Reason.ACCESS_DENIED,
            f"{source.host} does not accept the login of the credentials Secret for {source.path}: "
            "it is wrong, has expired, or gives no right to pull",
        )
    if error.status in (401, 403):
        return JobError(
            Reason.ACCESS_DENIED,
            f"{source.host} wants a login for {source.path}: name a Secret with .dockerconfigjson, "
            "or username and password, in spec.model.credentialsSecretRef",
        )
    return JobError(
        Reason.DOWNLOAD_FAILED,
        f"{source.label} answers HTTP {error.status}: the registry cannot give the file now; it "
        "is tried again later",
    )
