"""Downloads over HTTP: streamed, retried with back-off, resumed where the server allows it.

Used by `sources` for models and by `download` for artifacts. What a failure *means* differs
between the two (a 404 is ModelNotFound or ArtifactMissing), so this module raises what happened
and its callers name the reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import urllib3
from urllib3 import exceptions

from resnet_contract.progress import MIB
from resnet_jobs.base.clock import SYSTEM_CLOCK, Clock
from resnet_jobs.base.files import Digest, no_space_explained, require_space
from resnet_jobs.base.progress import Progress, say
from resnet_jobs.net.answers import Version, length_of, part_of, pause_of, version_of
from resnet_jobs.net.content_encoding import EncodingError, decoded, encoding_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    # Asks for the file with these headers (Range, If-Range); the answer is closed with the block.
    Opener = Callable[[Mapping[str, str]], AbstractContextManager[urllib3.BaseHTTPResponse]]

T = TypeVar("T")
NOTHING_KNOWN = Version()
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
MAX_REDIRECTS = 5
PIECE_BYTES = 64 * 1024  # small enough that a slow link is seen to move, and its time to be up
RETRIED_STATUS = (408, 425, 429)
HEADERS = {"User-Agent": "resnet-operator", "Accept-Encoding": "identity"}


class TransferError(Exception):
    """The file did not come. `may_pass` tells whether asking again can help.

    TransferError
    ├── HttpStatusError    the server answered, and not with the file
    └── UnreachableError   there was no answer, or it broke off: the text says which
    """

    may_pass = True


class HttpStatusError(TransferError):
    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers or {}
        self.may_pass = status >= 500 or status in RETRIED_STATUS


class UnreachableError(TransferError):
    """`untrusted`: the server answered, but its certificate is none that we believe."""

    def __init__(self, text: str, *, may_pass: bool = True, untrusted: bool = False) -> None:
        super().__init__(text)
        self.may_pass = may_pass
        self.untrusted = untrusted


@dataclass(frozen=True)
class RetryPolicy:
    """How long to try: a pause before each new attempt, and a limit on the whole."""

    delays: tuple[float, ...]
    total_seconds: float
    clock: Clock = SYSTEM_CLOCK


@dataclass
class _Part:
    """A download under way: what is written, and what is needed to go on from there."""

    file: IO[bytes]
    progress: Progress
    checksum: hashlib._Hash = field(default_factory=hashlib.sha256)
    version: Version = NOTHING_KNOWN

    def restart(self, version: Version, total: int | None) -> None:
        self.version = version
        self.file.seek(0)
        self.file.truncate()
        self.checksum = hashlib.sha256()
        self.progress.restart(total=total)


def new_pool() -> urllib3.PoolManager:
    """TLS certificates are checked against the image's own list; no proxy is used."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        retries=urllib3.Retry(
            total=None, connect=0, read=0, status=0, other=0, redirect=MAX_REDIRECTS
        ),
        headers=HEADERS,
    )


def download(url: str, target: Path, *, policy: RetryPolicy) -> Digest:
    """Writes the answer to `target` and returns its digest; `target` is whole or not there.

    Raises `TransferError` or `JobError` (EphemeralStorageExceeded).
    """
    with new_pool() as pool:
        return download_by(_plain_opener(pool, url), target, policy=policy)


def download_by(opener: Opener, target: Path, *, policy: RetryPolicy) -> Digest:
    """The same by any way of asking: `opener` may log in, sign, or follow redirects."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    clock = policy.clock
    progress = Progress("downloaded", total=None, monotonic=clock.monotonic)
    try:
        with no_space_explained(target), unfinished.open("wb") as file:
            part = _Part(file=file, progress=progress)
            _until_done(opener, part, target=target, policy=policy)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    progress.finish()
    return Digest(sha256=part.checksum.hexdigest(), size=progress.done)


def with_retries(call: Callable[[], T], policy: RetryPolicy) -> T:
    """Repeats a short request while its failure may pass."""
    deadline = policy.clock.monotonic() + policy.total_seconds
    for planned in policy.delays:
        try:
            return call()
        except TransferError as error:
            delay = _delay(planned, error)
            if not error.may_pass or policy.clock.monotonic() + delay > deadline:
                raise
            say(f"{error}; trying again in {delay:.0f} s")
            policy.clock.sleep(delay)
    return call()


def _delay(planned: float, error: TransferError) -> float:
    """The pause before another attempt: the server's wish, where it is the longer one."""
    asked = pause_of(error.headers) if isinstance(error, HttpStatusError) else 0.0
    return max(planned, asked)


