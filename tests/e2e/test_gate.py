"""The gate: what is measured through Triton before anybody gets traffic, and what never does."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http
from tests.e2e.story import MODEL, Story
from tests.e2e.test_quantized import CALIBRATION, PREPROCESSING, put_calibration
from tests.support.apiserver import ROOT

pytestmark = pytest.mark.images("amct")
DIGITS = ROOT / "samples" / "digits"
HELD_OUT = DIGITS / "heldout.npz"
PICTURES = 200
GATES_JOBS = "app.kubernetes.io/component=validation"
# The embedded cluster has one chip of this kind.
ONE_CHIP = {"chip": "Ascend310B4"}
ONE_CHIPS_RESOURCE = "huawei.com/Ascend310"
PASSES = {"minTop1": "0.97", "maxTop1Drop": "0.02", "minCosineSimilarity": "0.9"}
# Eight bits are never exactly as good as floating point.
FAILS = {"minCosineSimilarity": "1"}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


PINNED_CALIBRATION = CALIBRATION | {"sha256": sha256(DIGITS / "calibration.tar")}


def put_held_out(story: Story) -> None:
    story.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "digits-heldout"},
            "binaryData": {HELD_OUT.name: base64.b64encode(HELD_OUT.read_bytes()).decode()},
        }
    )


def put_all(story: Story) -> None:
    story.put_sample()
    put_calibration(story)
    put_held_out(story)


def gate(thresholds: dict[str, str], **more: Any) -> dict[str, Any]:
    dataset = {
        "uri": f"configmap://digits-heldout/{HELD_OUT.name}",
        "sha256": sha256(HELD_OUT),
        "format": "Npy",
    }
    return {"dataset": dataset, "thresholds": thresholds, **more}


def pinned_model() -> dict[str, str]:
    """Objects that name the digest share the artifact, and its result."""
    return {"uri": "configmap://digits-model/digits-resnet.onnx", "sha256": sha256(MODEL)}


def recipe(story: Story, validation: dict[str, Any], name: str = "digits") -> dict[str, Any]:
    """Return the vendor's recipe with a gate: AIPP, AMCT, a static batch of 24."""
    conversion = {
        "batchSizes": [24],
        "inputShapes": {"input": [3, 32, 32]},
        "opSelectImplMode": "HighPerformance",
        "preprocessing": PREPROCESSING,
        "quantization": {"calibration": PINNED_CALIBRATION, "jointQuantization": True},
    }
    return story.service(name, model=pinned_model(), conversion=conversion, validation=validation)


def on_one_chip(story: Story, validation: dict[str, Any], name: str = "digits") -> dict[str, Any]:
    conversion = {"batchSizes": [8], "preprocessing": PREPROCESSING}
    return story.service(
        name,
        model=pinned_model(),
        accelerator=ONE_CHIP,
        conversion=conversion,
        validation=validation,
    )


def status_of(story: Story, name: str = "digits") -> dict[str, Any]:
    status: dict[str, Any] = story.get("resnetservice", name).get("status", {})
    return status


def serving_pods(story: Story, name: str = "digits") -> list[dict[str, Any]]:
    return story.items("pods", f"app.kubernetes.io/instance={name}")


def wait_phase(story: Story, phase: str, *, seconds: float = 120) -> dict[str, Any]:
    story.eventually(
        lambda: status_of(story).get("phase") == phase,
        lambda: f"never {phase}: {story.ready_condition()}",
        seconds,
    )
    return status_of(story)


def stored_result(story: Story, record: str) -> dict[str, Any]:
    """Return result.json from the namespace's store, by the key in the result's ConfigMap."""
    kept = json.loads(story.get("configmap", record)["data"]["result.json"])
    address = story.address("resnet-store")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(
        f"http://{address}:8080/{kept['resultKey']}", headers=story.store_login()
    )
    with opener.open(asked, timeout=20) as answer:
        result: dict[str, Any] = json.loads(answer.read())
    return result


