"""Answers that come compressed though nobody asked for it, as object stores keep uploads.

A store that was given `Content-Encoding: gzip` with a file sends it so to everybody. What is stored
and digested is the file, not its transport. Called by `transfer`.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PIECE = 1 << 20
AUTO = zlib.MAX_WBITS | 32  # zlib tells gzip's header from its own
RAW = -zlib.MAX_WBITS
NAMES = {"gzip": AUTO, "x-gzip": AUTO, "deflate": AUTO}
# Web servers that call an archive's own compression an encoding: the file is the archive.
ARCHIVE_TYPES = (
    "application/gzip", "application/x-gzip", "application/x-compressed", "application/x-tgz",
)  # fmt: skip
# What clients of object stores write there though it is no encoding: the file is as it is.
NO_ENCODING = (
    "aws-chunked", "utf-8", "utf8", "us-ascii", "ascii", "none", "null", "binary", "raw", "7bit",
    "8bit",
)  # fmt: skip
ARCHIVE_NAMES = (".gz", ".tgz")


class EncodingError(Exception):
    """The answer cannot be decoded; `may_pass` tells whether asking again can help."""

    def __init__(self, text: str, *, may_pass: bool) -> None:
        super().__init__(text)
        self.may_pass = may_pass


def encoding_of(headers: Mapping[str, str], path: str) -> str:
    """The encoding that must be undone, empty for none; raises EncodingError for a strange one."""
    found = [part for part in _codings(headers, "Content-Encoding") if part not in NO_ENCODING]
    of_transfer = [part for part in _codings(headers, "Transfer-Encoding") if part != "chunked"]
    if of_transfer:
        found += of_transfer
    if not found:
        return ""
    if len(found) > 1 or found[0] not in NAMES:
        raise EncodingError(
            f"the server sends the file with Content-Encoding {', '.join(found)[:40]}, which was "
            "not asked for; store it without an encoding, or with gzip",
            may_pass=False,
        )
    if of_transfer:
        return found[0]
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if found[0] != "deflate" and (
        kind in ARCHIVE_TYPES or path.partition("?")[0].lower().endswith(ARCHIVE_NAMES)
    ):
        return ""
    return found[0]


def _codings(headers: Mapping[str, str], name: str) -> list[str]:
    found = [part.strip().lower() for part in headers.get(name, "").split(",")]
    return [part for part in found if part not in ("", "identity")]


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The file's bytes, at most a mebibyte at a time; raises EncodingError for damage."""
    if not encoding:
        yield from chunks
        return
    decoder, is_first = None, True
    for chunk in chunks:
        data = chunk
        while data:
            if decoder is None:
                decoder = _decoder(data, encoding, is_first=is_first)
                if decoder is None:
                    break  # zeros behind the last member, as tapes leave them
            is_first = False
            try:
                piece = decoder.decompress(data, PIECE)
            except zlib.error as error:
                raise EncodingError(f"its {encoding} encoding is damaged", may_pass=True) from error
            if piece:
                yield piece
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            if decoder.eof:
                decoder = None
    if decoder is not None or is_first:
        raise EncodingError(f"its {encoding} encoding is cut off", may_pass=True)


def _decoder(data: bytes, encoding: str, *, is_first: bool) -> zlib._Decompress | None:
    if encoding == "deflate" and is_first and not _has_zlib_header(data):
        return zlib.decompressobj(RAW)
    if not is_first and not data.strip(b"\0"):
        return None
    return zlib.decompressobj(NAMES[encoding])


def _has_zlib_header(data: bytes) -> bool:
    return len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
