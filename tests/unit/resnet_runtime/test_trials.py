"""Other settings for Triton: what becomes of config.pbtxt, and of the server that has it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.patience import patient
from tests.unit.resnet_runtime.test_launch import launched

from resnet_runtime.pbtxt import parse, write
from resnet_runtime.trials import changed

SETTINGS = {
    "maxBatchSize": 4,
    "preferredBatchSizes": [2, 4],
    "maxQueueDelayMicroseconds": 250,
    "instances": 3,
}


@dataclass(frozen=True)
class Config:
    reason: str
    text: str
    field: str
    want: list[Any]

    def __str__(self) -> str:
        return self.reason


WARMUPS = 'model_warmup [ { name: "a" batch_size: 4 }, { name: "b" batch_size: 8 } ]'
CONFIGS = [
    Config("the largest batch", "max_batch_size: 8", "max_batch_size", ["4"]),
    Config(
        "instances; what else the user has said of them stays",
        "instance_group [ { count: 1 kind: KIND_CPU rate_limiter { priority: 2 } } ]",
        "instance_group",
        [{"count": ["3"], "kind": ["KIND_CPU"], "rate_limiter": [{"priority": ["2"]}]}],
    ),
    Config(
        "a queue; priorities of the user's own stay",
        "dynamic_batching { preferred_batch_size: 8 priority_levels: 2 }",
        "dynamic_batching",
        [
            {
                "preferred_batch_size": ["2", "4"],
                "priority_levels": ["2"],
                "max_queue_delay_microseconds": ["250"],
            }
        ],
    ),
    Config(
        "no queue before",
        "max_batch_size: 8",
        "dynamic_batching",
        [{"preferred_batch_size": ["2", "4"], "max_queue_delay_microseconds": ["250"]}],
    ),
    Config(
        "a warm-up above the largest batch would be refused",
        WARMUPS,
        "model_warmup",
        [{"name": ["a"], "batch_size": ["4"]}],
    ),
    Config(
        "texts with all that may stand in them",
        'parameters { key: "a\\"b" value { string_value: "\\303\\244 {" \' }\' } }',
        "parameters",
        parse('parameters { key: "a\\"b" value { string_value: "\\303\\244 {" \' }\' } }')[
            "parameters"
        ],
    ),
    Config("no shape is none", "input { reshape { shape: [ ] } }", "input", [{"reshape": [{}]}]),
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_what_is_tried_is_in_the_config_and_the_rest_stays(config: Config) -> None:
    text = changed(config.text, SETTINGS)
    assert parse(text)[config.field] == config.want
    assert write(parse(text)) == text
    if config.field == "parameters":
        assert "\\303\\244" in text, "escapes are copied, not read"


@pytest.mark.parametrize("text", ["max_batch_size {", "dynamic_batching: 3"])
def test_a_config_that_cannot_be_changed(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        changed(text, SETTINGS)


SERVER = """#!/bin/sh
trap 'exit 1' TERM
for argument in "$@"; do
  case "$argument" in --model-repository=*) echo "${{argument#*=}}" >> "$STARTED";; esac
done
repository=$(tail -n 1 "$STARTED")
grep -q 'count: {bad}$' "$repository/digits/config.pbtxt" && exit 3
while :; do sleep 0.05; done
"""
CONFIG = 'name: "digits"\ninstance_group [ { count: 1 } ]\n'


class Asking:
    """The evaluator's side of the folder that both containers share."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "eval/trials"
        self.folder.mkdir(parents=True)
        self.done = root / "eval/done"
        self.number = 0

    def ask(self, process: subprocess.Popen[bytes], **settings: Any) -> None:
        self.number += 1
        request = {"number": self.number, "model": "digits", "settings": SETTINGS | settings}
        (self.folder / "part").write_text(json.dumps(request))
        (self.folder / "part").replace(self.folder / "request.json")

    def answer(self, process: subprocess.Popen[bytes], *, ok: bool) -> dict[str, Any]:
        """Wait for launch.py's own lines: each tells that something has happened."""
        assert process.stderr is not None
        for _ in process.stderr:
            path = self.folder / "answer.json"
            said = json.loads(path.read_text()) if path.exists() else {}
            if said.get("number") == self.number and said["ok"] is ok:
                return dict(said)
        raise AssertionError("launch.py has ended")


def started(root: Path, count: int) -> list[str]:
    """Wait for so many servers to have begun, one after the other; return their repositories."""
    file, end = root / "started", time.monotonic() + patient(30)
    while True:
        found = file.read_text().split() if file.exists() else []
        if len(found) >= count:
            return found
        assert time.monotonic() < end, found
        time.sleep(0.01)


def test_each_trial_is_a_new_server_with_a_repository_of_its_own(tmp_path: Path) -> None:
    evaluator = Asking(tmp_path)
    script = SERVER.format(bad="99")
    (tmp_path / "models/digits").mkdir(parents=True)
    (tmp_path / "models/digits/labels.txt").write_text("one")
    flags = f"--until-file={evaluator.done}"
    with launched(tmp_path, flags, script=script, config=CONFIG) as process:
        started(tmp_path, 1)
        for instances in (2, 3):
            evaluator.ask(process, instances=instances)
            evaluator.answer(process, ok=True)
            started(tmp_path, instances)
        evaluator.done.touch()
        assert process.stderr is not None
        process.stderr.read()
        assert process.wait(timeout=patient(30)) == 0
    first, _, found = started(tmp_path, 3)
    assert first == str(tmp_path / "models")
    last = Path(found)
    assert "count: 3" in (last / "digits/config.pbtxt").read_text()
    assert (last / "digits/labels.txt").read_text() == "one"
    assert (tmp_path / "models/digits/config.pbtxt").read_text() == CONFIG


def test_a_trial_that_fails_ends_nothing_and_the_next_one_is_served(tmp_path: Path) -> None:
    evaluator = Asking(tmp_path)
    flags = f"--until-file={evaluator.done}"
    script = SERVER.format(bad="7")
    with launched(tmp_path, flags, script=script, config=CONFIG) as process:
        evaluator.ask(process, instances=7)
        evaluator.answer(process, ok=True)
        said = evaluator.answer(process, ok=False)
        assert "tritonserver ended before the model was ready" in said["message"]
        assert (tmp_path / "termination-log").read_text() == "", "it is no message of the pod"
        evaluator.ask(process, instances=2)
        evaluator.answer(process, ok=True)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        process.stderr.read()
        assert process.wait(timeout=patient(30)) == 0


def test_a_request_that_makes_no_sense_is_answered(tmp_path: Path) -> None:
    evaluator = Asking(tmp_path)
    flags = f"--until-file={evaluator.done}"
    with launched(tmp_path, flags, script=SERVER.format(bad="7"), config=CONFIG) as process:
        evaluator.ask(process, maxBatchSize="many")
        assert process.stderr is not None
        said = evaluator.answer(process, ok=False)
        assert "cannot be laid out" in said["message"]
        evaluator.done.touch()
        process.stderr.read()
        assert process.wait(timeout=patient(30)) == 0
