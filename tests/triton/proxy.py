"""A stand-in for kube-proxy: new connections go to an endpoint of today, old ones stay."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator


class Proxy:
    """One port of a Service. `endpoints` may be changed at any time."""

    def __init__(self, *endpoints: str) -> None:
        self.endpoints = list(endpoints)
        self.address = ""
        self._turn = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listens.set()
        async with server:
            await server.serve_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self.endpoints[next(self._turn) % len(self.endpoints)].split(":")
        with contextlib.suppress(OSError):
            there = await asyncio.open_connection(host, int(port))
            await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        writer.close()

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        task = self._loop.create_task(self.serve())

        def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert self._listens.wait(patient(5))
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(task.cancel)
            thread.join(patient(5))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
