"""A proxy between the operator and the API server that counts, and breaks things on purpose.

The operator speaks plain HTTP to it, on loopback. Whatever is not made to fail is passed on to
the real API server, in the name of the operator's service account if a test wants that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from tests.component.client import Access

READS = {"get", "list", "watch"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, as RBAC sees it; `verb` is empty for discovery and the like."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    # A list with one is a look at single objects, not the beginning of a watch.
    field_selector: str = ""
    body: bytes = field(default=b"", repr=False)
    time: float = field(default_factory=time.monotonic)

    @property
    def is_write(self) -> bool:
        return bool(self.verb) and self.verb not in READS

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.name}".rstrip()

    @classmethod
    def from_request(cls, request: web.BaseRequest, body: bytes) -> Call:
        """Read the API server's way of writing paths; subresources belong to the resource."""
        parts = request.path.strip("/").split("/")
        group = parts[1] if parts[0] == "apis" and len(parts) > 1 else ""
        rest = parts[3:] if parts[0] == "apis" else parts[2:]
        if not rest:
            return cls(verb="", name=request.path)
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource, name, sub = (*rest, "", "", "")[:3]
        verb = {
            "POST": "create",
            "PATCH": "patch",
            "PUT": "update",
            "DELETE": "delete" if name else "deletecollection",
            "GET": "get" if name else "watch" if request.query.get("watch") else "list",
        }[request.method]
        return cls(
            verb=verb,
            group=group,
            resource=f"{resource}/{sub}" if sub else resource,
            namespace=namespace,
            name=name,
            field_selector=request.query.get("fieldSelector", ""),
            body=body,
        )


@dataclass(kw_only=True)
class Fault:
    """What happens to fitting requests, `times` of them; None means until it is lifted."""

    verb: str = ""
    resource: str = ""
    name: str = ""
    times: int | None = 1
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    # With `hold`, a request waits here: before it is passed on, or with its answer in hand.
    hold: str = ""
    event: Mapping[str, Any] | None = None
    # The answer, of what the real one has no kubelet for: logs of pods.
    text: str | None = None
    # A watch is accepted, and nothing is ever sent.
    silent: bool = False
    hits: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def fits(self, call: Call) -> bool:
        wanted = ((self.verb, call.verb), (self.resource, call.resource), (self.name, call.name))
        return all(not want or want == have for want, have in wanted) and bool(call.verb)


