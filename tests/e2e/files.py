"""An HTTP server for sources: serves bytes by name and tells who asked."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


PIECE_BYTES, PIECE_SECONDS = 64 * 1024, 4.0
# Longer than any test waits: nobody hangs for ever on a test that failed.
HOLD_SECONDS = 180


class FileServer:
    """Serves `content[path]`; `requests` lists the paths that were asked for by GET."""

    def __init__(self, host: str) -> None:
        self.content: dict[str, bytes] = {}
        self.requests: list[str] = []
        # Of these, the second half waits for the event.
        self.held: dict[str, threading.Event] = {}
        # Of these a piece comes every few seconds, and the last one after the event.
        self.dripping: dict[str, threading.Event] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                outer.requests.append(self.path)
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                content = outer.content.get(self.path.lstrip("/"))
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if not body or not content:
                    return
                if held := outer.held.get(self.path.lstrip("/")):
                    self.wfile.write(content[: len(content) // 2])
                    held.wait(HOLD_SECONDS)
                    content = content[len(content) // 2 :]
                if enough := outer.dripping.get(self.path.lstrip("/")):
                    while len(content) > PIECE_BYTES:
                        self.wfile.write(content[:PIECE_BYTES])
                        content = content[PIECE_BYTES:]
                        is_last = len(content) <= PIECE_BYTES
                        enough.wait(HOLD_SECONDS if is_last else PIECE_SECONDS)
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://host.resnet-devkit.internal:{self._server.server_port}"

    @classmethod
    @contextmanager
    def start(cls, host: str) -> Iterator[FileServer]:
        server = cls(host)
        thread = threading.Thread(target=server._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server._server.shutdown()
            server._server.server_close()
            thread.join()
