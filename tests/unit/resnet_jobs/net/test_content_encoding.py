"""Files that a server sends compressed though nobody asked: what arrives is the file."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest
from tests.support.loopback.webserver import Answer, Handler, piece, serving, whole

from resnet_jobs.base.clock import Clock
from resnet_jobs.base.files import digest_file
from resnet_jobs.net.content_encoding import PIECE, decoded
from resnet_jobs.net.transfer import RetryPolicy, UnreachableError, download

FILE = bytes(range(256)) * 9000
PACKED = gzip.compress(FILE)
RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(FILE) + RAW.flush()
HALVES = gzip.compress(FILE[:1000]) + gzip.compress(FILE[1000:])


def fetch(address: str, target: Path) -> None:
    clock = Clock(monotonic=lambda: 0.0, sleep=lambda _: None)
    digest = download(address, target, policy=RetryPolicy((0.0, 0.0), 100.0, clock))
    assert digest == digest_file(target), "the digest is that of the file, not of its transport"


def chunked(data: bytes, encoding: str) -> Answer:
    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", encoding)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))

    return send


CASES: list[tuple[str, str, Answer, bytes]] = [
    ("gzip", "/m.onnx", whole(PACKED, Content_Encoding="gzip"), FILE),
    ("an old name of it", "/m.onnx", whole(PACKED, Content_Encoding="x-gzip"), FILE),
    ("in capitals", "/m.onnx", whole(PACKED, Content_Encoding="GZIP"), FILE),
    ("two members", "/m.onnx", whole(HALVES, Content_Encoding="gzip"), FILE),
    ("zeros behind it", "/m.onnx", whole(PACKED + bytes(512), Content_Encoding="gzip"), FILE),
    ("deflate", "/m.onnx", whole(zlib.compress(FILE), Content_Encoding="deflate"), FILE),
    ("deflate without a header", "/m.onnx", whole(DEFLATED, Content_Encoding="deflate"), FILE),
    ("said to be as it is", "/m.onnx", whole(FILE, Content_Encoding="identity"), FILE),
    ("an S3 client's chunks", "/m.onnx", whole(FILE, Content_Encoding="aws-chunked"), FILE),
    (
        "what a client of S3 took for a character set",
        "/m.onnx",
        whole(FILE, Content_Encoding="utf-8"),
        FILE,
    ),
    ("none is none", "/m.onnx", whole(FILE, Content_Encoding="none"), FILE),
    ("a kind of transport in mails", "/m.onnx", whole(FILE, Content_Encoding="binary"), FILE),
    ("a transfer's encoding", "/m.onnx", chunked(PACKED, "gzip, chunked"), FILE),
    (
        "also of what is an archive then",
        "/a.gz",
        chunked(gzip.compress(PACKED), "gzip, chunked"),
        PACKED,
    ),
    ("an archive, by its name", "/set.tar.gz", whole(PACKED, Content_Encoding="gzip"), PACKED),
    (
        "an archive, by its type",
        "/set?id=7",
        whole(PACKED, Content_Encoding="gzip", Content_Type="application/x-gzip"),
        PACKED,
    ),
]


@pytest.mark.parametrize(("reason", "path", "answer", "want"), CASES, ids=[c[0] for c in CASES])
def test_what_arrives(reason: str, path: str, answer: Answer, want: bytes, tmp_path: Path) -> None:
    with serving(answer) as (address, seen):
        fetch(address + path, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == want, reason
    assert seen[0][1]["Accept-Encoding"] == "identity", "nobody asked for it"


def chunked_twice() -> Answer:
    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Transfer-Encoding", "deflate")
        handler.send_header("Connection", "close")
        handler.end_headers()

    return send


REFUSED: list[tuple[str, Answer, str]] = [
    ("brotli", whole(b"x", Content_Encoding="br"), "Content-Encoding br"),
    ("packed twice", whole(b"x", Content_Encoding="gzip, gzip"), "Content-Encoding gzip, gzip"),
    ("Zstandard", whole(b"x", Content_Encoding="zstd"), "Content-Encoding zstd"),
    ("packed for the transfer, too", chunked_twice(), "Content-Encoding gzip, deflate"),
    ("cut off", whole(PACKED[:-20], Content_Encoding="gzip"), "gzip encoding is cut off"),
    ("nothing in it", whole(b"", Content_Encoding="gzip"), "gzip encoding is cut off"),
    ("no gzip at all", whole(b"hello world", Content_Encoding="gzip"), "is damaged"),
]


@pytest.mark.parametrize(("reason", "answer", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_cannot_be_decoded(reason: str, answer: Answer, want: str, tmp_path: Path) -> None:
    with serving(answer) as (address, _), pytest.raises(UnreachableError, match=want):
        fetch(f"{address}/m.onnx", tmp_path / "file")
    assert not (tmp_path / "file").exists(), reason


def test_a_broken_download_begins_again(tmp_path: Path) -> None:
    """Where it broke off is a place in the transport, not in the file."""
    broken = piece(200, PACKED[:2000], len(PACKED), Content_Encoding="gzip", ETag='"1"')
    with serving(broken, whole(PACKED, Content_Encoding="gzip", ETag='"1"')) as (address, seen):
        fetch(f"{address}/m.onnx", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == FILE
    assert "Range" not in seen[1][1]


def test_a_bomb_goes_through_little_memory() -> None:
    bomb = gzip.compress(bytes(64 * PIECE))
    sizes = [len(data) for data in decoded([bomb], "gzip")]
    assert sum(sizes) == 64 * PIECE
    assert max(sizes) <= PIECE
