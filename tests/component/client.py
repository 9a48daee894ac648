"""A small asynchronous client of the API server, for the component suite and the benchmark.

Asynchronous, because the operator under test runs in the test's own event loop.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tests.support import yamls

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach an API server, as a kubeconfig says it: certificate or token."""

    server: str
    tls: ssl.SSLContext
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Access:
        """Read the current context; other ways to log in than these two are not for tests."""
        config = yamls.read(path.read_text())
        context = _named(config, "context", config["current-context"])
        cluster = _named(config, "cluster", context["cluster"])
        user = _named(config, "user", context["user"])
        tls = ssl.create_default_context(cadata=_text(cluster, "certificate-authority"))
        if "client-key-data" in user or "client-key" in user:
            with tempfile.TemporaryDirectory() as folder:
                certificate, key = Path(folder, "certificate"), Path(folder, "key")
                certificate.write_text(_text(user, "client-certificate"))
                key.write_text(_text(user, "client-key"))
                tls.load_cert_chain(certificate, key)
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        return cls(server=cluster["server"], tls=tls, headers=headers)


def _named(config: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(i[kind] for i in config[f"{kind}s"] if i["name"] == name)
    return found


def _text(section: Mapping[str, Any], key: str) -> str:
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data).decode()
    return Path(section[key]).read_text()


class ApiError(AssertionError):
    """The API server refused what a test asked for and did not expect to be refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Api:
    """Plain dicts in and out; an answer of 400 and above is an ApiError."""

    def __init__(self, access: Access, *, connections: int = 16) -> None:
        self._access = access
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=access.tls),
            headers=access.headers,
        )

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        content = await self.send(method, path, data, content_type=content_type)
        answer: dict[str, Any] = json.loads(content)
        return answer

    async def send(
        self, method: str, path: str, body: bytes | None, *, content_type: str = "application/json"
    ) -> bytes:
        """Like `request`, but neither encodes nor parses: for many calls."""
        headers = {"Content-Type": content_type} if body is not None else {}
        url = f"{self._access.server}{path}"
        async with self._session.request(method, url, data=body, headers=headers) as response:
            content = await response.read()
            if response.status >= 400:
                raise ApiError(response.status, _message(content))
            return content

    async def find(self, path: str) -> dict[str, Any] | None:
        """Return an object, or None when there is none."""
        try:
            return await self.request("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    async def watch(self, path: str, *, since: str = "") -> AsyncGenerator[bytes, None]:
        """Yield the lines of a watch, until the caller has enough."""
        version = f"&resourceVersion={since}" if since else ""
        mark = "&" if "?" in path else "?"
        url = f"{self._access.server}{path}{mark}watch=1{version}"
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(url, timeout=timeout, read_bufsize=2**22) as response:
            async for line in response.content:
                yield line


def _message(content: bytes) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        return str(json.loads(content).get("message"))
    return content.decode(errors="replace")
