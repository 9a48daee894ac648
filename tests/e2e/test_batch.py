"""2,000 pictures on the one chip that is left, which their own service wants meanwhile."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from devkit.deploy import loader_pod
from tests.e2e.load import load
from tests.e2e.story import API, FOUR_CHIPS, Story, expected_logits
from tests.e2e.test_gate import HELD_OUT, pinned_model, serving_pods
from tests.e2e.test_quantized import PREPROCESSING

from resnet_client import PRESETS, preprocess

if TYPE_CHECKING:
    from collections.abc import Callable

# What it counts are chips of which the node has four: nobody else may want them meanwhile.
pytestmark = pytest.mark.alone
PICTURES, IN_PART = 2000, 10
# Clients of the service ask for one picture at a time, and need no run of 64.
SMALLEST, LARGEST = 4, 64
# Triton waits so long for more than the four requests of ten pictures that are under way: the
# batch takes half a minute on any machine, and the service comes in the midst of it.
QUEUE_DELAY_MICROSECONDS = 600_000
# AIPP computes in FP16 too, before the network does.
TOLERANCE = 0.2
READ = """
import csv, json, pathlib
manifest = json.loads(pathlib.Path("/models/run/manifest.json").read_text())
rows = []
for part in manifest["parts"]:
    rows += csv.DictReader(pathlib.Path("/models/run", part["file"]).read_text().splitlines())
print(json.dumps([[int(row["index"]), int(row["label1"] or -1)] for row in rows]))
"""


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Return each held-out picture ten times, one after the other: it compresses well."""
    with np.load(HELD_OUT) as held_out:
        times = PICTURES // len(held_out["pictures"])
        return (
            np.repeat(held_out["pictures"], times, axis=0),
            np.repeat(held_out["labels"], times),
        )


def put_pictures(story: Story, found: np.ndarray) -> None:
    data = io.BytesIO()
    np.savez_compressed(data, x=found)
    story.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "many"},
            "binaryData": {"many.npz": base64.b64encode(data.getvalue()).decode()},
        }
    )


def service(story: Story) -> dict[str, Any]:
    batching = {
        "maxBatchSize": LARGEST,
        "preferredBatchSizes": [LARGEST],
        "maxQueueDelayMicroseconds": QUEUE_DELAY_MICROSECONDS,
    }
    return story.service(
        model=pinned_model(),
        accelerator={"resourceName": FOUR_CHIPS},
        conversion={"batchSizes": [SMALLEST, LARGEST], "preprocessing": PREPROCESSING},
        serving={"batching": batching, "warmup": "Disabled"},
    )


def batch() -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "ResNetBatch",
        "metadata": {"name": "many"},
        "spec": {
            "service": {"name": "digits"},
            "input": {"uri": "configmap://many/many.npz", "format": "Npy"},
            "output": {"uri": "pvc://results/run", "picturesPerPart": IN_PART},
        },
    }


def somebody_with_two_chips(story: Story) -> dict[str, Any]:
    pod = loader_pod("results", story.operator.image("resnet-jobs"))
    pod["metadata"]["name"] = "somebody"
    (container,) = pod["spec"]["containers"]
    container["command"] = ["python3", "-c", "import signal; signal.pause()"]
    container["resources"] = {"limits": {FOUR_CHIPS: "2"}}
    return pod


def wait(story: Story, what: str, claim: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the batch's status satisfies a claim; return what was seen."""
    seen: dict[str, Any] = {}

    def holds() -> bool:
        nonlocal seen
        seen = story.get("resnetbatch", "many").get("status", {})
        return claim(seen)

    story.eventually(holds, lambda: f"never {what}: {json.dumps(seen)[:1500]}", 120)
    return seen


def replicas(story: Story, count: int) -> None:
    story.patch("resnetservice", "digits", {"spec": {"serving": {"replicas": count}}})


def rows_on_claim(story: Story) -> list[list[int]]:
    pod = loader_pod("results", story.operator.image("resnet-jobs"))
    pod["metadata"]["name"] = "reader"
    pod["spec"]["containers"][0]["command"] = ["python3", "-c", READ]
    story.apply(pod)
    story.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/reader", "--timeout=2m")
    rows: list[list[int]] = json.loads(story.kubectl("logs", "reader"))
    return rows


def test_a_batch_gives_its_chip_to_a_service_and_goes_on_afterwards(story: Story) -> None:
    story.put_sample()
    found, labels = pictures()
    put_pictures(story, found)
    claim, _ = story.operator.claim_with_sample("results")
    story.apply(claim, service(story))
    story.wait_ready(seconds=120)
    story.apply(somebody_with_two_chips(story))
    running = "--for=jsonpath={.status.phase}=Running"
    story.kubectl("wait", running, "pod/somebody", "--timeout=2m")

    sent = found[:1], expected_logits(preprocess(found[:1], PRESETS["digits"]))
    with load(story, sent=sent, tolerance=TOLERANCE, pause_seconds=0.2) as clients:
        story.apply(batch())
        begun = wait(story, "at work", lambda s: "estimatedCompletionTime" in s)
        assert 0 < begun["pictures"]["done"] < begun["pictures"]["total"] == PICTURES
        assert begun["picturesPerSecond"] > 0
        replicas(story, 2)
        story.wait_ready(seconds=120)
        status = wait(story, "preempted", lambda s: s.get("preemptions") == 1)
        assert begun["pictures"]["done"] <= status["pictures"]["done"] < PICTURES
        wait(story, "waiting", lambda s: s["conditions"][0]["reason"] == "WaitingForChip")
        assert len(serving_pods(story)) == 2
        clients.goes_on(5)

        replicas(story, 1)
        status = wait(story, "done", lambda s: s.get("phase") == "Succeeded")
    clients.check("beside a batch, while it gives way, and after it")
    assert status["pictures"] == {"total": PICTURES, "done": PICTURES, "failed": 0}
    rows = rows_on_claim(story)
    assert [index for index, _ in rows] == list(range(PICTURES)), "each picture exactly once"
    right = np.array([label for _, label in rows]) == labels
    assert right.mean() > 0.97
    (line,) = story.kubectl("get", "resnetbatches", "--no-headers").splitlines()
    assert ["many", "digits", "Succeeded", str(PICTURES), str(PICTURES)] == line.split()[:5]
