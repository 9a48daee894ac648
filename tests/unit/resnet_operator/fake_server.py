"""One kind of an API server in memory, for faults that take minutes: it lives in virtual time.

It lists in pages, keeps a history, and streams it as the real one does; also where that is
inconvenient: a watch from a version of the future is silent until the server has caught up.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp

from resnet_operator.cluster.connection import error_of

Body = dict[str, Any]
# What happens instead of an answer: an exception is raised, bytes are sent, a number is a status.
Instead = Exception | bytes | int | Callable[[], Any]


class FakeServer:
    """Stands in for `Connection`; `lists` and `watches` hold what happens to the next requests."""

    def __init__(self, *, version: int = 100, prefix: str = "uid") -> None:
        self.version = version
        self.prefix = prefix
        self.objects: dict[tuple[str, str], Body] = {}
        self.history: list[tuple[int, str, Body]] = []
        self.compacted = 0
        self.lists: deque[Instead] = deque()
        self.watches: deque[Instead] = deque()
        # As long as it is set, each request of the verb meets it.
        self.always: dict[str, Instead] = {}
        self.calls: list[tuple[float, str, dict[str, str]]] = []
        self._open: set[_Answer] = set()
        self._changed = asyncio.Event()

    # What happens in the cluster.

    def put(self, name: str, *, phase: str = "Pending", namespace: str = "models") -> None:
        self.version += 1
        found = self.objects.get((namespace, name))
        uid = found["metadata"]["uid"] if found else f"{self.prefix}-{self.version}"
        meta = {"namespace": namespace, "name": name, "uid": uid}
        body = {
            "kind": "PersistentVolumeClaim",
            "metadata": meta | {"resourceVersion": str(self.version)},
            "status": {"phase": phase},
        }
        self.objects[namespace, name] = body
        self._happened("MODIFIED" if found else "ADDED", body)

    def delete(self, name: str, *, namespace: str = "models") -> None:
        self.version += 1
        body = copy.deepcopy(self.objects.pop((namespace, name)))
        body["metadata"]["resourceVersion"] = str(self.version)
        self._happened("DELETED", body)

    def _happened(self, kind: str, body: Body) -> None:
        self.history.append((self.version, kind, body))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def compact(self) -> None:
        self.compacted = self.version
        self.history.clear()

    def snapshot(self) -> FakeServer:
        """Return what an older etcd would come back with."""
        other = FakeServer(version=self.version, prefix=self.prefix)
        other.objects = copy.deepcopy(self.objects)
        other.compacted = other.version
        return other

    def become(self, other: FakeServer) -> None:
        """Be another server at the same address, without cutting a connection."""
        self.version, self.prefix = other.version, other.prefix
        self.objects, self.history = other.objects, other.history
        self.compacted = other.compacted
        self._wake()

    def send(self, data: bytes | Exception | None) -> None:
        """Put something into all open watches; None ends them in good order."""
        for answer in self._open:
            answer.extra.append(data)
        self._wake()

    # What the operator asks for.

    async def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        timeout: aiohttp.ClientTimeout,
        **_: Any,
    ) -> Any:
        assert method == "GET", path
        asked = dict(query or {})
        verb = "watch" if "watch" in asked else "list"
        self.calls.append((asyncio.get_running_loop().time(), verb, asked))
        await asyncio.sleep(0.01)
        waiting = self.watches if verb == "watch" else self.lists
        instead = waiting.popleft() if waiting else self.always.get(verb)
        if callable(instead):
            instead = instead()
        if isinstance(instead, Exception):
            raise instead
        if isinstance(instead, int):
            raise error_of(instead, b'{"message": "injected"}', {"Retry-After": "1"})
        answer = _Answer(self, asked, timeout, instead)
        if verb == "watch":
            self._open.add(answer)
        return answer

    def page(self, asked: Mapping[str, str]) -> Body:
        names = sorted(self.objects)
        begin, size = int(asked.get("continue") or 0), int(asked["limit"])
        more = str(begin + size) if begin + size < len(names) else ""
        items = [self.objects[name] for name in names[begin : begin + size]]
        meta = {"resourceVersion": str(self.version), "continue": more}
        return {"metadata": meta, "items": items}


SILENCE = b""
# A pause that is shorter ends before virtual time has moved.
LEAST = 1e-6


class _Answer:
    """A response as far as the streams use it."""

    def __init__(
        self,
        server: FakeServer,
        asked: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
        instead: bytes | None,
    ) -> None:
        self.server, self.asked, self.timeout, self.instead = server, asked, timeout, instead
        self.extra: list[bytes | Exception | None] = []
        self.content = self

    async def __aenter__(self) -> _Answer:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server._open.discard(self)

    async def read(self) -> bytes:
        if self.instead == SILENCE:
            await asyncio.sleep(self.timeout.total or 1e9)
            raise TimeoutError
        if self.instead is not None:
            return self.instead
        return json.dumps(self.server.page(self.asked)).encode()

    async def iter_any(self) -> AsyncIterator[bytes]:
        if "watch" not in self.asked:
            yield await self.read()
            return
        if self.instead == SILENCE:
            await asyncio.sleep(self.timeout.sock_read or 1e9)
            raise TimeoutError
        if self.instead is not None:
            yield self.instead
            return
        async for line in self._watch():
            yield line

    async def _watch(self) -> AsyncIterator[bytes]:
        loop, server = asyncio.get_running_loop(), self.server
        deadline = loop.time() + int(self.asked["timeoutSeconds"])
        since = int(self.asked["resourceVersion"])
        if since < server.compacted:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            yield _line("ERROR", status)
            return
        while deadline - loop.time() > LEAST:
            changed = server._changed
            for version, kind, body in [entry for entry in server.history if entry[0] > since]:
                since = version
                yield _line(kind, body)
            while self.extra:
                data = self.extra.pop(0)
                if data is None:
                    return
                if isinstance(data, Exception):
                    raise data
                yield data
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), deadline - loop.time())


def _line(kind: str, body: Any) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"
