"""Each failure is named: the Ready condition's reason, its message, and the printed column."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.e2e.files import FileServer
from tests.e2e.story import MODEL, Story

OTHER_SHA = hashlib.sha256(b"another file").hexdigest()


@dataclass(frozen=True)
class Case:
    """A spec that goes wrong, and what the user must read."""

    name: str
    says: str
    wanted: str
    spec: Callable[[FileServer], dict[str, Any]]
    message: tuple[str, ...]
    phase: str = "Failed"
    column: str = field(default="")


CASES = [
    Case(
        "uri-not-found",
        "ModelNotFound",
        "the URL is named",
        lambda files: {"model": {"uri": f"{files.url}/nothing.onnx"}},
        ("404", "nothing.onnx"),
    ),
    Case(
        "host-not-resolvable",
        "DownloadFailed",
        "the host is named; tried again later",
        lambda _: {
            "model": {"uri": "http://no-such-host.invalid/model.onnx"},
            "conversion": {"retries": 0},
        },
        ("no-such-host.invalid",),
    ),
    Case(
        "checksum-mismatch",
        "ChecksumMismatch",
        "both digests are there",
        lambda _: {
            "model": {"uri": "configmap://digits-model/digits-resnet.onnx", "sha256": OTHER_SHA}
        },
        (OTHER_SHA[:8],),
    ),
    Case(
        "not-an-onnx-model",
        "UnsupportedModel",
        "it says what the file looks like",
        lambda files: {"model": {"uri": f"{files.url}/page.onnx"}},
        ("web page",),
    ),
    Case(
        "shape-of-an-input-that-is-not-there",
        "InvalidSpec",
        "the model's inputs are listed",
        lambda _: {"conversion": {"inputShapes": {"image": [3, 32, 32]}}},
        ('"image"', "input"),
    ),
    Case(
        "atc-fails",
        "ConversionFailed",
        "ATC's code and sentence are kept",
        lambda _: {"accelerator": {"chip": "Ascend310P9"}},
        ("ATC E10001", "soc_version"),
    ),
    Case(
        "chip-not-in-the-cluster",
        "Unschedulable",
        "the resource is named",
        lambda _: {"accelerator": {"chip": "Ascend910B4"}},
        ("free huawei.com/Ascend910",),
        phase="Deploying",
    ),
    Case(
        "serving-image-cannot-be-pulled",
        "ImagePullFailed",
        "the image is named",
        lambda _: {"serving": {"image": "localhost/no-such-image:1"}},
        ("localhost/no-such-image:1", "pull secret"),
        phase="Deploying",
    ),
    Case(
        "converter-image-cannot-be-pulled",
        "ImagePullFailed",
        "the image is named while the Job waits",
        lambda _: {"conversion": {"image": "localhost/no-such-cann:1"}},
        ("localhost/no-such-cann:1",),
        phase="Converting",
    ),
    Case(
        "triton-cannot-load",
        "ModelLoadFailed",
        "the cause comes from model.py, not from 8 KB of tables",
        lambda _: {"serving": {"image": "localhost/resnet-serving-cpu:dev"}},
        ("acl",),
        phase="Deploying",
    ),
    Case(
        "chip-of-another-kind",
        "ChipMismatch",
        "the pod was given another chip than the artifact is for",
        lambda _: {"accelerator": {"resourceName": "huawei.com/Ascend310"}},
        ("Ascend310B4", "Ascend310P3"),
        phase="Deploying",
    ),
    Case(
        "chip-out-of-memory",
        "OutOfMemory",
        "the chip's memory is named, not the container's",
        lambda _: {"serving": {"env": [{"name": "SIMULATED_NPU_MEMORY_MB", "value": "0"}]}},
        ("memory",),
        phase="Deploying",
    ),
    Case(
        "claim-missing",
        "VolumeMountFailed",
        "the claim is named before any Job is made",
        lambda _: {"model": {"uri": "pvc://nowhere/model.onnx"}},
        ('"nowhere"',),
        phase="Pending",
    ),
    Case(
        "file-not-in-the-source",
        "VolumeMountFailed",
        "the keys that are there are listed",
        lambda _: {"model": {"uri": "configmap://digits-model/other.onnx"}},
        ("other.onnx", "digits-resnet.onnx"),
        phase="Pending",
    ),
    Case(
        "labels-missing",
        "InvalidSpec",
        "the ConfigMap is named",
        lambda _: {
            "model": {"classLabels": {"configMapKeyRef": {"name": "nowhere", "key": "labels"}}}
        },
        ('"nowhere"',),
        phase="Pending",
    ),
]


def params() -> list[Any]:
    """One story that needs the node's only chip of its kind waits for the others that do."""
    one_chip = pytest.mark.xdist_group("one-chip")
    marks = {"chip-of-another-kind": [one_chip]}
    return [pytest.param(case, id=case.name, marks=marks.get(case.name, [])) for case in CASES]


