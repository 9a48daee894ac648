"""Names of classes: what people have in ConfigMaps, and the lines that Triton then reads."""

from __future__ import annotations

import base64
import codecs
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import a_meta, a_settings, an_artifact, merged, resolved

from resnet_operator.errors import InvalidSpec
from resnet_operator.record.artifact import TensorInfo
from resnet_operator.record.class_labels import (
    MAX_BYTES,
    LabelsError,
    Source,
    count_labels,
    labelled_output,
    labels_of,
)
from resnet_operator.render.serving import revision_config_map

SOURCE = Source("names", "labels.txt")
PETS = "cat\ndog\n"


def binary(raw: bytes) -> dict[str, Any]:
    return {"binaryData": {SOURCE.key: base64.b64encode(raw).decode()}}


def text(value: str) -> dict[str, Any]:
    return {"data": {SOURCE.key: value}}


READ: list[tuple[str, dict[str, Any], str]] = [
    ("clean text is kept to the letter", text(PETS), PETS),
    ("so is one without a line feed at the end", text("cat\ndog"), "cat\ndog"),
    ("and one with empty lines at the end", text("cat\ndog\n\n"), "cat\ndog\n\n"),
    ("and one with a class that has no name", text("cat\n\ndog\n"), "cat\n\ndog\n"),
    ("Windows ends lines with CRLF", text("cat\r\ndog\r\n"), PETS),
    ("an old Mac ends them with CR", text("cat\rdog\r"), PETS),
    ("mixed line ends, after an edit on another system", text("cat\r\ndog\n"), PETS),
    ("a byte order mark is no part of a name", text("\ufeffcat\ndog\n"), PETS),
    ("a byte order mark and CRLF", text("\ufeffcat\r\ndog\r\n"), PETS),
    ("blanks around names are not seen and never meant", text(" cat \ndog\t\n"), PETS),
    ("a tab within a name is the user's", text("n01\tcat\ndog\n"), "n01\tcat\ndog\n"),
    ("names in any language", text("猫\nсобака\n"), "猫\nсобака\n"),
    ("colons, quotes and commas belong to names", text('a: "b", c\n[x]\n'), 'a: "b", c\n[x]\n'),
    ("binary data that is UTF-8 after all", binary(PETS.encode()), PETS),
    ("UTF-8 with a mark", binary(codecs.BOM_UTF8 + b"cat\r\ndog"), PETS),
    ("UTF-16, which Windows calls Unicode", binary(PETS.encode("utf-16")), PETS),
    ("UTF-16, big end first", binary(codecs.BOM_UTF16_BE + PETS.encode("utf-16-be")), PETS),
    ("UTF-32", binary(PETS.encode("utf-32")), PETS),
    ("a JSON list", text('["cat", "dog"]'), PETS),
    ("a JSON list over lines, with a mark", text('\ufeff[\n  "cat",\n  "dog"\n]\n'), PETS),
    ("an object by index, out of order", text('{"1": "dog", "0": "cat"}'), PETS),
    ("an object by name", text('{"dog": 1, "cat": 0}'), PETS),
    ("by name, the index as text", text('{"dog": "1", "cat": "0"}'), PETS),
    ("ImageNet's class index", text('{"0": ["n02", "cat"], "1": ["n03", "dog"]}'), PETS),
    (
        "a hub's config.json",
        text(json.dumps({"model_type": "resnet", "id2label": {"0": "cat", "1": "dog"}})),
        PETS,
    ),
    ("a hub's label2id alone", text('{"label2id": {"cat": 0, "dog": 1}}'), PETS),
    ("numbers as names", text("[7, 8]"), "[7, 8]"),
    ("more than ten classes are ordered by number, not by text", text(
        json.dumps({str(n): f"c{n}" for n in reversed(range(12))})
    ), "".join(f"c{n}\n" for n in range(12))),
    ("an object of a training script", text('{"names": ["cat", "dog"]}'), PETS),
    ("the same by index", text('{"nc": 2, "names": {"1": "dog", "0": "cat"}}'), PETS),
    ("timm's config.json", text('{"architecture": "r", "label_names": ["cat", "dog"]}'), PETS),
    ("categories with numbers", text('[{"id": 1, "name": "dog"}, {"id": 0, "name": "cat"}]'), PETS),
    ("what Python prints, as ImageNet's names go round", text("{0: 'cat',\n 1: 'dog'}"), PETS),
    ("with both quotes, and a comma at the end", text("""{0: "cat's", 1: 'a "dog"',}"""),
     'cat\'s\na "dog"\n'),
    ("with an escape", text("{0: 'cat\\'s', 1: 'dog'}"), "cat's\ndog\n"),
    ("YAML of a training script", text("names:\n  0: cat\n  1: dog\n"), PETS),
    ("beside other settings", text("path: data\nnc: 2\nnames:\n- cat\n- 'dog'\nval: x\n"), PETS),
    ("a list of YAML", text("- cat\n- dog\n"), PETS),
    ("with CRLF and a mark", text("\ufeffnames:\r\n  - cat\r\n  - dog\r\n"), PETS),
    ("numbered lines", text("0: cat\n1: dog\n"), PETS),
    ("numbers that are names", text("7: cat\n9: dog\n"), "7: cat\n9: dog\n"),
    ("one dash is a name", text("- cat\n"), "- cat\n"),
    ("a dash before some", text("- cat\ndog\n"), "- cat\ndog\n"),
    ("a class called names:", text("names:\ncat\n"), "names:\ncat\n"),
    ("lines of a synset", text("n01440764 tench, Tinca tinca\nn01443537 goldfish\n"),
     "n01440764 tench, Tinca tinca\nn01443537 goldfish\n"),
    ("ImageNet has two cranes", text("crane\ncrane\n"), "crane\ncrane\n"),
    ("a table", text("0,cat\n1,dog\n"), PETS),
    ("a table whose rows are in another order", text("1,dog\n0,cat\n"), PETS),
    ("a table with a heading", text("id,name\n1,dog\n0,cat\n"), PETS),
    ("the name first, with quotes", text('class_name,index\n"cat",0\n"dog, wild",1\n'),
     "cat\ndog, wild\n"),
    ("a table of Excel, by semicolons, with CRLF", text("\ufeffIndex;Label\r\n0;cat\r\n1;dog\r\n"),
     PETS),
    ("by tabs", text("0\tcat\n1\tdog\n"), PETS),
    ("Caffe's synset, the number behind", text("dog 1\ncat 0\n"), PETS),
    ("by blanks, out of order", text("1 dog\n0 cat\n"), PETS),
    ("a numbered list", text("0. cat\n1. dog\n"), PETS),
    ("numbers in brackets", text("[0] cat\n[1] dog\n"), PETS),
    ("each in quotes", text('"cat"\n"dog"\n'), PETS),
    ("amounts are names", text("0 years\n1 years\n"), "0 years\n1 years\n"),
    ("decimals are names", text("0.5 mg\n1.5 mg\n"), "0.5 mg\n1.5 mg\n"),
    ("ranges are names", text("0-10 km\n1-20 km\n"), "0-10 km\n1-20 km\n"),
    ("times are names", text("0:30 h\n1:30 m\n"), "0:30 h\n1:30 m\n"),
    ("digits are names", text("1\n0\n"), "1\n0\n"),
    ("one of three in quotes", text('"cat"\ndog\nold\n'), '"cat"\ndog\nold\n'),
    ("tokens of a vocabulary are no XML", text("<unk>\n<pad>\n"), "<unk>\n<pad>\n"),
    ("a list of Python", text("['cat', 'dog']"), PETS),
    ("as a program has it", text("CLASSES = ('cat',\n           'dog',)\n"), PETS),
    ("JSON with a comma at its end", text('["cat", "dog",]'), PETS),
    ("YAML on one line", text("nc: 2\nnames: [cat, 'dog']\n"), PETS),
    ("TOML", text('[model]\nnames = ["cat", "dog"]\n'), PETS),
    ("YAML with its start and a comment", text("---\n# pets\n- cat # tame\n- dog\n"), PETS),
    ("a hub's names as YAML, the numbers in quotes", text("id2label:\n  '1': dog\n  '0': cat\n"),
     PETS),
    ("torchvision's class_to_idx", text('{"class_to_idx": {"dog": 1, "cat": 0}}'), PETS),
    ("a blank without width, of a web page", text("\u200bcat\u200b\ndog\n"), PETS),
    ("a joiner within a name is the language's", text("\u0646\u200c\u0647\ndog\n"),
     "\u0646\u200c\u0647\ndog\n"),
    ("a line break within a JSON name becomes a blank", text('["cat\\nof prey", "dog"]'),
     "cat of prey\ndog\n"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "config_map", "want"), READ, ids=[row[0] for row in READ])
