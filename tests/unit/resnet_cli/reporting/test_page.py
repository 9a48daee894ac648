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
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAME, Body, Recorded

from resnet_cli.commands.report import report
from resnet_cli.exits import CliError, Exit
from resnet_cli.reporting.page import Sources, page
from resnet_cli.reporting.result import read_result
from resnet_cli.show import Screen
from resnet_contract.progress import RESULT_MARK, result_line
from resnet_operator import names

RECORD = "rns-0123456789abcdef-v00112233"
OURS = f"{RECORD}-1"
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
    "diagnosis": {
        "ranking": [{"name": "/layer1/conv", "kind": "Conv", "snr": 12.5}],
        "trials": [{"change": "without /fc", "passes": True, "top1": 0.97, "speed": 0.934}],
    },
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


def evaluators(name: str, job: str) -> list[Body]:
    """A Job of the gate and its pod."""
    pod = c.job_pod(c.container("evaluate", c.ended(0)), phase="Succeeded")
    pod["metadata"] |= {"name": name, "labels": names.labels(names.VALIDATION)}
    pod["metadata"]["ownerReferences"][0] |= {"name": job, "uid": f"uid-{job}"}
    return [c.job(component=names.VALIDATION, name=job), pod]


def evaluated() -> list[Body]:
    """The gate's Job and pod, those of another object, and the labels of the revision."""
    pods = [*evaluators("ours", OURS), *evaluators("other", "rns-ffff-v99999999-1"), c.record()]
    owners = [{"kind": "ResNetService", "name": NAME, "uid": c.UID, "controller": True}]
    labels = {
        "kind": "ConfigMap",
        "metadata": c.meta(c.REVISION, ownerReferences=owners),
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


LOG_OF_OURS = {"ours/evaluate": f"{result_line(RESULT)}\n"}


def forged(part: int, **change: Any) -> list[Body]:
    """The objects of `evaluated`, one of them as somebody may have made it."""
    found = evaluated()
    found[part]["metadata"] |= change
    return found


def owned_by(kind: str, name: str, uid: str) -> Body:
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": uid, "controller": True}]}


FORGED = [
    ("a pod that names our Job as its owner, by another uid",
     forged(1, **owned_by("Job", OURS, "uid-of-nobody"))),
    ("a pod that nothing controls", forged(1, ownerReferences=[])),
    ("a pod that our Job owns and does not control", forged(
        1, ownerReferences=[{"kind": "Job", "name": OURS, "uid": f"uid-{OURS}"}])),
    ("a Job of our name that another record controls",
     forged(0, **owned_by("ConfigMap", c.RECORD, "uid-of-nobody"))),
    ("a Job of our record, of another validation", forged(0, name="rns-0123456789abcdef-v99-1")),
    ("a record that another object owns",
     forged(4, **owned_by("ResNetService", NAME, "uid-of-nobody"))),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "objects"), FORGED, ids=[row[0] for row in FORGED])
def test_whose_log_is_not_believed(reason: str, objects: list[Body], tmp_path: Path) -> None:
    assert "seventeen" in written(Recorded([gated(), *evaluated()], LOG_OF_OURS), tmp_path)
    text = written(Recorded([gated(), *objects], LOG_OF_OURS), tmp_path)
    assert "seventeen" not in text, reason
    assert "--result" in text


def test_labels_of_a_stranger_are_none(tmp_path: Path) -> None:
    objects = forged(5, **owned_by("ResNetService", NAME, "uid-of-nobody"))
    assert "<td>class 1</td>" in written(Recorded([gated(), *objects], LOG_OF_OURS), tmp_path)


MALFORMED = [
    ("nothing", ""),
    ("no object", "[]"),
    ("no samples", "{}"),
    ("no JSON", "\x00"),
    ("cut off", '{"samples": 1, "classes": [{"class": 1'),
    ("nested beyond all bounds", '{"samples": 1, "worst": ' + "[" * 10_000 + "]" * 10_000 + "}"),
    ("nested", '{"samples": 1, "more": ' + "[" * 50 + "]" * 50 + "}"),
    ("NaN", '{"samples": NaN}'),
    ("no number", '{"samples": 1, "top1": Infinity}'),
    ("a number beyond all bounds", '{"samples": 1' + "0" * 5000 + "}"),
    ("a float beyond all bounds", '{"samples": 1, "drop": 1e999}'),
    ("a share above all", '{"samples": 1, "classes": [{"class": 0, "samples": 9, "top1": 1e300}]}'),
    ("less than nothing", '{"samples": -1}'),
    ("half a letter", '{"samples": 1, "worst": [{"name": "\\ud800"}]}'),
    ("a name twice", '{"samples": 1, "samples": 2}'),
    ("a row without fields", '{"samples": 1, "classes": [{}]}'),
    ("no list", '{"samples": 1, "worst": 7}'),
    ("a list of numbers", '{"samples": 1, "worst": [7]}'),
    ("a text for a number", '{"samples": "1"}'),
    ("a class that is a list",
     '{"samples": 1, "confusions": [{"label": [], "found": 0, "count": 1}]}'),
    ("profiles that are a list", '{"samples": 1, "benchmark": {"profiles": [1]}}'),
    ("a ranking of numbers", '{"samples": 1, "diagnosis": {"ranking": [1]}}'),
    ("a trial of lists", '{"samples": 1, "diagnosis": {"trials": [{"change": []}]}}'),
    ("a data set that is a text", '{"samples": 1, "dataset": "set.tar"}'),
    ("settings without instances",
     '{"samples": 1, "tuning": {"surface": [{"settings": {}, "runs": []}]}}'),
    ("a tuning that is a list", '{"samples": 1, "tuning": [1]}'),
    ("runs that are none",
     '{"samples": 1, "tuning": {"surface": [{"settings": {"instancesPerChip": 1}}]}}'),
    ("a trial that is a text", '{"samples": 1, "tuning": {"chosenTrial": "best"}}'),
]  # fmt: skip


@pytest.mark.parametrize("is_file", [True, False], ids=["file", "log"])
@pytest.mark.parametrize(("reason", "content"), MALFORMED, ids=[row[0] for row in MALFORMED])
def test_what_is_no_result_is_refused(
    reason: str, content: str, is_file: bool, tmp_path: Path
) -> None:
    file = tmp_path / "result.json"
    file.write_text(content)
    logs = {"ours/evaluate": f"{RESULT_MARK}{content}\n"}
    it = Recorded([gated(), *evaluated()], logs)
    with pytest.raises(CliError, match=r"no result\.json of a gate .* --result") as caught:
        written(it, tmp_path, result=file if is_file else None, pictures=tmp_path)
    assert caught.value.exit_code is Exit.BAD_FILE, reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return [at]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [at, *(place for key, one in inner for place in places(one, (*at, key)))]


@pytest.mark.thorough
@given(st.sampled_from(places(RESULT)[1:]), JSON)
@settings(max_examples=300)
def test_whatever_stands_at_any_place_is_a_page_or_a_sentence(
    place: tuple[Any, ...], value: Any
) -> None:
    found = json.loads(json.dumps(RESULT))
    at = found
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    try:
        result = read_result(json.dumps(found), "it")
    except CliError:
        return
    assert page(Sources(service=gated(), result=result)).endswith("</html>\n")


def test_names_of_strangers_are_text() -> None:
    nasty = {**RESULT, "worst": [{**RESULT["worst"][0], "name": "<script>alert(1)</script>"}]}
    text = page(Sources(service=gated(), result=nasty, labels=["<b>", '"><img src=x>']))
    for tag in ("<script", "<b>", "<img"):
        assert tag not in text
