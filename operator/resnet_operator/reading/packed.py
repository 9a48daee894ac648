"""Texts of objects, kept small: objects of a kind are much alike, and zlib may know one of them.

The first text of a kind that is long enough becomes the example for all that come after it, and
stays it: so the same text is always packed to the same bytes, which are compared with each other.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from threading import Lock

# Shorter texts are packed without an example, and are no example.
LEAST = 512
# zlib looks no further back, and half of that is enough.
LONGEST = 16_384
# Kinds beyond these have no example: labels of strangers must not make ever more of them.
MOST = 64


class Packer:
    """Keeps the examples; what it packed tells by its first byte which one it needs."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._examples: list[bytes] = [b""]
        self._numbers: dict[str, int] = {}
        self._lock = Lock()

    def pack(self, text: bytes, *, like: str) -> bytes:
        """Return the text packed; `like` names the kind of which most texts are alike."""
        number = self._number(text, like) if len(text) >= LEAST else 0
        if not number:
            return bytes((0,)) + zlib.compress(text, 1)
        deflate = zlib.compressobj(1, zdict=self._examples[number])
        return bytes((number,)) + deflate.compress(text) + deflate.flush()

    def unpack(self, packed: bytes) -> bytes:
        """Return the text."""
        if not packed[0]:
            return zlib.decompress(packed[1:])
        return zlib.decompressobj(zdict=self._examples[packed[0]]).decompress(packed[1:])

    @property
    def examples(self) -> Sequence[bytes]:
        """Return the examples; the first one is none."""
        return self._examples

    def _number(self, text: bytes, like: str) -> int:
        number = self._numbers.get(like)
        if number is None:
            with self._lock:
                number = self._numbers.get(like) or self._add(text, like)
        return number

    def _add(self, text: bytes, like: str) -> int:
        if len(self._examples) > self._most:
            return 0
        self._examples.append(text[:LONGEST])
        self._numbers[like] = number = len(self._examples) - 1
        return number


# Of this process: what is packed never leaves it.
PACKER = Packer()
