"""A web server on loopback whose answers a test writes down one by one, with or without TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.servers import Certificate

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

    do_GET = do_HEAD = do_POST = do_PUT = do_MOVE = do_DELETE = do_CONNECT = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(
    *script: Answer,
    certificate: Certificate | None = None,
    clients: Path | None = None,
    host: str = "127.0.0.1",
) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """(address, requests seen). Ends with the block. `clients` is the authority that must have
    signed their certificates.
    """
    seen: list[tuple[str, dict[str, str]]] = []
    handler = type("Scripted", (Handler,), {"script": list(script), "seen": seen})
    with ThreadingHTTPServer((host, 0), handler) as server:
        server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            if clients:
                context.load_verify_locations(clients)
                context.verify_mode = ssl.CERT_REQUIRED
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http{'s' * bool(certificate)}://{host}:{server.server_port}", seen
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


def redirect(place: list[str], number: int = 302) -> Answer:
    """To an address that the test knows only once the server runs."""

    def send(handler: Handler) -> None:
        status(number, Location=place[0])(handler)

    return send


def tunnel(port: int) -> Answer:
    """What a proxy does with CONNECT, to this machine's port whatever host was asked for."""

    def connect(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with socket.create_connection(("127.0.0.1", port)) as server:
            client = handler.connection
            back = threading.Thread(target=copy_bytes, args=(server, client), daemon=True)
            back.start()
            copy_bytes(client, server)
            back.join()

    return connect


def copy_bytes(source: socket.socket, target: socket.socket) -> None:
    """Until one side hangs up, which the other is then told."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def unused_address() -> str:
    """An address of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