def answer(story: Story, name: str = "digits") -> int:
    """Return the class of the first held-out picture; raises when nobody answers."""
    with np.load(HELD_OUT) as held_out:
        picture = held_out["pictures"][:1]
    asked = tritonclient.http.InferInput("input", list(picture.shape), "UINT8")
    asked.set_data_from_numpy(picture)
    with story.client(name) as client:
        return int(client.infer(name, [asked]).as_numpy("logits").argmax())


LOAD = {"concurrency": 2, "batchSize": 1}
PASSED = gate(
    PASSES,
    benchmark={
        "loops": 10,
        "minImagesPerSecond": 1,
        "maxP99Milliseconds": 60_000,
        "load": LOAD,
    },
)


@pytest.mark.xdist_group("operator")
def test_the_reference_recipe_passes_its_gate(story: Story) -> None:
    put_all(story)
    story.apply(recipe(story, PASSED))
    wait_phase(story, "Validating", seconds=180)
    assert "digits" not in story.kubectl("get", "deployments", "-o", "name"), "not before"
    assert serving_pods(story) == []
    status = story.wait_ready(seconds=240)

    found = status["validation"]
    assert found["result"] == "Passed"
    assert found["samples"] == PICTURES
    assert float(found["top1"]) >= 0.97
    assert found["top1Reference"] == "0.995", "what the training measured of the same pictures"
    assert 0.9 <= float(found["cosineSimilarity"]) < 1
    assert found["imagesPerSecond"] > 0
    assert set(found["throughput"]) == {"24"}
    assert found["memoryBytes"] >= status["artifact"]["memoryBytes"] > 0, "with the buffers around"
    waited = found["latency"]
    assert waited["failedRequests"] == 0
    assert 0 < float(waited["p50Milliseconds"]) <= float(waited["p99Milliseconds"])
    told = story.condition("Validated")
    assert (told["status"], told["reason"]) == ("True", "Validated")

    result = stored_result(story, found["record"])
    print(json.dumps({"status": found, "result.json": result}, indent=1))
    assert result["samples"] == PICTURES
    assert result["latency"]["load"] == LOAD
    assert round(result["top1"], 6) == float(found["top1"])
    assert result["model"]["artifactSha256"] == status["artifact"]["sha256"]
    assert result["model"]["sourceSha256"] == pinned_model()["sha256"]

    story.operator.kill()
    story.operator.restart()
    story.apply(recipe(story, PASSED, name="digits-too"))
    again = story.wait_ready("digits-too")
    assert again["validation"] == found
    assert len(story.items("jobs", GATES_JOBS)) == 1, "nothing is measured twice"
    assert answer(story) == answer(story, "digits-too")


def test_what_fails_its_gate_never_gets_a_pod(story: Story) -> None:
    put_all(story)
    story.apply(recipe(story, gate(FAILS)))
    told = story.wait_reason("ValidationFailed", seconds=300)
    assert told["message"].startswith("validation failed: cosineSimilarity 0.9")
    assert "is below minCosineSimilarity 1" in told["message"]
    assert story.printed_message() == told["message"]
    status = status_of(story)
    assert status["phase"] == "Failed"
    assert status["validation"]["result"] == "Failed"
    assert float(status["validation"]["top1"]) >= 0.97, "and yet it was measured as a whole"
    assert serving_pods(story) == []
    assert "digits" not in story.kubectl("get", "deployments", "-o", "name")

    story.patch("resnetservice", "digits", {"spec": {"validation": {"thresholds": PASSES}}})
    assert story.wait_ready()["validation"]["result"] == "Passed"
    assert len(story.items("jobs", GATES_JOBS)) == 1, (
        "a changed threshold is judged on the same numbers"
    )


