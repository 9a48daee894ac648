"""The store behind HTTP: nginx with WebDAV's PUT and MOVE (templates/store-nginx.conf).

What nginx answers was found by running it. PUT on a full volume is a plain 500, the same as on a
read-only one, but an *empty* PUT then still works on the full one and fails on the other: that is
how StoreFull is told from a broken store. MOVE with "Overwrite: F" is 412 when the name is taken,
and with its single worker exactly one of two racing commits gets through.
"""

from __future__ import annotations

import contextlib
import io
import secrets
from typing import IO, TYPE_CHECKING

import urllib3

from resnet_jobs.clock import SYSTEM_CLOCK, Clock, backoff_delays
from resnet_jobs.errors import JobError, Reason
from resnet_jobs.progress import Progress, say, size_text
from resnet_jobs.store import Manifest, blob_path, manifest_path, parse_manifest
from resnet_jobs.transfer import UnreachableError, explained

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from resnet_jobs.files import Digest

Body = IO[bytes]
RETRIED_STATUS = (408, 425, 429, 502, 503, 504)
STORED = (200, 201, 204)
FULL_STATUS = 507
BROKEN_STATUS = 500


class ServerStore:
    """One store server. `wait_seconds` covers a server that is starting or being rescheduled."""

    def __init__(
        self, url: str, *, wait_seconds: float, clock: Clock = SYSTEM_CLOCK, pool_size: int = 1
    ) -> None:
        self._url = url.rstrip("/")
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._pool = urllib3.PoolManager(
            maxsize=pool_size, retries=False, timeout=urllib3.Timeout(connect=10.0, read=120.0)
        )

    def find(self, content_key: str) -> Manifest | None:
        response = self._send("GET", manifest_path(content_key))
        if response.status == 404:
            return None
        self._expect(response, "GET", 200)
        manifest = parse_manifest(response.data, content_key)
        if manifest is None or self._size(blob_path(manifest.sha256)) != manifest.size:
            return None
        return manifest

    def put_blob(self, path: Path, digest: Digest) -> None:
        progress = Progress("uploaded", total=digest.size, monotonic=self._clock.monotonic)
        place = blob_path(digest.sha256)
        if self._size(place) == digest.size:
            say("the store has the file already")
            return

        def body() -> Body:
            progress.restart(total=digest.size)
            return _Counted(path, progress)

        upload = self._put(body, digest.size)
        if self._move(upload, place, overwrite=True) == 404 and self._size(place) != digest.size:
            raise self._broken("MOVE", 404)
        progress.finish()

    def commit(self, manifest: Manifest) -> Manifest:
        data, place = manifest.encoded(), manifest_path(manifest.content_key)
        upload = self._put(lambda: io.BytesIO(data), len(data))
        if self._move(upload, place, overwrite=False) == 412:
            winner = self.find(manifest.content_key)
            if winner is not None:
                self._discard(upload)
                return winner
            say("the manifest there has lost its blob; replacing it")
            self._move(upload, place, overwrite=True)
        winner = self.find(manifest.content_key)
        if winner is None:
            raise JobError(
                Reason.STORE_UNAVAILABLE, "the store lost the artifact right after it was stored"
            )
        return winner

    def _put(self, body: Callable[[], Body], size: int) -> str:
        upload = f"uploads/{secrets.token_hex(16)}"
        response = self._send("PUT", upload, body=body, size=size)
        if response.status not in STORED:
            raise self._failed_put(response.status, size)
        return upload

    def _failed_put(self, status: int, size: int) -> JobError:
        """A 500 is a full volume if nginx can still write nothing at all: see the module."""
        if status == BROKEN_STATUS:
            probe = f"uploads/{secrets.token_hex(16)}"
            answer = self._send("PUT", probe, body=io.BytesIO, size=0)
            if answer.status in STORED:
                self._discard(probe)
                status = FULL_STATUS
        if status == FULL_STATUS:
            return JobError(
                Reason.STORE_FULL,
                f"the store has no room for {size_text(size)}: enlarge the claim resnet-store in "
                "this namespace, or delete services whose artifacts are no longer needed",
            )
        return self._broken("PUT", status)

    def _move(self, upload: str, place: str, *, overwrite: bool) -> int:
        """201, 204, 412 (taken), or 404: an earlier try got through and its answer was lost."""
        headers = {"Destination": f"/{place}", "Overwrite": "T" if overwrite else "F"}
        response = self._send("MOVE", upload, headers=headers)
        if response.status in (BROKEN_STATUS, FULL_STATUS):
            raise self._failed_put(response.status, 0)
        self._expect(response, "MOVE", *STORED, 404, *(() if overwrite else (412,)))
        return response.status

    def _discard(self, upload: str) -> None:
        with contextlib.suppress(JobError):  # left-overs cost little, a failed Job much
            self._send("DELETE", upload)

    def _size(self, place: str) -> int | None:
        response = self._send("HEAD", place)
        if response.status == 404:
            return None
        self._expect(response, "HEAD", 200)
        return int(response.headers.get("Content-Length", -1))

    def _send(
        self,
        method: str,
        place: str,
        *,
        body: Callable[[], Body] | None = None,
        size: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One request, repeated with back-off while the server cannot be reached."""
        sent = {"User-Agent": "resnet-operator", **(headers or {})}
        if size is not None:
            sent["Content-Length"] = str(size)
        delays = iter(backoff_delays(self._wait_seconds))
        while True:
            try:
                with explained(), contextlib.closing(body() if body else io.BytesIO()) as content:
                    response = self._pool.request(
                        method,
                        f"{self._url}/{place}",
                        body=content if body else None,
                        headers=sent,
                        redirect=False,
                    )
                if response.status not in RETRIED_STATUS:
                    return response
                what = f"HTTP {response.status}"
            except UnreachableError as error:
                what = str(error)
            delay = next(delays, None)
            if delay is None:
                raise self._unreachable(what)
            say(f"the store does not answer yet ({what}); trying again in {delay:.0f} s")
            self._clock.sleep(delay)

    def _expect(self, response: urllib3.BaseHTTPResponse, method: str, *wanted: int) -> None:
        if response.status not in wanted:
            raise self._broken(method, response.status)

    def _unreachable(self, what: str) -> JobError:
        return JobError(
            Reason.STORE_UNAVAILABLE,
            f"the store {self._url} does not answer ({what}): look at the pod and the claim of "
            "Deployment resnet-store in this namespace",
        )

    def _broken(self, method: str, status: int) -> JobError:
        return JobError(
            Reason.STORE_UNAVAILABLE,
            f"the store {self._url} answers {method} with HTTP {status}: its volume may be "
            "read-only; see the log of Deployment resnet-store in this namespace",
        )


class _Counted(io.FileIO):
    """A file that reports how much of it was read."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path, "rb")
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._progress.advance(len(data))
        return data
