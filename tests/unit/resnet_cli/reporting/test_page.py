"""The report of a gate's whole result: every part of it, and nothing of strangers but text."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAME, Body, Recorded

from resnet_cli.commands.report import report
from resnet_cli.exits import CliError, Exit
from resnet_cli.reporting.page import Sources, page
from resnet_cli.show import Screen
from resnet_contract.progress import result_line
from resnet_operator import names

RECORD = "rns-0123456789abcdef-v00112233"
# As the evaluator writes it.
RESULT: Body = {
    "samples": 100,
    "top1": 0.9,
    "top1Reference": 0.95,
    "drop": 0.05,
    "dataset": {"uri": "https://data.example/set.tar"},
    "benchmark": {"profiles": {"1": {"throughput": 812.5}, "8": {"throughput": 4100.0}}},
    "classes": [
        {"class": 0, "samples": 50, "top1": 0.98, "top1Reference": 0.98},
        {"class": 1, "samples": 50, "top1": 0.82, "top1Reference": 0.92},
    ],
    "confusions": [{"label": 1, "found": 0, "count": 9}, {"label": 0, "found": 1, "count": 1}],
    "worst": [
        {
            "index": 17,
            "label": 1,
            "found": 0,
            "reference": 1,
            "cosineSimilarity": 0.71,
            "name": "1/seventeen.png",
        },
        {"index": 3, "label": 0, "found": 1, "name": "../outside.png"},
    ],
    "diagnosis": {"ranking": [{"name": "/layer1/conv", "kind": "Conv", "snr": 12.5}]},
}
VOID = {"meta", "rect", "line", "img", "polyline", "circle"}


class Tags(HTMLParser):
    """Which tags are left open, and where links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for key, value in attrs if key in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def gated() -> Body:
    status = {
        "validation": {"result": "Passed", "samples": 100, "top1": "0.9", "record": RECORD},
        "revisions": {"serving": c.REVISION},
    }
    return c.service("Ready", "serving", phase="Ready", ready="True", status=status)


def evaluated() -> list[Body]:
    """The evaluator's pod, that of another object, and the labels of the revision."""
    pods = []
    for name, job in (("ours", f"{RECORD}-1"), ("other", "rns-ffff-v99999999-1")):
        pod = c.job_pod(c.container("evaluate", c.ended(0)), phase="Succeeded")
        pod["metadata"] |= {"name": name, "labels": names.labels(names.VALIDATION)}
        pod["metadata"]["ownerReferences"][0]["name"] = job
        pods.append(pod)
    labels = {
        "kind": "ConfigMap",
        "metadata": c.meta(c.REVISION),
        "data": {"labels.txt": "cat\ndog"},
    }
    return [*pods, labels]


def written(it: Recorded, folder: Path, **more: Any) -> str:
    file = folder / "report.html"
    assert report(it, Screen(file=io.StringIO()), name=NAME, file=file, **more) is Exit.DONE
    return file.read_text()


def test_all_of_the_result_is_shown(tmp_path: Path) -> None:
    """From the log of the gate's own pod, with the labels that are served."""
    log = f"samples: 100\n{result_line(RESULT)}\nthe end\n"
    other = result_line({**RESULT, "samples": 1, "worst": []})
    it = Recorded([gated(), *evaluated()], {"ours/evaluate": log, "other/evaluate": other})
    text = written(it, tmp_path)
    for part in ("dog", "cat", "1/seventeen.png", "0.71", "/layer1/conv", "12.5", "https://data"):
        assert part in text
    assert re.findall(r'<rect x="60" y="\d+" width="(\d+)"', text) == ["95", "480"]
    assert "<td>dog</td><td>cat</td><td>9</td>" in text
    tags = Tags()
    tags.feed(text)
    assert (tags.open, tags.links) == ([], [])


def test_confusion_is_a_matrix_of_counts() -> None:
    text = page(Sources(service=gated(), result=RESULT, labels=["cat", "dog"]))
    drawn = text[text.index("Confusion</h2>") :]
    drawn = drawn[: drawn.index("</svg>")]
    assert re.findall(r">(\d+)</text>", drawn) == ["49", "1", "9", "41"]
    assert "cat" in drawn


@pytest.mark.parametrize("forbidden", [frozenset(), frozenset({"Pod"})], ids=["gone", "denied"])
def test_without_the_log_it_says_where_the_rest_is(
    forbidden: frozenset[str], tmp_path: Path
) -> None:
    text = written(Recorded([gated()], forbidden=forbidden), tmp_path)
    assert RECORD in text
    assert "--result" in text
    assert "<td>0.9</td>" in text, "what the status has is there"


def test_a_result_of_ones_own_and_its_pictures(tmp_path: Path) -> None:
    file, pictures = tmp_path / "result.json", tmp_path / "set"
    (pictures / "1").mkdir(parents=True)
    file.write_text(json.dumps(RESULT))
    for where in (pictures / "1" / "seventeen.png", tmp_path / "outside.png"):
        Image.new("RGB", (400, 300), "red").save(where)
    text = written(Recorded([gated()]), tmp_path, result=file, pictures=pictures)
    (source,) = re.findall(r'src="([^"]+)"', text)
    assert source.startswith("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as small:
        assert max(small.size) == 96


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "\x00", '{"samples": 1, "classes": [{}]}', '{"samples": 1, "worst": 7}'],
)
def test_what_is_no_result_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text(content)
    with pytest.raises(CliError, match=r"no result|Expecting value") as caught:
        written(Recorded([gated()]), tmp_path, result=file)
    assert caught.value.exit_code is Exit.BAD_FILE


def test_names_of_strangers_are_text() -> None:
    nasty = {**RESULT, "worst": [{**RESULT["worst"][0], "name": "<script>alert(1)</script>"}]}
    text = page(Sources(service=gated(), result=nasty, labels=["<b>", '"><img src=x>']))
    for tag in ("<script", "<b>", "<img"):
        assert tag not in text