def test_what_is_read(reason: str, config_map: dict[str, Any], want: str) -> None:
    assert labels_of(config_map, SOURCE) == want, reason


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no such key", {"data": {"a": ""}, "binaryData": {"b": ""}}, "only a, b; correct model."),
    ("an empty ConfigMap", {}, "only nothing; correct"),
    ("empty text", text(""), "holds no labels"),
    ("blanks alone", text(" \n\n"), "holds no labels"),
    ("an empty list", text("[]"), "holds no labels"),
    ("Latin-1", binary("Löwe\nKatze\n".encode("latin-1")), "is not UTF-8 text (line 1)"),
    ("Latin-1 further down", binary("Katze\nLöwe\n".encode("latin-1")), "(line 2)"),
    ("GBK", binary("我的猫\n".encode("gbk")), "iconv"),
    ("a truncated character", binary("cat\n猫".encode()[:-1]), "not UTF-8"),
    ("half of a UTF-16 character", binary(codecs.BOM_UTF16_LE + b"c"), "not UTF-8"),
    ("no base64", {"binaryData": {SOURCE.key: "!"}}, "base64"),
    ("a NUL, as of a binary file", text("cat\0\ndog\n"), "U+0000 in label 0"),
    ("a line separator of Unicode", text("cat\u2028dog\n"), "U+2028"),
    ("a vertical tab", text("cat\ndog\x0bwolf\n"), "U+000B in label 1"),
    ("a next-line character", text("cat\x85dog"), "U+0085"),
    ("a mark in the middle, of two files put together", text("cat\n\ufeffdog\n"), "U+FEFF"),
    ("JSON that is cut off", text('{"0": "cat"'), "looks like JSON"),
    ("a list that is cut off", text('["cat", "do'), "looks like JSON"),
    ("deeper than any reader goes", text("[[" * 100_000), "looks like JSON"),
    ("a gap", text('{"0": "cat", "2": "dog"}'), "no label for class 1"),
    ("from 1", text('{"1": "cat", "2": "dog"}'), "no label for class 0"),
    ("a class twice", text('{"cat": 0, "dog": 0}'), "names class 0 twice"),
    ("a key twice", text('{"0": "cat", "0": "dog"}'), "stands in it twice"),
    ("one index as two texts", text('{"0": "cat", "00": "dog"}'), "names class 0 twice"),
    ("a label that is no text", text('["cat", null]'), "no text as label 1"),
    ("a label that is true", text('["cat", true]'), "no text as label 1"),
    ("another document", text('{"model_type": "resnet"}'), "of an unknown shape"),
    ("an empty object", text("{}"), "of an unknown shape"),
    ("labels beside something else", text('{"0": "cat", "about": "pets"}'), "unknown shape"),
    ("a list of objects without numbers", text('[{"label": "cat"}]'), "a class without a number"),
    ("Python's dictionary with a gap", text("{0: 'cat', 2: 'dog'}"), "no label for class 1"),
    ("Python's dictionary that is cut off", text("{0: 'cat', 1: 'do"), "looks like JSON"),
    ("a name that is turned around", text("cat\u202egod\ndog\n"), "U+202E in label 0"),
    ("a blank without width inside", text('["ca\u200bt", "dog"]'), "U+200B in label 0"),
    ("gzip", binary(b"\x1f\x8b\x08\0"), "is a gzip archive; put plain text"),
    ("a spreadsheet", binary(b"PK\x03\x04\x14\0"), "a ZIP archive or a spreadsheet"),
    ("NumPy's array of names", binary(b"\x93NUMPY\x01\0"), "is a NumPy array"),
    ("a pickle", binary(b"\x80\x04\x95\xff"), "is a Python pickle"),
    ("UTF-16 without a mark", binary(PETS.encode("utf-16-le")), "UTF-16 without a byte order mark"),
    ("Git LFS's pointer has three lines", text("version https://git-lfs.github.com/spec/v1\na\nb\n"),
     "is a Git LFS pointer"),
    ("a page for a login", text("\n<!DOCTYPE html>\n<html>\n"), "is a web page"),
    ("XML", text("<classes>\n<c>cat</c>\n</classes>\n"), "is an XML document"),
    ("a merge that was not finished", text("<<<<<<< HEAD\ncat\n=======\ndog\n>>>>>>> b\n"),
     "marks of a merge conflict"),
    ("TensorFlow's label map", text('item {\n  id: 1\n  name: "cat"\n}\n'), "is a label map"),
    ("all names on one huge line", text("cat, " * 400), "2,000 characters as label 0"),
    ("21,843 long ones", text("a rather long name of a class, as here\n" * 24_000), "900,000"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "config_map", "want"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused(reason: str, config_map: dict[str, Any], want: str) -> None:
    with pytest.raises(LabelsError) as refused:
        labels_of(config_map, SOURCE)
    assert want in str(refused.value), reason
    assert '"names"' in str(refused.value), "which ConfigMap it is"


@given(st.text(max_size=60))
def test_triton_reads_no_odd_character(written: str) -> None:
    """Whatever is accepted, Triton's lines are names without blanks and marks around them."""
    try:
        found = labels_of(text(written), SOURCE)
    except LabelsError:
        return
    assert len(found.encode()) <= MAX_BYTES
    lines = found.rstrip().split("\n")
    assert count_labels(found) == len(lines)
    assert all(line == line.strip() and "\r" not in line and "\ufeff" not in line for line in lines)
    assert labels_of(text(found), SOURCE) == found, "normalised once is normalised"


COUNTS: list[tuple[str, str, int]] = [
    ("one a line", "cat\ndog\n", 2),
    ("no line feed at the end", "cat\ndog", 2),
    ("empty lines at the end", "cat\ndog\n\n \n", 2),
    ("a class without a name", "cat\n\ndog\n", 3),
    ("nothing", "", 0),
]


@pytest.mark.parametrize(("reason", "labels", "want"), COUNTS, ids=[row[0] for row in COUNTS])
def test_labels_are_lines(reason: str, labels: str, want: int) -> None:
    assert count_labels(labels) == want, reason


def outputs(**dims: tuple[int, ...]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(name, "FP32", value) for name, value in dims.items())


TWO = outputs(features=(256,), logits=(5,))
CHOSEN: list[tuple[str, tuple[TensorInfo, ...], str | None, str]] = [
    ("the only output", outputs(logits=(5,)), None, "logits"),
    ("the one that fits, though it is the second", TWO, None, "logits"),
    ("the one that the object names", outputs(main=(5,), aux=(5,)), "aux", "aux"),
    ("the first of several that fit", outputs(main=(5,), aux=(5,)), None, "main"),
    ("a convolution's way to write it", outputs(features=(256,), logits=(5, 1, 1)), None, "logits"),
]


@pytest.mark.parametrize(("reason", "model", "wanted", "want"), CHOSEN, ids=[r[0] for r in CHOSEN])
def test_labels_belong_to_one_output(
    reason: str, model: tuple[TensorInfo, ...], wanted: str | None, want: str
) -> None:
    artifact = an_artifact(outputs=model)
    assert labelled_output(artifact, "a\n" * 5, wanted=wanted).name == want, reason


MISFITS: list[tuple[str, tuple[TensorInfo, ...], str | None, str]] = [
    ("none fits", TWO, None, "features has 256, logits has 5 classes"),
    ("the one named does not", TWO, "features", "features has 256 classes"),
    ("the one named is not there", TWO, "probs", "the model's outputs are: features, logits"),
    ("two fit, and neither is the first", outputs(f=(9,), a=(3,), b=(3,)), None,
     "write model.classLabels.output"),
    ("TensorFlow's background is one too many", outputs(logits=(2,)), None,
     'remove the first, "a"'),
    ("and one too few", outputs(logits=(4,)), None, 'add "background" as the first line'),
    ("one number is no class", outputs(best=()), None, "remove model.classLabels"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "model", "wanted", "want"), MISFITS, ids=[r[0] for r in MISFITS]
)
def test_labels_that_do_not_fit(
    reason: str, model: tuple[TensorInfo, ...], wanted: str | None, want: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        labelled_output(an_artifact(outputs=model), "a\n" * 3, wanted=wanted)
    assert want in refused.value.message, reason


def test_names_on_one_line_are_counted() -> None:
    with pytest.raises(InvalidSpec, match=r"has 1 label, .*; write one label a line"):
        labelled_output(an_artifact(outputs=outputs(logits=(3,))), "a, b, c\n", wanted=None)


@pytest.mark.parametrize(
    "start", ["{", "{0: '", "{0:", "names:\n", "- ", "[{", "names: [", "['", "0 ", "a"]
)
@pytest.mark.parametrize(
    "more", ["(", "'\\", "0: 'a',", " " * 7, "- a\n", "\\", "a, ", "a  ", "0 \n"]
)
def test_odd_files_take_no_time(start: str, more: str) -> None:
    """Readers that go back over what they have read would never end here."""
    with contextlib.suppress(LabelsError):
        labels_of(text(start + more * 20_000), SOURCE)


def test_triton_is_told_of_that_output_alone() -> None:
    labels = {"configMapKeyRef": {"name": "names", "key": "labels.txt"}}
    body = revision_config_map(
        service=a_meta(),
        resolved=resolved(merged({}, {"model": {"classLabels": labels}})),
        artifact=an_artifact(outputs=TWO),
        revision="digits-1",
        labels="a\n" * 5,
        settings=a_settings(),
    )
    config = body["data"]["config.pbtxt"]
    assert config.count("label_filename") == 1
    assert 'name: "logits" data_type: TYPE_FP32 dims: [ 5 ] label_filename' in config