class Proxy:
    """Runs in the test's event loop."""

    def __init__(self, upstream: Access, *, account: str = "") -> None:
        self.upstream = upstream
        self.account = account
        self.calls: list[Call] = []
        self.port = 0
        # Whoever brings another token than this is not let in; empty: nobody looks.
        self.token = ""
        self._faults: list[Fault] = []
        self._watches: dict[asyncio.Task[Any], web.BaseRequest] = {}
        self._sending: set[Callable[[bytes], Awaitable[None]]] = set()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0)
        # An operator that was killed leaves handlers behind, and they end when nobody looks.
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as self._session:
            await self.connect()
            try:
                yield self
            finally:
                for fault in self._faults:
                    fault.released.set()
                await self.disconnect()

    async def connect(self) -> None:
        """Listen, on the same port as before if there was one."""
        # No handler is waited for at the end: an operator that hangs is what tests are about.
        server = web.Server(self._handle)
        self._runner = web.ServerRunner(server, shutdown_timeout=0)  # type: ignore[assignment]
        assert self._runner is not None
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def disconnect(self) -> None:
        """Be gone: connections are reset and refused."""
        self.cut_watches()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def kubeconfig(self, folder: Path) -> Path:
        """Write the kubeconfig by which the operator comes here."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "x", "user": {"token": self.token or "not-looked-at"}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "current-context": "x",
        }
        path = folder / "kubeconfig.json"
        fresh = folder / "kubeconfig.new"
        fresh.write_text(json.dumps(config))
        return fresh.rename(path)

    # Faults.

    def inject(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def lift(self, fault: Fault) -> None:
        fault.released.set()
        if fault in self._faults:
            self._faults.remove(fault)

    def cut_watches(self) -> None:
        """Reset the connections of all watches, in the middle of whatever they send."""
        for task, request in list(self._watches.items()):
            if request.transport is not None:
                request.transport.abort()
            task.cancel()

    async def send(self, data: bytes) -> None:
        """Put something into all open watches, between two events."""
        for send in list(self._sending):
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await send(data)  # it may be about to end

    # Counting.

    def since(self, mark: int, fits: Callable[[Call], bool] = lambda _: True) -> list[Call]:
        """Return the calls after `mark`, which was `len(proxy.calls)` at some moment."""
        return [call for call in self.calls[mark:] if call.verb and fits(call)]

    def writes(self, mark: int = 0) -> list[str]:
        return [str(call) for call in self.since(mark, lambda call: call.is_write)]

    def count(self, mark: int = 0) -> Counter[tuple[str, str]]:
        return Counter((call.verb, call.resource) for call in self.since(mark))

    # Passing on.

    def _impersonation(self) -> dict[str, str]:
        if not self.account:
            return {}
        return {"Impersonate-User": f"system:serviceaccount:{self.account}"}

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        call = Call.from_request(request, body)
        self.calls.append(call)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _refusal(401, {})
        fault = next((f for f in self._faults if f.times != 0 and f.fits(call)), None)
        if fault is None:
            return await self._pass_on(request, call, body)
        fault.hits += 1
        if fault.times is not None:
            fault.times -= 1
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.hold == "before":
            fault.reached.set()
            await fault.released.wait()
            if request.transport is None:
                raise ConnectionResetError("whoever asked is not there any more")
        if fault.status:
            return _refusal(fault.status, fault.headers)
        if fault.text is not None:
            return web.Response(text=fault.text)
        return await self._pass_on(request, call, body, fault)

    async def _pass_on(
        self, request: web.BaseRequest, call: Call, body: bytes, fault: Fault | None = None
    ) -> web.StreamResponse:
        assert self._session is not None
        kept = ("Content-Type", "Accept")
        headers = {key: request.headers[key] for key in kept if key in request.headers}
        headers |= dict(self.upstream.headers) | self._impersonation()
        url = f"{self.upstream.server}{request.raw_path}"
        if call.verb == "watch" and fault and fault.silent:
            return await _say_nothing(request, fault)
        if call.verb == "watch" and fault and fault.event is not None:
            return web.Response(
                text=json.dumps(fault.event) + "\n", content_type="application/json"
            )
        async with self._session.request(
            request.method, url, data=body or None, headers=headers, ssl=self.upstream.tls
        ) as answer:
            if call.verb == "watch":
                return await self._stream(request, answer)
            content = await answer.read()
            if fault and fault.hold == "after":
                fault.reached.set()
                await fault.released.wait()
            return web.Response(status=answer.status, body=content, headers=_kept(answer.headers))

    async def _stream(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
        response.enable_chunked_encoding()
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._watches[task] = request
        self._sending.add(response.write)
        try:
            async for data in answer.content.iter_any():
                await response.write(data)
            await response.write_eof()
        except (ConnectionError, aiohttp.ClientError):
            pass  # either side has gone; the other one sees that by itself
        finally:
            self._watches.pop(task, None)
            self._sending.discard(response.write)
        return response


async def _say_nothing(request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await fault.released.wait()
    return response


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    wanted = ("Content-Type", "Content-Encoding", "Retry-After", "Warning")
    return {key: headers[key] for key in wanted if key in headers}


def _refusal(status: int, headers: Mapping[str, str]) -> web.Response:
    text = f"injected: {status}"
    body = {"kind": "Status", "status": "Failure", "message": text, "code": status}
    return web.json_response(body, status=status, headers=dict(headers))