def test_the_last_good_revision_answers_while_its_successor_fails(story: Story) -> None:
    put_all(story)
    story.apply(recipe(story, gate(PASSES)))
    before = story.wait_ready(seconds=300)
    deployment = story.get("deployment", "digits")
    want = answer(story)
    failures: list[str] = []
    answered = 0
    over = threading.Event()

    def ask() -> None:
        nonlocal answered
        while not over.wait(0.1):
            try:
                assert answer(story) == want
            except Exception as error:
                failures.append(repr(error))
            else:
                answered += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        # Another calibration gives another artifact; the bar is one that it cannot hold.
        worse = {"quantization": {"jointQuantization": False, "calibration": {"batches": 1}}}
        change = {"conversion": worse, "validation": {"thresholds": FAILS}}
        story.patch("resnetservice", "digits", {"spec": change})
        told = story.wait_reason("ValidationFailed", seconds=300)
    finally:
        over.set()
        thread.join()
    assert "is below minCosineSimilarity 1" in told["message"]
    assert not failures, f"{len(failures)} of {answered + len(failures)}: {failures[:3]}"
    assert answered > 10
    status = status_of(story)
    assert status["phase"] == "Degraded"
    assert story.condition("Available")["status"] == "True"
    assert status["revisions"]["serving"] == before["revisions"]["serving"]
    after = story.get("deployment", "digits")
    assert after["metadata"]["generation"] == deployment["metadata"]["generation"]

    # As it was: known to be good, so nothing is measured again.
    number = len(story.items("jobs", GATES_JOBS))
    back = {
        "conversion": {"quantization": {"jointQuantization": True, "calibration": {"batches": 5}}},
        "validation": {"thresholds": PASSES},
    }
    story.patch("resnetservice", "digits", {"spec": back})
    assert story.wait_ready()["revisions"]["serving"] == before["revisions"]["serving"]
    assert len(story.items("jobs", GATES_JOBS)) <= number


@pytest.mark.xdist_group("one-chip")
def test_a_candidate_waits_for_a_chip(story: Story) -> None:
    """One chip, and somebody else serves on it."""
    put_all(story)
    holder = on_one_chip(story, gate(PASSES), name="holder")
    del holder["spec"]["validation"]
    story.apply(holder)
    story.wait_ready("holder")
    story.apply(on_one_chip(story, gate(PASSES)))
    told = story.wait_reason("WaitingForChip", seconds=120)
    assert told["message"] == f"validation waits for a free {ONE_CHIPS_RESOURCE}"
    assert status_of(story)["phase"] == "Validating"
    assert story.wait_ready("holder")["ready"] == "1/1", "by default nobody is taken off"
    assert serving_pods(story) == []

    story.kubectl("delete", "resnetservice", "holder", "--timeout=30s")
    assert story.wait_ready(seconds=240)["validation"]["result"] == "Passed"


@pytest.mark.xdist_group("one-chip")
def test_a_candidate_borrows_the_only_replica(story: Story) -> None:
    put_all(story)
    story.apply(on_one_chip(story, gate(PASSES, onNoFreeChip="BorrowReplica")))
    before = story.wait_ready(seconds=240)
    story.patch("resnetservice", "digits", {"spec": {"conversion": {"batchSizes": [4]}}})
    story.eventually(
        lambda: story.get("deployment", "digits")["spec"]["replicas"] == 0,
        lambda: f"no replica was lent: {story.condition('Validated')}",
        seconds=120,
    )
    story.eventually(
        lambda: "borrowing one replica of digits" in story.condition("Validated")["message"],
        lambda: f"nobody says so: {story.condition('Validated')}",
    )
    after = story.wait_ready(seconds=240)
    assert after["ready"] == "1/1"
    assert after["validation"]["result"] == "Passed"
    assert after["revisions"]["serving"] != before["revisions"]["serving"]
    annotations = story.get("deployment", "digits")["metadata"].get("annotations", {})
    assert not [key for key in annotations if "borrow" in key]
    assert len(story.items("jobs", GATES_JOBS)) <= 2
    assert 0 <= answer(story) < 10