@pytest.mark.parametrize("case", params())
def test_failure_is_named(story: Story, files: FileServer, case: Case) -> None:
    story.put_sample()
    files.content["page.onnx"] = b"<!DOCTYPE html><html><body>Sign in</body></html>"
    story.apply(story.service(**case.spec(files)))
    condition = story.wait_reason(case.says, saying=case.message)

    assert len(condition["message"]) <= 120
    assert condition["status"] == "False"
    printed = story.printed_message()
    assert printed == condition["message"], "the column prints the Ready condition's message"
    assert story.get("resnetservice", "digits")["status"]["phase"] == case.phase


def test_store_full_is_named(story: Story) -> None:
    story.put_sample()
    story.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": "resnet-store",
                "annotations": {"devkit.resnet-operator.io/tmpfs": "64Ki"},
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "64Ki"}},
            },
        }
    )
    story.apply(story.service(conversion={"retries": 0}))
    condition = story.wait_reason("StoreFull")
    assert "resnet-store" in condition["message"]


def test_killed_stub_is_named_and_replaced(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "CPU"}))
    story.wait_ready()
    kill = (
        "import os, pathlib, signal\n"
        "for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "    if b'triton_python_backend_stub' in path.read_bytes().split(b'\\0')[0]:\n"
        "        os.kill(int(path.parent.name), signal.SIGKILL)\n"
    )
    story.kubectl("exec", "deploy/digits", "-c", "triton", "--", "python3", "-c", kill)
    # On a quick machine it serves again within a second or two.
    story.wait_event("CrashLooping", saying="signal 9")
    story.wait_ready()
    pod = story.items("pods", "app.kubernetes.io/component=serving")[0]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 1


def test_refused_spec_says_what_to_write(story: Story) -> None:
    refused = story.service(conversion={"batchSizes": [8, 4]})
    with pytest.raises(AssertionError, match="ascending order"):
        story.apply(refused)


def test_corrected_spec_recovers(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "Ascend310P9"}))
    story.wait_reason("ConversionFailed")
    story.patch("resnetservice", "digits", {"spec": {"accelerator": {"chip": "Ascend310P3"}}})
    assert story.wait_ready()["artifact"]["chip"] == "Ascend310P3"


def test_retry_annotation_asks_for_another_attempt(story: Story, files: FileServer) -> None:
    story.apply(story.service(model={"uri": f"{files.url}/late.onnx"}))
    story.wait_reason("ModelNotFound")
    files.content["late.onnx"] = MODEL.read_bytes()
    story.kubectl("annotate", "resnetservice", "digits", "serving.resnet-operator.io/retry=now")
    status = story.wait_ready()
    assert status["lastHandledRetry"] == "now"


def test_retryable_failure_is_tried_again_by_itself(story: Story) -> None:
    model = {"uri": "http://no-such-host.invalid/model.onnx"}
    story.apply(story.service(model=model, conversion={"retries": 1}))
    story.eventually(
        lambda: len(story.items("jobs")) == 2, lambda: "there was no second attempt", seconds=60
    )
    story.wait_reason("DownloadFailed")
    story.eventually(
        lambda: story.condition("Stalled").get("status") == "True",
        lambda: "it is not Stalled after the last attempt",
    )
