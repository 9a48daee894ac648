"""What servers answer when a file is asked for: the whole file arrives, or none does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.loopback.webserver import Answer, Handler, piece, serving, status, whole

from resnet_jobs.base.clock import Clock
from resnet_jobs.base.files import digest_file
from resnet_jobs.net.answers import length_of, part_of, pause_of
from resnet_jobs.net.transfer import (
    HttpStatusError,
    RetryPolicy,
    TransferError,
    UnreachableError,
    download,
)

FILE, OTHER = bytes(range(250)) * 16, b"x" * 4000
SIZE, DONE = len(FILE), 1000
MONDAY, TUESDAY = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"


@dataclass
class Slept:
    now: float = 0.0
    naps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def fetch(target: Path, *script: Answer) -> tuple[list[dict[str, str]], list[float]]:
    """(headers of the requests, pauses)."""
    slept = Slept()
    clock = Clock(monotonic=lambda: slept.now, sleep=slept.sleep)
    with serving(*script) as (address, seen):
        digest = download(f"{address}/m", target, policy=RetryPolicy((1.0, 2.0, 3.0), 1e4, clock))
    assert digest == digest_file(target)
    return [headers for _, headers in seen], slept.naps


def broken(**headers: str) -> Answer:
    return piece(200, FILE[:DONE], SIZE, **headers)


def rest(
    data: bytes = FILE[DONE:], said: str = f"bytes {DONE}-{SIZE - 1}/{SIZE}", **more: str
) -> Answer:
    return piece(206, data, len(data), Content_Range=said, **more)


TAG, DATE = {"ETag": '"1"'}, {"Last_Modified": MONDAY}
END = f"bytes 2000-{SIZE - 1}/{SIZE}"
ANSWERS: list[tuple[str, list[Answer], int]] = [
    ("the rest of it", [broken(**TAG), rest(ETag='"1"')], 2),
    ("the rest, without a size", [broken(**TAG), rest(said=f"bytes {DONE}-{SIZE - 1}/*")], 2),
    (
        "the rest in slices, as some caches send it",
        [broken(**TAG), rest(FILE[DONE:2000], f"bytes {DONE}-1999/{SIZE}"), rest(FILE[2000:], END)],
        3,
    ),
    (
        "a slice that nobody asked for",
        [rest(FILE[:DONE], f"bytes 0-{DONE - 1}/{SIZE}", **TAG), rest(ETag='"1"')],
        2,
    ),
    ("a part that is the whole", [rest(FILE, f"bytes 0-{SIZE - 1}/{SIZE}")], 1),
    ("the rest of another, by its tag", [broken(**TAG), rest(OTHER, ETag='"2"'), whole(FILE)], 3),
    ("by a weak tag", [broken(**TAG), rest(OTHER, ETag='W/"2"'), whole(FILE)], 3),
    (
        "by two weak tags",
        [broken(**DATE, ETag='W/"1"'), rest(OTHER, ETag='W/"2"'), whole(FILE)],
        3,
    ),
    ("by its date", [broken(**DATE), rest(OTHER, Last_Modified=TUESDAY), whole(FILE)], 3),
    (
        "by its size",
        [broken(**TAG), rest(OTHER[DONE:2000], f"bytes {DONE}-1999/2000", **TAG), whole(FILE)],
        3,
    ),
    ("a part that begins elsewhere", [broken(**TAG), rest(FILE[:9], f"bytes 0-8/{SIZE}"),
                                      whole(FILE)], 3),
    ("several parts in one", [broken(**TAG), piece(206, OTHER, 4000, Content_Type="multipart/"
                                                   "byteranges; boundary=x"), whole(FILE)], 3),
    ("a part of something packed", [broken(**TAG), rest(Content_Encoding="gzip"), whole(FILE)], 3),
    ("the whole of a newer one", [broken(**TAG), whole(FILE, ETag='"2"')], 2),
    ("neither tag nor date", [broken(), whole(FILE)], 2),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "script", "asked"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_the_whole_file_arrives(
    reason: str, script: list[Answer], asked: int, tmp_path: Path
) -> None:
    """Never one end of a file and the other of the next."""
    requests, _ = fetch(tmp_path / "file", *script)
    assert (tmp_path / "file").read_bytes() == FILE, reason
    assert len(requests) == asked


def raw(head: str, body: bytes = b"") -> Answer:
    def send(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(head.encode("latin-1") + b"\r\n\r\n" + body)

    return send


OK, CHUNKED = "HTTP/1.1 200 OK\r\nConnection: close", "\r\nTransfer-Encoding: chunked"
NONE: list[tuple[str, Answer, type[TransferError], str]] = [
    ("a slice and nothing more", piece(206, FILE[:100], 100, Content_Range=f"bytes 0-99/{SIZE}"),
     UnreachableError, "sent 100 of the file's 4,000 bytes"),
    ("a part of unknown place", piece(206, FILE, SIZE), UnreachableError, "cannot go on"),
    ("a place that is none", rest(FILE, "bytes 9-1/4"), UnreachableError, "cannot go on"),
    ("a chunk of less than nothing", raw(OK + CHUNKED, b"-5\r\nabc"), UnreachableError,
     "the answer cannot be read"),
    ("a chunk that is no number", raw(OK + CHUNKED, b"zz\r\nabc"), UnreachableError, "broke"),
    ("a header without an end", raw(OK + "\r\nX: " + "a" * 70_000), UnreachableError, "broke"),
    ("another protocol", raw("SSH-2.0-OpenSSH_9.6"), UnreachableError, "the connection broke"),
    ("nothing", raw(""), UnreachableError, "the connection broke"),
    ("no content", status(204), HttpStatusError, "HTTP 204"),
    ("accepted, for later", status(202), HttpStatusError, "HTTP 202"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "answer", "kind", "want"), NONE, ids=[row[0] for row in NONE])
def test_or_none_does(
    reason: str, answer: Answer, kind: type[TransferError], want: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=want):
        fetch(tmp_path / "file", answer)
    assert not (tmp_path / "file").exists(), reason


LENGTHS = [
    ("a number", {"Content-Length": "12"}, 12),
    ("another sign for two", {"Content-Length": "\u00b2"}, None),
    ("digits of another script", {"Content-Length": "\u0661"}, None),
    ("more digits than Python reads", {"Content-Length": "9" * 5000}, None),
    ("less than nothing", {"Content-Length": "-1"}, None),
    ("text", {"Content-Length": "all"}, None),
    ("chunks say it themselves", {"Content-Length": "12", "Transfer-Encoding": "chunked"}, None),
]


@pytest.mark.parametrize(("reason", "headers", "want"), LENGTHS, ids=[row[0] for row in LENGTHS])
def test_lengths(reason: str, headers: dict[str, str], want: int | None) -> None:
    assert length_of(headers) == want, reason


@pytest.mark.parametrize(
    "text", ["", "bytes", "bytes 0-9", "bytes */9", "bytes 5-4/9", "bytes 0-9/9", "items 0-8/9",
             "bytes 0-8/9, 0-8/9", f"bytes 0-{'9' * 5000}/9", "bytes \u0660-8/9"]
)  # fmt: skip
def test_parts_that_are_none(text: str) -> None:
    assert part_of({"Content-Range": text}) is None


PAUSES = [
    ("seconds", {"Retry-After": "30"}, 30.0),
    ("more than a Job waits", {"Retry-After": "86400"}, 0.0),
    ("a date", {"Retry-After": "Mon, 01 Jan 2024 00:01:00 GMT", "Date": MONDAY}, 60.0),
    ("a date of long ago", {"Retry-After": MONDAY, "Date": TUESDAY}, 0.0),
    ("a date, and nobody knows what time it is there", {"Retry-After": TUESDAY}, 0.0),
    ("text", {"Retry-After": "soon"}, 0.0),
    ("less than nothing", {"Retry-After": "-5"}, 0.0),
    ("digits without an end", {"Retry-After": "9" * 5000}, 0.0),
    (
        "a year that is none",
        {"Retry-After": "Mon, 01 Jan 99999999 00:00:00 GMT", "Date": MONDAY},
        0.0,
    ),
    ("nothing", {}, 0.0),
]


@pytest.mark.parametrize(("reason", "headers", "want"), PAUSES, ids=[row[0] for row in PAUSES])
def test_pauses(reason: str, headers: dict[str, str], want: float) -> None:
    assert pause_of(headers) == want, reason


def test_a_server_that_asks_for_time_gets_it(tmp_path: Path) -> None:
    _, naps = fetch(tmp_path / "file", status(429, Retry_After="30"), status(503), whole(FILE))
    assert naps == [30.0, 2.0]
