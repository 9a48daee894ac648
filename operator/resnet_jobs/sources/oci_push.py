"""A registry that takes: blobs by their digest, manifests by a tag. Used by `batch`.

Specification: opencontainers/distribution-spec 1.1, "Push".
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from resnet_jobs.base.files import CHUNK_BYTES, Digest, digest_of
from resnet_jobs.net.guarded import origin
from resnet_jobs.net.transfer import HttpStatusError, explained
from resnet_jobs.net.whole import read_whole
from resnet_jobs.sources.oci import EMPTY_TYPE
from resnet_jobs.sources.oci_registry import (
    MANIFEST_TYPES,
    MAX_MANIFEST_BYTES,
    Registry,
    strange,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import urllib3

MANIFEST_TYPE = MANIFEST_TYPES[0]
CONFIG = b"{}"
BYTES = "application/octet-stream"
Descriptor = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """All of an answer; `data` is cut where no registry has that much to say."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class Pusher(Registry):
    """One repository that is written to. Failures are `HttpStatusError` and `UnreachableError`."""

    actions = "pull,push"

    def blob(self, digest: str) -> bytes:
        """A small blob, compared with its digest."""
        with self._blob(digest) as response:
            data = read_whole(response)
        if _digest(data) != digest:
            raise strange(self._host, "a blob of another digest")
        return data

    def checksum(self, digest: str) -> Digest:
        """What a blob really holds."""
        with self._blob(digest) as response:
            return digest_of(response.stream(CHUNK_BYTES, decode_content=False))

    @contextlib.contextmanager
    def _blob(self, digest: str) -> Iterator[urllib3.BaseHTTPResponse]:
        with explained(), self.open(f"blobs/{digest}", {}) as response:
            if response.status != 200:
                raise HttpStatusError(response.status, response.headers)
            yield response

    def put_blob(self, data: bytes, *, media_type: str = BYTES) -> Descriptor:
        """Uploads what is not there yet; the answer names it in a manifest."""
        found = {"mediaType": media_type, "digest": _digest(data), "size": len(data)}
        if self._ask("HEAD", f"blobs/{found['digest']}").status == 200:
            return found
        begun = self._expect(self._ask("POST", "blobs/uploads/", {"Content-Length": "0"}), 202)
        place = begun.headers.get("Location")
        if not place:
            raise strange(self._host, "an upload without a place")
        joint = "&" if urlsplit(place).query else "?"
        headers = {"Content-Type": BYTES, "Content-Length": str(len(data))}
        url = f"{place}{joint}digest={found['digest']}"
        self._expect(self._ask("PUT", url, headers, data), 201)
        return found

    def put_manifest(self, tag: str, layers: list[Descriptor], *, kind: str) -> None:
        """Names layers by a tag; what had the tag before has it no longer."""
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": kind,
            "config": self.put_blob(CONFIG, media_type=EMPTY_TYPE),
            "layers": layers,
        }
        data = json.dumps(document).encode()
        headers = {"Content-Type": MANIFEST_TYPE, "Content-Length": str(len(data))}
        self._expect(self._ask("PUT", f"manifests/{tag}", headers, data), 201)

    def _ask(
        self,
        method: str,
        place: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request; a 401 is followed by one login. Only the registry itself gets the login."""
        url = urljoin(f"{self._base}/", place)
        answer = self._send(method, url, headers or {}, body)
        if answer.status == 401 and origin(url) == origin(self._base):
            self._authorization = self._authorize(answer.headers.get("WWW-Authenticate", ""))
            answer = self._send(method, url, headers or {}, body)
        return answer

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        secrets = self._authorization if origin(url) == origin(self._base) else {}
        response = self._web.send(method, url, {**headers, **secrets}, body=body)
        try:
            with explained():
                data = response.read(MAX_MANIFEST_BYTES)
        finally:
            response.close()
        return Answer(response.status, response.headers, data)

    def _expect(self, answer: Answer, wanted: int) -> Answer:
        if answer.status != wanted:
            raise HttpStatusError(answer.status, answer.headers)
        return answer


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
