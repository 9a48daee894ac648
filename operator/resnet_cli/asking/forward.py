"""A local port that leads to a port of a pod through the API server, as kubectl has it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Opens one connection to the pod's port; raises CliError where that is not allowed.
Dial = Callable[[], socket.socket]
CHUNK = 65_536


@contextmanager
def forwarded(dial: Dial) -> Iterator[int]:
    """Give a port on loopback; each connection to it is one to the pod.

    The first one is made at once, so that what is wrong is told before anybody asks.
    """
    first = [dial()]
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()
        failure: list[Exception] = []

        def serve() -> None:
            while not ended.is_set():
                try:
                    local, _ = server.accept()
                except OSError:
                    return
                try:
                    remote = first.pop() if first else dial()
                except Exception as error:  # whatever the library raises ends this connection
                    failure.append(error)
                    local.close()
                    continue
                _join(local, remote)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            for one in first:
                one.close()


def _join(local: socket.socket, remote: socket.socket) -> None:
    for source, target in ((local, remote), (remote, local)):
        threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            one.close()
