"""Carry connections of the address family that tritonserver's HTTP ports do not listen on.

    python3 -m resnet_runtime.relay HOST:PORT=HOST:PORT ...

Triton's HTTP and metrics ports take one family each, its gRPC port both. In a pod with addresses of
both, or of IPv6 alone, launch.py starts this beside it. Standard library, Python >= 3.8.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import List, Sequence, Tuple

CHUNK = 2**16
BACKLOG = 1024
Address = Tuple[str, int]


def parse(text: str) -> Tuple[Address, Address]:
    """`[::]:8000=127.0.0.1:8000` as where to listen and where to connect to."""
    here, there = text.split("=", 1)
    return _address(here), _address(there)


def _address(text: str) -> Address:
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def listening(address: Address) -> socket.socket:
    """A socket of this one family: the other one is Triton's."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    found.bind(address)
    found.listen(BACKLOG)
    found.setblocking(False)
    return found


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: Address) -> None:
    """Connect the client to the server; who is refused there is refused here."""
    try:
        answers, requests = await asyncio.open_connection(*there)
    except OSError:
        writer.transport.abort()
        return
    await asyncio.gather(_pump(reader, requests), _pump(answers, writer))
    for one in (writer, requests):
        one.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while True:
            data = await source.read(CHUNK)
            if not data:
                break
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
    except OSError:
        target.transport.abort()


async def relay(pairs: Sequence[Tuple[Address, Address]]) -> None:
    servers: List[asyncio.AbstractServer] = []
    for here, there in pairs:

        async def serve(
            reader: asyncio.StreamReader,
            writer: asyncio.StreamWriter,
            there: Address = there,
        ) -> None:
            await carry(reader, writer, there)

        servers.append(await asyncio.start_server(serve, sock=listening(here)))
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(relay([parse(argument) for argument in sys.argv[1:]]))
