"""What one program writes the other reads: messages of Jobs and serving pods, publishers' facts."""

from __future__ import annotations

import ast
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.apiserver import ROOT
from tests.support.builders import ended

from resnet_contract.reasons import Reason
from resnet_contract.report import messages
from resnet_contract.report.messages import (
    SHARES,
    BatchDone,
    Converted,
    Evaluated,
    Failed,
    Fetched,
    Latencies,
    Message,
    Prepared,
    Published,
    Quantized,
    key_of,
    read,
)
from resnet_contract.report.publisher import PILLOW, PictureFacts, PublishedLabels
from resnet_jobs.base.errors import JobError
from resnet_jobs.driver.message import DriverError
from resnet_jobs.publisher.facts import parse_facts
from resnet_operator.api.reasons import Reason as Shown
from resnet_operator.errors import Misfit
from resnet_operator.plan.trouble.pod import left_by, told_by
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.latency import Latency
from resnet_operator.record.measurement import Measurement
from resnet_operator.record.publisher import Publisher, publisher_of
from resnet_operator.seen.workload import Container
from resnet_runtime.termination import write_termination

if TYPE_CHECKING:
    from pathlib import Path

DRIVER = ROOT / "operator" / "resnet_jobs" / "driver"
SHA256, KEY, COMMIT = "ab" * 32, "c" * 64, "0123456789abcdef0123456789abcdef01234567"
TENSORS = [{"name": "input", "dataType": "FP32", "dims": [3, 8, 8]}]


def keys(kind: type[Any]) -> set[str]:
    return {key_of(field.name) for field in fields(kind)}


