"""What the two kinds of store behind HTTP share: requests that are patient, and reading.

`store_server` is our own nginx, `store_s3` somebody's object store. Both answer 200 and 404 to the
same questions; what they say when they are full or broken differs, and is theirs.
"""

from __future__ import annotations

import contextlib
import io
from abc import abstractmethod
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, TypeVar

import urllib3

from resnet_jobs.base.clock import SYSTEM_CLOCK, Clock, backoff_delays
from resnet_jobs.base.errors import JobError
from resnet_jobs.base.files import CHUNK_BYTES, Digest, digest_of
from resnet_jobs.base.progress import Progress, say
from resnet_jobs.net.transfer import UnreachableError, explained
from resnet_jobs.net.whole import BoundedPool, TooLargeError
from resnet_jobs.store.base import Store

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")
Response = urllib3.BaseHTTPResponse
RETRIED_STATUS = (408, 425, 429, 502, 503, 504)
STORED = (200, 201, 204)
FULL_STATUS = 507
BROKEN_STATUS = 500


class HttpStore(Store):
    """`wait_seconds` covers a server that is starting or being rescheduled."""

    retried_status: tuple[int, ...] = RETRIED_STATUS
    headers: Mapping[str, str] = MappingProxyType({})  # of every request

    def __init__(
        self,
        *,
        wait_seconds: float,
        pool: urllib3.PoolManager,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._pool = pool

    @abstractmethod
    def address(self, method: str, place: str) -> str: ...

    @abstractmethod
    def refused(self, method: str, response: Response) -> JobError:
        """What an answer means that nothing good can be made of."""

    @abstractmethod
    def unreachable(self, what: str) -> JobError: ...

    def read(self, place: str) -> bytes | None:
        response = self.send("GET", place)
        if self.is_missing(response):
            return None
        self.expect(response, "GET", 200)
        return response.data

    def is_missing(self, response: Response) -> bool:
        return response.status == 404

    def size(self, place: str) -> int | None:
        response = self.send("HEAD", place)
        if response.status == 404:
            return None
        self.expect(response, "HEAD", 200)
        return int(response.headers.get("Content-Length", -1))

    def checksum(self, place: str) -> Digest | None:
        return self._ask_for_file(place, _digest)

    def save(self, place: str, target: Path) -> Digest | None:
        """Copies a file to here; begins again when the connection breaks."""

        def take(response: Response) -> Digest:
            with target.open("wb") as file:
                return _digest(response, file)

        return self._ask_for_file(place, take)

    def _ask_for_file(self, place: str, take: Callable[[Response], Digest]) -> Digest | None:
        def found(response: Response) -> Digest | None:
            if response.status == 200:
                return take(response)
            if self.is_missing(response):
                return None
            raise self.refused("GET", response)

        return self.ask("GET", place, take=found, streamed=True)

    def send(
        self,
        method: str,
        place: str,
        *,
        body: Callable[[], IO[bytes]] | None = None,
        size: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """One request and its whole answer."""
        return self.ask(method, place, body=body, size=size, headers=headers, take=lambda x: x)

    def ask(
        self,
        method: str,
        place: str,
        *,
        take: Callable[[Response], T],
        body: Callable[[], IO[bytes]] | None = None,
        size: int | None = None,
        headers: dict[str, str] | None = None,
        streamed: bool = False,
    ) -> T:
        """One request, repeated with back-off while the server cannot be reached."""
        sent = {"User-Agent": "resnet-operator", "Accept-Encoding": "identity"}
        sent |= {**self.headers, **(headers or {})}
        if size is not None:
            sent["Content-Length"] = str(size)

        def attempt() -> T:
            with explained(), contextlib.closing(body() if body else io.BytesIO()) as content:
                response = self._pool.request(
                    method,
                    self.address(method, place),
                    body=content if body else None,
                    headers=sent,
                    redirect=False,
                    preload_content=not streamed,
                )
                with contextlib.closing(response) if streamed else contextlib.nullcontext():
                    if response.status in self.retried_status:
                        raise UnreachableError(f"HTTP {response.status}")
                    return take(response)

        return self.patiently(attempt)

    def patiently(self, attempt: Callable[[], T]) -> T:
        """Tries again, with back-off, while the server cannot be reached."""
        delays = iter(backoff_delays(self._wait_seconds))
        while True:
            try:
                return attempt()
            except TooLargeError as error:
                raise self.unreachable(str(error)) from error
            except UnreachableError as error:
                what = str(error)
            delay = next(delays, None)
            if delay is None:
                raise self.unreachable(what)
            say(f"the store does not answer yet ({what}); trying again in {delay:.0f} s")
            self._clock.sleep(delay)

    def expect(self, response: Response, method: str, *wanted: int) -> None:
        if response.status not in wanted:
            raise self.refused(method, response)


def _digest(response: Response, file: IO[bytes] | None = None) -> Digest:
    chunks = response.stream(CHUNK_BYTES, decode_content=False)
    return digest_of(chunks, file.write if file else None)


def new_pool(*, ca: ssl.SSLContext | None = None) -> urllib3.PoolManager:
    """Connections for a store; never through a proxy, as it is mostly in the cluster."""
    timeout = urllib3.Timeout(connect=10.0, read=120.0)
    return BoundedPool(maxsize=1, retries=False, timeout=timeout, ssl_context=ca)


class Counted(io.FileIO):
    """A file that reports how much of it was read."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path, "rb")
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._progress.advance(len(data))
        return data


def counted(path: Path, digest: Digest, progress: Progress) -> Callable[[], IO[bytes]]:
    """What opens the file for each attempt."""

    def body() -> IO[bytes]:
        progress.restart(total=digest.size)
        return Counted(path, progress)

    return body
