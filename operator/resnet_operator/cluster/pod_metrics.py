"""Triton's counters, asked of the pods themselves: GET /metrics on port 8002, and nothing else.

No credentials go with it, no redirect is followed, nothing is unpacked, and an answer has a time
and a size. An address is the kubelet's word for a pod; one that leads back into our own pod or to
the node's link is not asked. What does not answer is left out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Mapping

import aiohttp

from resnet_operator.reading.counters import Counters, counters_of

log = logging.getLogger(__name__)

PORT = 8002
TIMEOUT = aiohttp.ClientTimeout(total=3, sock_connect=2)
MOST_BYTES = 2**20
TOGETHER = 16
# Events wake the object more often than that; what was read is as good until then.
FRESH_SECONDS = 5.0
PLAIN = {"Accept": "text/plain", "Accept-Encoding": "identity"}


class PodMetrics:
    """Asks pods, by their UIDs and addresses; remembers an answer for a few seconds."""

    def __init__(self, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._session: aiohttp.ClientSession | None = None
        self._few = asyncio.Semaphore(TOGETHER)
        self._known: dict[str, tuple[float, Counters | None]] = {}

    async def read(self, addresses: Mapping[str, str], network: str) -> dict[str, Counters]:
        """Return the counters of the pods that answer."""
        self._forget()
        stale = {uid: ip for uid, ip in addresses.items() if uid not in self._known}
        found = await asyncio.gather(*(self._ask(ip, network) for ip in stale.values()))
        now = self._timer()
        self._known |= {uid: (now, one) for uid, one in zip(stale, found, strict=True)}
        told = {uid: self._known[uid][1] for uid in addresses}
        return {uid: one for uid, one in told.items() if one is not None}

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    def _forget(self) -> None:
        begun = self._timer() - FRESH_SECONDS
        self._known = {uid: known for uid, known in self._known.items() if known[0] > begun}

    async def _ask(self, ip: str, network: str) -> Counters | None:
        url = address_of(ip)
        if url is None:
            return None
        try:
            async with self._few:
                text = await self.fetch(url)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            log.debug("a pod's counters cannot be read", extra={"url": url, "error": str(error)})
            return None
        return counters_of(text, network)

    async def fetch(self, url: str) -> str:
        """Return the text; raises ValueError when it is too long."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        async with self._session.get(
            url, headers=PLAIN, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise ValueError("the answer is too long")
        return content.decode()


def address_of(ip: str) -> str | None:
    """Return the URL of a pod's metrics; None for what is no address of a pod."""
    try:
        found = ipaddress.ip_address(ip)
    except ValueError:
        return None
    strange = (found.is_loopback, found.is_link_local, found.is_multicast, found.is_unspecified)
    if any(strange):
        return None
    host = f"[{found}]" if found.version == 6 else str(found)
    return f"http://{host}:{PORT}/metrics"
