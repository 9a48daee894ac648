"""A web server on loopback whose answers a test writes down one by one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Gives the next answer of the script; the last one stays."""

    protocol_version = "HTTP/1.1"
    script: list[Answer]
    seen: list[tuple[str, dict[str, str]]]

    def answer(self) -> None:
        self.seen.append((f"{self.command} {self.path}", dict(self.headers)))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        step(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_MOVE = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(*script: Answer) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """(address, requests seen). Ends with the block."""
    seen: list[tuple[str, dict[str, str]]] = []
    handler = type("Scripted", (Handler,), {"script": list(script), "seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def whole(data: bytes, **headers: str) -> Answer:
    """200 with the data."""
    return piece(200, data, len(data), **headers)


def piece(status: int, data: bytes, length: int, **headers: str) -> Answer:
    """An answer that promises `length` bytes, sends `data` and hangs up."""

    def send(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(data)

    return send


def status(number: int, **headers: str) -> Answer:
    """An empty answer. The request's body is read first, as nginx does."""

    def send(handler: Handler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        piece(number, b"", 0, **headers)(handler)

    return send


def unused_address() -> str:
    """An address of this machine where nobody listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
