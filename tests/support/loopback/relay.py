"""A TCP relay that cuts the first connection in the middle: what a broken link does to a download
from a server that cannot be told to break.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def cutting_relay(target: str, *, after: int) -> Iterator[tuple[str, list[int]]]:
    """(address, byte counts at which it cut). The first connection ends after so many bytes."""
    host, _, port = target.rpartition(":")
    cuts: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            limit: int | None = after
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:  # the block has ended
                    return
                arguments = (client, (host, int(port)), limit, cuts)
                threading.Thread(target=_relay, args=arguments, daemon=True).start()
                limit = None

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", cuts
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _relay(
    client: socket.socket, target: tuple[str, int], limit: int | None, cuts: list[int]
) -> None:
    with client, socket.create_connection(target) as server:
        up = threading.Thread(target=_copy, args=(client, server), daemon=True)
        up.start()
        count = 0
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
                count += len(data)
                if limit is not None and count >= limit:
                    cuts.append(count)
                    break
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        up.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
