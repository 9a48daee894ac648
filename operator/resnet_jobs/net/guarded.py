"""Requests to servers that a user named: guarded addresses, proxies, an own CA, redirects.

Used by everything that downloads a source. Secrets are sent to the first server alone: after a
redirect to another scheme, host or port they stay behind, also when a later one leads back.
"""

from __future__ import annotations

import contextlib
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import urllib3

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.net.addresses import AddressGuard, guarded_pool
from resnet_jobs.net.proxies import Proxies
from resnet_jobs.net.transfer import (
    CONNECT_SECONDS,
    HEADERS,
    MAX_REDIRECTS,
    READ_SECONDS,
    UnreachableError,
    explained,
)
from resnet_jobs.net.trust import trusting
from resnet_jobs.net.whole import settled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REDIRECTS = (301, 302, 303, 307, 308)
NO_SECRETS: dict[str, str] = {}
NO_CERTIFICATES = (
    "the key that spec.model.caBundleConfigMapKeyRef names holds no certificates: put them there "
    "in PEM form, one after the other"
)


class Web:
    """One for a command; `close` ends its connections.

    Behind a proxy it is the proxy that resolves names and connects: there the guard can refuse
    only addresses and names that say by themselves what they are, and the proxy's own rules must
    keep it from the rest. The proxy is the operator's choice and is not checked.
    """

    def __init__(
        self,
        *,
        guard: AddressGuard,
        proxies: Proxies | None = None,
        ca_file: Path | None = None,
        advice: str = NO_CERTIFICATES,
    ) -> None:
        self._guard = guard
        self._proxies = proxies or Proxies()
        self._context = trusting(ca_file, reason=Reason.INVALID_SPEC, advice=advice)
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()

    @contextlib.contextmanager
    def open(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        secrets: Mapping[str, str] = NO_SECRETS,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to GET after all redirects. Raises `UnreachableError` or `JobError`."""
        first, kept = origin(url), dict(secrets)
        for _ in range(MAX_REDIRECTS + 1):
            if origin(url) != first:
                kept = NO_SECRETS
            with _redirection_told(first, url):
                response = self.send("GET", url, {**headers, **kept})
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                if origin(url) != first:
                    # Who is asked for a login is the first server; others may not name a realm.
                    response.headers.discard("WWW-Authenticate")
                break
            response.close()
            url = _joined(url, location)
        else:
            raise UnreachableError(
                f"the server redirects more than {MAX_REDIRECTS} times", may_pass=False
            )
        try:
            yield response
        finally:
            response.close()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: bytes | IO[bytes] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One request, redirects not followed, the answer's body not read yet."""
        parts = _split(url)
        proxy = self._proxies.of(url)
        if proxy is not None:
            self._guard.check_name(parts.hostname or "")
        with explained():
            response = self._pool(proxy).urlopen(
                method,
                url,
                body=body,
                headers={**HEADERS, **headers},
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            )
        if proxy is not None and response.status == 407:
            response.close()
            raise UnreachableError(
                "the proxy wants a login: write it into HTTP_PROXY and HTTPS_PROXY of the "
                "operator's setting sourceEnvironment",
                may_pass=False,
            )
        return response

    def _pool(self, proxy: str | None) -> urllib3.PoolManager:
        if proxy not in self._pools:
            self._pools[proxy] = self._new_pool(proxy)
        return self._pools[proxy]

    def _new_pool(self, proxy: str | None) -> urllib3.PoolManager:
        if proxy is None:
            return guarded_pool(self._guard, ssl_context=self._context)
        parts = urlsplit(proxy)
        user = (
            f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        )
        return urllib3.ProxyManager(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            proxy_headers=urllib3.make_headers(proxy_basic_auth=user) if user else None,
            ssl_context=self._context,
            proxy_ssl_context=self._context,
        )


class GuardedPool(urllib3.PoolManager):
    """What a client takes for its connections; `web` has the real ones, and follows nothing."""

    def __init__(self, web: Web) -> None:
        super().__init__(num_pools=1)
        self._web = web

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        response = self._web.send(method, url, options["headers"], body=options.get("body"))
        with explained():
            return settled(response, streamed=not options.get("preload_content", True))


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise UnreachableError(
            f"it redirects to no http(s) address ({error})", may_pass=False
        ) from error


def _split(url: str) -> SplitResult:
    """The parts of an http(s) URL; anything else is refused, "file:" and "ftp:" above all."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UnreachableError(
            f"that leads to no http(s) address ({error})", may_pass=False
        ) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnreachableError(
            f"that leads to no http(s) address ({parts.scheme}://…)", may_pass=False
        )
    return parts


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, the port also where it is the scheme's own and not written."""
    parts = _split(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname or "", parts.port or default


@contextlib.contextmanager
def _redirection_told(first: tuple[str, str, int], url: str) -> Iterator[None]:
    """The user wrote only the first server's address: a refusal names it, and who sent us where."""
    try:
        yield
    except JobError as error:
        if origin(url) == first:
            raise
        raise JobError(
            error.reason, f"{first[1]} redirects elsewhere, but {error.message}"
        ) from error
    except UnreachableError as error:
        there = urlsplit(url).hostname
        if there is None or origin(url) == first:
            raise
        raise UnreachableError(
            f"redirected to {there}: {error}", may_pass=error.may_pass
        ) from error.__cause__