def written(script: str) -> set[str]:
    """The keys of the success message in a script of the driver, which cannot import the names."""
    for node in ast.walk(ast.parse((DRIVER / script).read_text())):
        if isinstance(node, ast.Dict):
            found = {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
            if "ok" in found:
                return found - {"ok"}
    raise AssertionError(f"{script} writes no message")


@pytest.mark.parametrize(
    ("script", "kind"),
    [("quantize.py", Quantized), ("convert.py", Converted), ("om.py", Converted)],
)
def test_the_driver_writes_the_same_names(script: str, kind: type[Message]) -> None:
    found = written(script)
    assert found <= keys(kind)
    assert len(found) >= 3


def test_a_message_comes_back_as_it_was_written() -> None:
    said = Published(content_key=KEY, sha256=SHA256, size_bytes=7, file="model.om", origin="Copied")
    assert said.to_json()["sizeBytes"] == 7
    assert "publisher" not in said.to_json(), "what is not known is left out"
    assert read(Published, json.loads(json.dumps(said.to_json()))) == said


def test_every_part_of_a_jobs_messages_reaches_the_record() -> None:
    """None of the names is one that only the writer knows."""
    publisher = PictureFacts(source="config.json", input_size=(8, 8), crop_pct=0.5)
    said = {
        "fetch": Fetched(sha256=SHA256, size_bytes=5, file="a.bin", revision=COMMIT),
        "prepare": Prepared(opset=13, inputs=TENSORS, outputs=TENSORS, notes=["one"]),
        "quantize": Quantized(tool="AMCT 8", argv=["amct"]),
        "convert": Converted(
            compiler="ATC 8", duration_seconds=1.5, arch="x86_64", argv=["atc"], notes=["two"],
            batch_sizes=[1, 2], memory_bytes=2048,
        ),
        "publish": Published(
            content_key=KEY, sha256=SHA256, size_bytes=7, file="model.om", origin="Converted",
            publisher=publisher.to_json(), notes=["three"],
        ),
    }  # fmt: skip
    artifact = Artifact.from_messages(
        {name: message.to_json() for name, message in said.items()}, chip="Ascend310P3"
    )
    assert all(getattr(artifact, field.name) for field in fields(artifact)), artifact
    assert artifact.notes == ("one", "two", "three")
    assert artifact.publisher == Publisher(source="config.json", input_size=(8, 8), crop_pct=0.5)
    assert Artifact.from_record(artifact.to_record()) == artifact


def test_every_number_of_the_evaluator_is_measured() -> None:
    numbers = {field.name: index + 1 for index, field in enumerate(fields(Latencies))}
    latency = {key_of(name): number for name, number in numbers.items()}
    shares: dict[str, Any] = dict.fromkeys(SHARES, 0.5)
    tuning = {"result": "AsDeclared", "message": "m", "endedBy": "e", "trials": 1, "seconds": 2}
    said = Evaluated(
        samples=9, tuning=tuning,
        images_per_second=3.5, memory_bytes=4096, latency=latency, result_key="results/a.json",
        diagnosis={"cause": "Scale", "message": "m", "patch": "p"}, throughput={"1": 2.5},
        **shares,
    )  # fmt: skip
    found = Measurement.from_message(json.dumps(said.to_json()), attempt=1)
    assert all(getattr(found, field.name) for field in fields(found)), found
    assert found.latency is not None
    assert [float(getattr(found.latency, field.name) or 0) for field in fields(Latency)] == list(
        numbers.values()
    )
    record = json.loads(found.to_record()["result.json"])
    assert record == {key: value for key, value in said.to_json().items() if key != "ok"} | {
        "attempt": 1
    }


def test_whoever_fails_leaves_the_same_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command, a script of the driver, and a serving container."""
    path = tmp_path / "termination-log"
    monkeypatch.setenv("RESNET_TERMINATION_LOG", str(path))
    write_termination("OutOfMemory", "no room", code="E1", detail="the end of the log")
    left = [
        JobError(Reason.STORE_FULL, "no room", detail="the end of the log").payload(),
        DriverError("OutOfMemory", 85, "no room", "the end of the log", "E1").payload,
        json.loads(path.read_text()),
    ]
    for payload in left:
        assert payload.keys() - {"ok"} == keys(Failed)
        container = Container.from_status(ended("convert", 85, said=payload), init=True)
        left_word = {**payload, "ok": False, "code": payload["code"] or ""}
        assert left_by(container).to_json() == left_word
        told = told_by(container, Shown.CRASH_LOOPING)
        assert told is not None
        assert (told.reason.value, told.message) == (payload["reason"], "no room")
        assert told.detail == "the end of the log"


def test_each_message_is_one_of_the_list() -> None:
    kinds = [value for value in vars(messages).values() if isinstance(value, type)]
    assert {kind for kind in kinds if issubclass(kind, Message)} == {
        Message, Fetched, Prepared, Quantized, Converted, Published, Evaluated, BatchDone,
    }  # fmt: skip


# What publishers say: each field at its bounds and beyond, read by both ends.

FACTS: list[tuple[str, Any, bool]] = [
    ("inputSize", [8, 4096], True),
    ("inputSize", [7, 224], False),
    ("inputSize", [224, 4097], False),
    ("inputSize", [224], False),
    ("swapRedBlue", False, True),
    ("swapRedBlue", 1, False),
    ("cropPct", 0.1, True),
    ("cropPct", 1, True),
    ("cropPct", 0.09, False),
    ("cropPct", 1.01, False),
    ("cropPct", True, False),
    *[("interpolation", str(name), True) for name in PILLOW],
    ("interpolation", "Cubist", False),
    ("interpolation", 6, False),
    ("interpolation", -1, False),
]
SCALES: list[tuple[Any, Any, bool]] = [
    ([0.0], [0.001], True),
    ([255.0, 0.0, 1.0], [65504.0, 1.0, 1.0], True),
    ([255.1], [1.0], False),
    ([-0.1], [1.0], False),
    ([1.0], [0.0], False),
    ([1.0], [65505.0], False),
    ([1.0, 2.0], [1.0, 2.0], False),
    ([1.0] * 4, [1.0] * 4, False),
    ([1.0], [1.0] * 3, False),
    ([1.0], None, False),
    (None, [1.0], False),
    ("x", [1.0], False),
]
SAID = [({key: value}, good) for key, value, good in FACTS] + [
    ({"mean": mean, "std": std}, good) for mean, std, good in SCALES
]


@pytest.mark.parametrize(("said", "good"), SAID, ids=[str(said)[:60] for said, _ in SAID])
def test_both_ends_take_and_refuse_the_same(said: dict[str, Any], good: bool) -> None:
    facts, notes = parse_facts(said, source="config.json")
    assert (not notes) is good
    if not good:
        with pytest.raises(Misfit):
            publisher_of(said)
        assert facts.is_empty
        return
    kept = publisher_of(facts.to_json())
    assert kept is not None
    assert kept.to_json() == facts.to_json() == {"source": "config.json", **said}


def test_labels_are_a_file_of_the_store() -> None:
    labels = PublishedLabels(1000, SHA256, 21_000)
    kept = publisher_of({"source": "config.json", "labels": labels.to_json()})
    assert kept == Publisher(source="config.json", labels=labels)
    assert kept is not None
    assert (kept.to_json()["labels"], kept.shown()["labels"]) == (labels.to_json(), 1000)
