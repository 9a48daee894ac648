"""A registry that takes the output: each part is an artifact of its own until all are one.

`<tag>.part-00000` has two layers, the part's file and the small one with its digest, so it is there
with both or not at all. `<tag>.batch` says whose parts these are. What `manifest.json` names is one
artifact at last, under `<tag>`: its layers are the parts' own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from resnet_contract.batch.order import OUTPUT
from resnet_jobs.base.clock import Clock, backoff_delays
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.batch.parts import MANIFEST
from resnet_jobs.net.transfer import (
    HttpStatusError,
    RetryPolicy,
    UnreachableError,
    with_retries,
)
from resnet_jobs.sources.oci import TITLES
from resnet_jobs.sources.oci_push import Pusher

if TYPE_CHECKING:
    from collections.abc import Callable

    from resnet_contract.address import SourceSpec
    from resnet_jobs.base.files import Digest
    from resnet_jobs.sources.access import Access
    from resnet_jobs.sources.oci_push import Descriptor

T = TypeVar("T")
KIND = "application/vnd.resnet-operator.batch.v1"
TITLE = TITLES[0]
TYPES = {
    "csv": "text/csv",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}


@dataclass
class OutputRegistry:
    """`tag` is the whole output's; `label` is the address for sentences."""

    pusher: Pusher
    tag: str
    label: str
    policy: RetryPolicy
    # Layers of parts whose digest is still to come, by the part's name.
    _held: dict[str, Descriptor] = field(default_factory=dict)

    def read(self, place: str) -> bytes | None:
        """Nothing but an empty file where somebody else's artifact has the tag."""
        layers = self._layers(place)
        if layers is None:
            return None
        layer = _titled(layers, place)
        return self._tried(lambda: self.pusher.blob(layer["digest"])) if layer else b""

    def checksum(self, place: str) -> Digest | None:
        layer = _titled(self._layers(place) or [], place)
        if layer is None:
            return None
        try:
            return self._tried(lambda: self.pusher.checksum(layer["digest"]), missing=True)
        except HttpStatusError:
            return None

    def write(self, place: str, data: bytes, *, overwrite: bool = True) -> bool:
        """A part's file waits for its digest, with which it gets its tag."""
        if not overwrite and self._layers(place) is not None:
            return False
        stem, _, end = place.rpartition(".")
        kind = TYPES.get(end, TYPES["json"])
        layer = self._tried(lambda: self.pusher.put_blob(data, media_type=kind))
        layer = {**layer, "annotations": {TITLE: place}}
        if end != "json":
            self._held[stem] = layer
            return True
        others = _named_by(data) if place == MANIFEST else [self._held.pop(stem, None)]
        layers = [*(one for one in others if one), layer]
        self._tried(lambda: self.pusher.put_manifest(self._tag_of(place), layers, kind=KIND))
        return True

    def _tag_of(self, place: str) -> str:
        return self.tag if place == MANIFEST else f"{self.tag}.{place.rpartition('.')[0]}"

    def _layers(self, place: str) -> list[Any] | None:
        try:
            found = self._tried(lambda: self.pusher.manifest(self._tag_of(place)), missing=True)
        except HttpStatusError:
            return None
        layers = found.get("layers")
        return layers if isinstance(layers, list) else []

    def _tried(self, call: Callable[[], T], *, missing: bool = False) -> T:
        """`missing`: a 404 is an answer, and is raised as it is."""
        try:
            return with_retries(call, self.policy)
        except HttpStatusError as error:
            if missing and error.status == 404:
                raise
            raise self._refused(error.status) from error
        except UnreachableError as error:
            raise JobError(
                Reason.STORE_UNAVAILABLE,
                f"{self.label} cannot be reached ({error}): check {OUTPUT}.uri, and the network "
                "policies of this namespace",
            ) from error

    def _refused(self, status: int) -> JobError:
        if status in (401, 403):
            how = "does not accept the login of" if self.pusher.has_login else "wants a login: name"
            return JobError(
                Reason.ACCESS_DENIED,
                f"{self.label} {how} the Secret of {OUTPUT}.credentialsSecretRef, with the right "
                "to pull and to push",
            )
        return JobError(
            Reason.STORE_UNAVAILABLE,
            f"{self.label} answers HTTP {status}: look at the registry's log; the repository may "
            "have to be made first, or tags may be fixed",
        )


def output_registry(
    address: SourceSpec, access: Access, *, wait_seconds: float, clock: Clock
) -> OutputRegistry:
    return OutputRegistry(
        pusher=Pusher(address.host, address.path, access=access),
        tag=address.revision or "",
        label=address.label,
        policy=RetryPolicy(backoff_delays(wait_seconds), wait_seconds, clock),
    )


def _titled(layers: list[Any], place: str) -> Descriptor | None:
    """The layer that is a file of this name."""
    for layer in layers:
        if isinstance(layer, dict) and (layer.get("annotations") or {}).get(TITLE) == place:
            return layer if str(layer.get("digest", "")).startswith("sha256:") else None
    return None


def _named_by(manifest: bytes) -> list[Descriptor]:
    """The layers of all parts, which are blobs of the repository already."""
    return [
        {
            "mediaType": TYPES[part["file"].rpartition(".")[2]],
            "digest": f"sha256:{part['sha256']}",
            "size": part["size"],
            "annotations": {TITLE: part["file"]},
        }
        for part in json.loads(manifest)["parts"]
    ]
