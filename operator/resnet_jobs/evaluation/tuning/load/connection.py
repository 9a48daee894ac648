"""One client of a server: a socket that never blocks, and what is left to send or to read on it."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import urlsplit

CONNECT_SECONDS = 10.0
PIECE = 1 << 18
END = b"\r\n\r\n"
LENGTH, HEAD = b"content-length", b"inference-header-content-length"


class Connection:
    """One client: a request at a time."""

    def __init__(self, address: str, number: int) -> None:
        place = urlsplit(f"//{address}")
        self._place = (place.hostname or "", place.port or 80)
        self.number = number
        self.socket = self._connect()
        self.due = self.sent_at = 0.0
        self._left = memoryview(b"")
        self._answer = bytearray()

    def _connect(self) -> socket.socket:
        made = socket.create_connection(self._place, timeout=CONNECT_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setblocking(False)
        return made

    def reconnect(self) -> None:
        self.socket.close()
        self.socket = self._connect()
        self._left = memoryview(b"")
        self._answer.clear()

    def begin(self, request: bytes, *, due: float, now: float) -> bool:
        """Send what can be sent at once; whether something is left."""
        self.due, self.sent_at = due, now
        self._left = memoryview(request)
        return self.send()

    def send(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            while self._left:
                self._left = self._left[self.socket.send(self._left) :]
        return bool(self._left)

    def receive(self) -> tuple[int, bytes] | None:
        """The head's length and the body once all is there; a length of -1 where it is refused."""
        try:
            piece = self.socket.recv(PIECE)
        except BlockingIOError:
            return None
        if not piece:
            raise ConnectionResetError("closed before the answer was complete")
        self._answer += piece
        until = self._answer.find(END)
        if until < 0:
            return None
        status, headers = headers_of(bytes(self._answer[:until]))
        whole = until + len(END) + int(headers[LENGTH])
        if len(self._answer) < whole:
            return None
        body = bytes(self._answer[until + len(END) : whole])
        self._answer.clear()
        return (int(headers.get(HEAD, b"0")) if status == b"200" else -1), body


def headers_of(head: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    first, *lines = head.split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return first.split(b" ")[1], {name.lower(): value.strip() for name, _, value in pairs}
