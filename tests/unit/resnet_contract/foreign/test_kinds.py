"""One table of beginnings: who names a kind means one of it, and a text of labels is none."""

from __future__ import annotations

import pytest

from resnet_contract.foreign.kinds import KINDS, kind_of
from resnet_jobs.base.archive import OTHER_KINDS
from resnet_operator.record.label_lines import BINARY


@pytest.mark.parametrize("named", [OTHER_KINDS, BINARY], ids=["archive", "labels"])
def test_kinds_that_are_named_are_of_the_table(named: dict[str, str] | tuple[str, ...]) -> None:
    assert set(named) <= {kind.name for kind in KINDS}


FIRST_LABELS = [
    ("a car of MZ is no Windows program", b"MZ 251\n"),
    ("a word that bzip2 begins with too", b"bzh1 code\n"),
    ("a film's word is none of a picture", b"BM film\n"),
    ("a JSON list is read", b'["cat", "dog"]'),
    ("a line that PDF begins with too", b"%PDFs\n"),
]


@pytest.mark.parametrize(("reason", "text"), FIRST_LABELS, ids=[row[0] for row in FIRST_LABELS])
def test_a_text_of_labels_is_not_taken_for_a_binary_file(reason: str, text: bytes) -> None:
    assert kind_of(text, BINARY) is None, reason


ORDERED = [
    ("what is in a ZIP says more than ZIP", b"PK\3\4" + b"\0" * 26 + b"a.npy", "NumPy arrays"),
    ("else it is a ZIP", b"PK\3\4" + b"\0" * 26 + b"a.txt", "a ZIP archive"),
    ("a frozen graph is no checkpoint", b"\n\x1a\n\5input\x12\x0bPlaceholder*", "a frozen graph"),
    ("an OpenVINO network is XML", b'<?xml version="1.0"?><net name="a">', "an OpenVINO network"),
    ("a page is text", b"<!DOCTYPE html>", "a web page"),
    ("bytes of nothing", b"\xfe\xfe\xfe", ""),
]


@pytest.mark.parametrize(("reason", "head", "kind"), ORDERED, ids=[row[0] for row in ORDERED])
def test_the_kind_that_says_most_comes_first(reason: str, head: bytes, kind: str) -> None:
    found = kind_of(head)
    assert found.name.startswith(kind) if found else not kind, reason