def _until_done(opener: Opener, part: _Part, *, target: Path, policy: RetryPolicy) -> None:
    """Tries until the file is whole. A mebibyte of progress earns a fresh set of attempts: a link
    that breaks every minute still gets a large file through.
    """
    clock = policy.clock
    deadline = clock.monotonic() + policy.total_seconds
    delays, credited = iter(policy.delays), 0
    while True:
        try:
            _attempt(opener, part, target=target, deadline=deadline, clock=clock)
        except TransferError as error:
            if not error.may_pass:
                raise
            if part.progress.done - credited >= MIB:
                delays, credited = iter(policy.delays), part.progress.done
            planned = next(delays, None)
            delay = 0.0 if planned is None else _delay(planned, error)
            if planned is None or clock.monotonic() + delay > deadline:
                raise
            say(f"{error}; trying again in {delay:.0f} s")
            clock.sleep(delay)
        else:
            return


def _attempt(opener: Opener, part: _Part, *, target: Path, deadline: float, clock: Clock) -> None:
    """One request, for the whole file or for the rest of it."""
    done = part.progress.done if part.version.validator else 0
    headers = {"Range": f"bytes={done}-", "If-Range": part.version.validator} if done else {}
    with explained(), opener(headers) as response:
        encoding = encoding_of(response.headers, response.url or "")
        length = length_of(response.headers)
        size = None if encoding else length
        if response.status in (206, 412, 416):
            size = _joined(response, part, done, encoding)
        elif response.status != 200:
            raise HttpStatusError(response.status, response.headers)
        if response.status == 200 or not done:
            part.restart(version_of({} if encoding else response.headers, size), size)
        require_space(target.parent, length or 0)
        for chunk in decoded(_pieces(response), encoding):
            part.file.write(chunk)
            part.checksum.update(chunk)
            part.progress.advance(len(chunk))
            if clock.monotonic() > deadline:
                raise UnreachableError("the download did not end within the time limit")
    if size is not None and part.progress.done != size:
        if part.progress.done > size:
            part.version = NOTHING_KNOWN
        raise UnreachableError(
            f"the server sent {part.progress.done:,} of the file's {size:,} bytes and said no more"
        )


def _joined(
    response: urllib3.BaseHTTPResponse, part: _Part, done: int, encoding: str
) -> int | None:
    """The size of the file whose rest this is: some servers honour Range and do not know If-Range.

    Also of a part from the file's beginning that nobody asked for, as some caches send it.
    """
    found = part_of(response.headers) if response.status == 206 and not encoding else None
    version = version_of(response.headers, found.size if found else None)
    if found is None or found.first != done or not part.version.may_be(version):
        part.version = NOTHING_KNOWN  # the next attempt asks for the whole file
        raise UnreachableError("the server cannot go on where the download broke off")
    return found.size or (part.version.size if done else None)


def _pieces(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from response.stream(PIECE_BYTES, decode_content=False)
    except ValueError as error:  # a chunk of less than nothing
        raise UnreachableError(f"the answer cannot be read ({error})") from error


def _plain_opener(pool: urllib3.PoolManager, url: str) -> Opener:
    @contextlib.contextmanager
    def opened(headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        response = pool.request("GET", url, headers={**HEADERS, **headers}, preload_content=False)
        try:
            yield response
        finally:
            response.close()

    return opened


# The first kind that fits, what it means, and whether asking again can help.
MEANINGS: tuple[tuple[type[Exception], str, bool], ...] = (
    (
        exceptions.ProxyError,
        "the proxy does not let the request through ({error.original_error})",
        True,
    ),
    (exceptions.NameResolutionError, "the host name cannot be resolved", True),
    (exceptions.NewConnectionError, "the host refuses the connection or is not reachable", True),
    (exceptions.ConnectTimeoutError, "the host does not answer", True),
    (exceptions.ReadTimeoutError, "the server stopped sending", True),
    (exceptions.SSLError, "the TLS connection fails: {error}", False),
    (exceptions.ResponseError, f"the server redirects more than {MAX_REDIRECTS} times", False),
    (exceptions.LocationValueError, "that leads to no http(s) address ({error})", False),
    (exceptions.HTTPError, "the connection broke ({kind})", True),
)


def refused_certificate(error: Exception) -> str:
    """Say why a server's certificate is not believed; nothing when that is not what failed."""
    inner = error.args[0] if error.args else None
    if not isinstance(inner, ssl.SSLCertVerificationError):
        return ""
    why = inner.verify_message or "it does not fit"
    return f"its certificate is refused ({why})"


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turns urllib3's exceptions into `UnreachableError` with a text for people."""
    try:
        yield
    except EncodingError as error:
        raise UnreachableError(str(error), may_pass=error.may_pass) from error
    except exceptions.HTTPError as error:
        cause: Exception = error
        if isinstance(error, exceptions.MaxRetryError) and error.reason is not None:
            cause = error.reason
        for kind, text, may_pass in MEANINGS:
            if isinstance(cause, kind):
                name = type(cause).__name__
                refused = refused_certificate(cause)
                message = refused or text.format(error=cause, kind=name)
                raise UnreachableError(
                    message, may_pass=may_pass, untrusted=bool(refused)
                ) from error
        raise
