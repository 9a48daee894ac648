"""Requests to the API server, with credentials that are never older than their files.

A refusal of the credentials (401, or TLS that fails) has them read again, and the request is made
once more if they are others now. Equal ones are used again all the same: a server that was just
restarted refuses what it takes a second later. Errors of the libraries end here and become ours.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from resnet_operator.cluster.content import MOST_OF_ERROR, first
from resnet_operator.cluster.login import Login, read_login
from resnet_operator.errors import Conflict, Gone, KubeError, LoginFailed, Rejected, Transient
from resnet_operator.telemetry.metrics import LOGIN_ERRORS

JSON = "application/json"
TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
# Whoever still has an answer of a former session to read has done so by then.
RETIRE_SECONDS = 120.0
# Reading credentials may run a program (exec plugins): not for each of a hundred refusals.
REREAD_SECONDS = 1.0

log = logging.getLogger(__name__)


class Connection:
    """One for the whole operator. Methods raise KubeError's children and nothing of a library."""

    def __init__(self, login: Login, *, read: Callable[[], Awaitable[Login]] = read_login) -> None:
        self._read = read
        self._lock = asyncio.Lock()
        self._read_at = time.monotonic()
        self._retired: set[asyncio.Task[None]] = set()
        self._login = login
        self._session = _session(login)
        # Why the server, or we, cannot tell who we are; empty while all is well.
        self.problem = ""

    @classmethod
    async def connect(cls) -> Connection:
        return cls(await read_login())

    async def close(self) -> None:
        for task in self._retired:
            task.cancel()
        await asyncio.gather(*self._retired, return_exceptions=True)
        await self._session.close()

    async def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: aiohttp.ClientTimeout = TIMEOUT,  # noqa: ASYNC109 - of the library's kind
    ) -> aiohttp.ClientResponse:
        """Return a good answer, still to be read and released; anything else is raised."""
        if self._login.is_stale:
            await self._renew(self._login)
        data = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": content_type, "Accept": accept}
        target = path + (f"?{_encoded(*query.items())}" if query else "")
        for is_last in (False, True):
            login = self._login
            try:
                response = await self._session.request(
                    *(method, URL(login.host + target, encoded=True)),
                    data=data,
                    headers=headers | login.headers,
                    timeout=timeout,
                    **login.extras,
                )
                if response.status < 400:
                    self._is_known()
                    return response
                async with response:
                    error = error_of(
                        response.status,
                        await first(response.content, MOST_OF_ERROR),
                        response.headers,
                    )
            except (TimeoutError, aiohttp.ClientError, OSError) as caught:
                error = _error_of_network(caught)
            if not isinstance(error, LoginFailed):
                raise error
            if is_last or not await self._renew(login):
                self._is_unknown(error)
                raise error
        raise AssertionError("unreachable")

    async def _renew(self, used: Login) -> bool:
        """Read the credentials again; tell whether there are others than those that were used."""
        async with self._lock:
            if self._login != used:
                return True  # somebody else was faster
            if time.monotonic() - self._read_at < REREAD_SECONDS and not used.is_stale:
                return False
            try:
                fresh = await self._read()
            except LoginFailed as error:
                self._is_unknown(error)
                return False
            finally:
                self._read_at = time.monotonic()
            if not fresh.uses_connections_of(used):
                self._retire(self._session)
                self._session = _session(fresh)
            self._login = fresh
            if fresh != used:
                log.info("credentials were renewed", extra={"host": fresh.host})
            return fresh != used

    def _retire(self, session: aiohttp.ClientSession) -> None:
        async def close() -> None:
            try:
                await asyncio.sleep(RETIRE_SECONDS)
            finally:
                await session.close()

        task = asyncio.create_task(close(), name="retired session")
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    def _is_known(self) -> None:
        if self.problem:
            log.info("the API server accepts the credentials again")
            self.problem = ""

    def _is_unknown(self, error: KubeError) -> None:
        LOGIN_ERRORS.inc()
        if not self.problem:
            log.error("login failed, will read the credentials again", extra={"error": str(error)})
        self.problem = error.message


@functools.lru_cache(maxsize=256)
def _encoded(*query: tuple[str, str]) -> str:
    return urlencode(query)


def _session(login: Login) -> aiohttp.ClientSession:
    # No limit: workers and watches are as many as they are. `trust_env`: looking up netrc and
    # proxies for each request costs twice the request itself.
    connector = aiohttp.TCPConnector(ssl=login.tls or True, limit=0)
    # Nor has the API server cookies.
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(connector=connector, trust_env=False, cookie_jar=jar)


def _error_of_network(error: Exception) -> KubeError:
    if any(isinstance(found, ssl.SSLError) for found in (error, error.__cause__)):
        return LoginFailed(
            f"TLS with the API server fails: {error}; if its certificate authority or our "
            "certificate was replaced, wait for the new files or write a new kubeconfig"
        )
    words = str(error) or type(error).__name__
    return Transient(0, f"the API server cannot be reached: {words}")


def error_of(status: int, content: bytes, headers: Mapping[str, str]) -> KubeError:
    """Return what an answer of 400 and above means."""
    text = content.decode(errors="replace")
    try:
        message = orjson.loads(content).get("message") or text
    except (ValueError, AttributeError):
        message = text
    message = str(message)
    # Without a token we are nobody: that is refused as a lack of rights.
    if status == 401 or (status == 403 and '"system:anonymous"' in message):
        return LoginFailed(
            f"the API server does not accept the credentials: {message}; "
            "check the ServiceAccount's token or the kubeconfig",
            status=status,
        )
    if status in {0, 408, 429} or status >= 500:
        return Transient(status, message, retry_after=_seconds(headers.get("Retry-After")))
    kinds: dict[int, type[KubeError]] = {404: Gone, 409: Conflict}
    return kinds.get(status, Rejected)(status, message)


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a Retry-After; a date, or anything else, is no reason to fail."""
    try:
        return max(float(text), 0.0) if text else None
    except ValueError:
        return None
