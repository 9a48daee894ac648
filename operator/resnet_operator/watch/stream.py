"""One kind in one place as the API server shows it: a list in pages, then events, both typed.

Nothing is believed that does not look like an object: what does is a `Body`, all else is counted
and raised as `Broken`. A watch lasts `watch_seconds`; one that shows nothing for longer than
`silence_seconds` is dead, whatever its connection says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from resnet_operator.cluster.connection import JSON, TIMEOUT, Connection
from resnet_operator.cluster.content import MOST_OF_PAGE, TooLongError, whole
from resnet_operator.errors import KubeError, Transient
from resnet_operator.seen.meta import Body
from resnet_operator.telemetry.metrics import UNREADABLE

# A line that has not ended by then is no object: the API server takes no more than 3 MiB.
MAX_LINE_BYTES = 16 * 2**20
# A watch that ends before this part of its time was ended by something else.
IN_GOOD_ORDER = 0.8


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long things may take; tests have less patience."""

    # The server ends a watch after this time: so each one shows within a minute that it lives.
    watch_seconds: float = 40.0
    # Longer than a watch lasts: a connection that is accepted, or half open, and silent.
    silence_seconds: float = 46.0
    # A kind that was not seen for longer makes us not ready.
    blind_seconds: float = 60.0
    # A stream that has not even tried for longer is stuck, and only a restart helps.
    stuck_seconds: float = 300.0
    # After history went back, all kinds are listed again; one that cannot be is waited for so long.
    hold_seconds: float = 30.0
    # What a proxy or a cache loses, nobody tells: so often is all listed again in good order.
    relist_seconds: float = 1800.0
    # A stream that breaks off at once, time after time, is not opened again at once.
    short_seconds: float = 5.0
    max_pause_seconds: float = 20.0
    # Nobody tells when a kind is installed: it is looked for now and then.
    absent_seconds: float = 40.0


LIMITS = Limits()


class Broken(Transient):
    """What the server sent cannot be what it means; `reason` is a word for the metric."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(0, message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; all pages of one list have the same version."""

    version: str
    items: list[Body]


@dataclass(frozen=True, slots=True)
class Event:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; a bookmark's body is a version only."""

    type: str
    version: str
    body: Body


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Where a kind is found: its path and its selector."""

    connection: Connection
    kind: str
    path: str
    selector: str = ""
    metadata_only: bool = False
    limits: Limits = LIMITS
    # A page of Deployments is megabytes once it is parsed, and memory is not given back.
    page_size: int = 100
    rng: random.Random = field(default_factory=random.Random)

    async def pages(self) -> AsyncIterator[Page]:
        """List all objects, as they are now."""
        query = self._query(limit=str(self.page_size))
        while True:
            page, token = await self._page(query)
            yield page
            if not token:
                return
            query["continue"] = token

    async def version(self) -> int:
        """Return the version of a list made now, at the least cost."""
        page, _ = await self._page(self._query(limit="1"))
        return int(page.version)

    async def events(self, since: str) -> AsyncGenerator[Event]:
        """Yield what happens after a version, until the server ends the watch in good order."""
        # Not all kinds and all operators at the same moment.
        seconds = self.limits.watch_seconds * (1 - self.rng.random() / 10)
        query = self._query(
            watch="1",
            allowWatchBookmarks="true",
            resourceVersion=since,
            timeoutSeconds=str(max(round(seconds), 1)),
        )
        begun, silence = asyncio.get_running_loop().time(), self.limits.silence_seconds
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=silence)
        response = await self.connection.open(
            "GET", self.path, query, accept=self._accept("PartialObjectMetadata"), timeout=timeout
        )
        try:
            async with response, aclosing(_lines(response.content)) as lines:
                async for line in lines:
                    yield self._event(line)
        except TimeoutError as error:
            raise Broken("silent", f"the watch was silent for {silence:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Broken("cut", f"the watch was cut: {error}") from error
        lasted = asyncio.get_running_loop().time() - begun
        if lasted < seconds * IN_GOOD_ORDER:
            raise Broken("early", f"the server ended the watch after {lasted:.1f} s")

    def _accept(self, kind: str) -> str:
        return f"application/json;as={kind};g=meta.k8s.io;v=v1" if self.metadata_only else JSON

    def _query(self, **options: str) -> dict[str, str]:
        return options | ({"labelSelector": self.selector} if self.selector else {})

    async def _page(self, query: dict[str, str]) -> tuple[Page, str]:
        accept = self._accept("PartialObjectMetadataList")
        response = await self.connection.open(
            "GET", self.path, query, accept=accept, timeout=TIMEOUT
        )
        try:
            async with response:
                content = await whole(response, MOST_OF_PAGE)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Broken("cut", f"the list was cut: {error}") from error
        except TooLongError as error:
            raise Broken("garbage", f"a page of the list has {error}") from error
        try:
            found = orjson.loads(content)
            meta = found["metadata"]
            items = [item for item in found.get("items") or () if self._is_object(item)]
            page = Page(str(int(meta["resourceVersion"])), items)
            return page, str(meta.get("continue") or "")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._count()
            raise Broken("garbage", f"the list is no list: {error!r}") from error

    def _is_object(self, item: Any) -> bool:
        if is_body(item):
            return True
        self._count()
        return False

    def _event(self, line: bytes) -> Event:
        try:
            found = orjson.loads(line)
            kind, body = found["type"], found["object"]
            if kind == "ERROR":
                raise _refusal(body)
            if kind == "BOOKMARK" or is_body(body):
                return Event(kind, str(int(body["metadata"]["resourceVersion"])), body)
        except (ValueError, TypeError, KeyError, AttributeError):
            pass  # said below, as is an object without a name
        self._count()
        raise Broken("garbage", f"an event cannot be read: {line[:200]!r}")

    def _count(self) -> None:
        UNREADABLE.labels(kind=self.kind).inc()


def is_body(item: Any) -> bool:
    """Tell whether something has what every object has."""
    meta = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(meta, dict):
        return False
    texts = [meta.get(key) for key in ("name", "namespace", "uid", "resourceVersion")]
    return all(isinstance(text, str) and text for text in texts) and str(texts[-1]).isdecimal()


def _refusal(status: Any) -> KubeError:
    """Return the error that a watch ends with: its version is too old, or it cannot go on."""
    code = status.get("code")
    words = f"{code} {status.get('reason') or ''}: {status.get('message') or ''}"
    return Broken("expired" if code == 410 else "refused", f"the watch ended with {words}")


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """Yield whole lines; what has no end at the end of the stream was cut off."""
    parts: list[bytes] = []
    size = 0
    async for data in content.iter_any():
        *ended, rest = data.split(b"\n")
        for piece in ended:
            line = b"".join((*parts, piece))
            parts, size = [], 0
            if line.strip():
                yield line
        parts.append(rest)
        size += len(rest)
        if size > MAX_LINE_BYTES:
            raise Broken("garbage", f"a line of the watch has no end after {size} bytes")
    if b"".join(parts).strip():
        raise Broken("cut", "the watch ended in the middle of a line")


__all__ = ["LIMITS", "Broken", "Event", "Limits", "Page", "Stream"]
