"""IPv6: which family Triton listens on, and what carries the connections of the other one."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from resnet_runtime import families, relay
from resnet_runtime.server_process import Server

COMMAND = ["--http-port=8000", "--grpc-port=8001", "--metrics-port=8002"]
LOOP = "00000000000000000000000000000001 01 80 10 80       lo\n"
LINK_LOCAL = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n"
GLOBAL = "fd000000000000000000000000000002 04 40 00 82     eth0\n"


@pytest.mark.parametrize(
    ("text", "has_ipv6"),
    [(LOOP, False), (LOOP + LINK_LOCAL, False), (LOOP + LINK_LOCAL + GLOBAL, True), ("", False)],
)
def test_only_a_global_address_counts(tmp_path: Path, text: str, has_ipv6: bool) -> None:
    path = tmp_path / "if_inet6"
    path.write_text(text)
    assert ("6" in families.pod_families(str(path))) is has_ipv6
    assert "6" not in families.pod_families(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("found", "flags", "relayed"),
    [
        ({"4"}, [], []),
        (set(), [], []),
        ({"4", "6"}, [], ["[::]:8000=127.0.0.1:8000", "[::]:8002=127.0.0.1:8002"]),
        (
            {"6"},
            ["--http-address=ipv6:::", "--metrics-address=ipv6:::"],
            ["127.0.0.1:8000=[::1]:8000", "127.0.0.1:8002=[::1]:8002"],
        ),
    ],
)
def test_arrangement(found: set[str], flags: list[str], relayed: list[str]) -> None:
    assert families.arrange(COMMAND, found) == (flags, relayed)


def test_an_address_of_the_users_is_left_alone() -> None:
    command = [*COMMAND, "--http-address=10.0.0.1"]
    assert families.arrange(command, {"4", "6"}) == ([], [])


@pytest.mark.parametrize(
    ("flags", "address"),
    [
        ([], ("127.0.0.1", 8000)),
        (["--http-address=ipv6:::"], ("::1", 8000)),
        (["--http-address=10.0.0.1"], ("10.0.0.1", 8000)),
    ],
)
def test_the_launcher_asks_where_triton_listens(flags: list[str], address: object) -> None:
    server = Server(["true", *flags], restricted=False)
    server.end()
    assert server._address == address


@pytest.mark.parametrize(("outer", "inner"), [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_the_relay_carries_both_ways_and_refuses_as_the_server_does(outer: str, inner: str) -> None:
    async def scenario() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, inner, 0)
        port = server.sockets[0].getsockname()[1]
        pair = (relay.parse(f"[{outer}]:{port}=[{inner}]:{port}"),)
        carrying = asyncio.create_task(relay.relay(pair))
        await asyncio.sleep(0)
        sent = bytes(range(256)) * 4096
        reader, writer = await asyncio.open_connection(outer, port)
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent
        server.close()
        await server.wait_closed()
        reader, writer = await asyncio.open_connection(outer, port)
        assert await reader.read() == b"", "nobody answers, and it is over at once"
        carrying.cancel()

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_the_relay_listens_on_its_own_family_only() -> None:
    with relay.listening(("::1", 0)) as found:
        assert found.family == socket.AF_INET6
        assert found.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
