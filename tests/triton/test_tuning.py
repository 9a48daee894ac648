"""Tuning beside a real Triton: each trial is a server of its own, and the gate's numbers stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.triton.server import DIGITS, digits_on_cpu, pod
from tests.triton.test_evaluate import HOW, Gate

from resnet_client import preprocess
from resnet_operator.record.measurement import Measurement

DECLARED = {
    "maxBatchSize": 8,
    "preferredBatchSizes": [4, 8],
    "maxQueueDelayMicroseconds": 80_000,
    "instancesPerChip": 1,
}
TUNING = {
    "objective": "Throughput",
    "batchSizes": [8],
    "instancesPerChip": 1,
    "chips": 1,
    "budgetMinutes": 1,
    "declared": DECLARED,
}


@pytest.fixture(scope="module")
def samples() -> tuple[Any, Any]:
    with np.load(DIGITS / "heldout.npz") as file:
        return preprocess(file["pictures"], HOW), file["labels"]


def a_gate(folder: Path, samples: tuple[Any, Any], **tuning: Any) -> Gate:
    load = {"load": {"concurrency": 1}}
    gate = Gate(folder, *samples, chip="CPU", benchmark=load, tuning=TUNING | tuning)
    gate.load_seconds, gate.timeout = "0.2", 240.0
    return gate


def test_a_delay_that_gathers_nobody_is_found_and_left_out(
    tmp_path: Path, samples: tuple[Any, Any]
) -> None:
    """apply: Auto measures what will serve once more, in the server that is left with it."""
    gate = a_gate(tmp_path, samples, apply="Auto", objective="Latency")
    model = digits_on_cpu(max_batch=8)
    with pod(tmp_path / "pod", model, launch=gate.launch) as running:
        message, result = gate.evaluate(running.http, model)
        assert running.wait_end() == 0, "the file of the evaluator ends the last server"
        log = running.log
    found, whole = message["tuning"], result["tuning"]
    assert found["result"] == "Better", "each request of one client waits for others who never come"
    assert found["settings"]["maxQueueDelayMicroseconds"] < DECLARED["maxQueueDelayMicroseconds"]
    assert found["measured"]["p99Milliseconds"] < found["declared"]["p99Milliseconds"]
    assert result["latency"]["p50Milliseconds"] < 80, "measured once more, as it will serve"
    assert len(whole["surface"]) == found["trials"] >= 5
    assert all(trial["runs"] for trial in whole["surface"])
    assert log.count(" with {") >= found["trials"]
    assert message["top1"] == message["top1Reference"]
    assert message["imagesPerSecond"] > 0
    told = Measurement.from_message(json.dumps(message), attempt=1)
    assert told.tuning is not None
    assert told.tuning.settings is not None
    kept = Measurement.from_record(told.to_record())
    assert kept == told


def test_settings_that_do_not_load_are_told_and_the_gate_goes_on(
    tmp_path: Path, samples: tuple[Any, Any]
) -> None:
    """The model fails in every server but the first: as one does that finds no memory."""
    gate = a_gate(tmp_path, samples)
    source = tmp_path / "model.py"
    text = digits_on_cpu().source.read_text()
    guard = (
        "import os\n"
        f"if os.path.exists({str(gate.eval / 'trials')!r}):\n"
        "    raise MemoryError('no memory for this one')\n"
    )
    head, mark, rest = text.partition("from __future__ import annotations\n")
    source.write_text(head + mark + guard + rest)
    model = digits_on_cpu(source=source)
    with pod(tmp_path / "pod", model, launch=gate.launch) as running:
        message, result = gate.evaluate(running.http, model)
        assert running.wait_end() == 0
        assert running.message == {}, "what was only tried is no message of the pod"
    assert message["ok"] is True
    assert message["imagesPerSecond"] > 0
    assert message["tuning"]["result"] == "NotMeasured"
    assert message["tuning"]["message"]
    assert result["tuning"]["surface"][0]["problem"]
