"""From `kubectl apply` to a prediction, on a chip and on a CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.e2e.story import FP16_TOLERANCE, PICTURES, Story, digits_batch, expected_logits

LABELLED = {"classLabels": {"configMapKeyRef": {"name": "digits-labels", "key": "labels.txt"}}}


@pytest.mark.parametrize(
    ("batch_sizes", "flags", "reason"),
    [
        (
            None,
            ["--input_shape=input:-1,3,32,32", "--dynamic_batch_size=1,2,4,8"],
            "the default is four dynamic profiles",
        ),
        ([4], ["--input_shape=input:4,3,32,32"], "one batch size is a static batch, padded"),
    ],
)
def test_npu_path(
    story: Story, batch_sizes: list[int] | None, flags: list[str], reason: str
) -> None:
    story.put_sample()
    story.put_claim()
    conversion: dict[str, Any] = {"batchSizes": batch_sizes} if batch_sizes else {}
    uri = "pvc://models/digits-resnet.onnx"
    story.apply(story.service(model={"uri": uri, **LABELLED}, conversion=conversion))
    status = story.wait_ready()

    assert status["artifact"]["origin"] == "Converted", reason
    assert set(flags) <= set(status["artifact"]["command"])
    assert "simulator" in status["artifact"]["compiler"]
    pod = story.items("pods", "app.kubernetes.io/component=serving")[0]
    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    assert limits["huawei.com/Ascend310P"] == "1", "the device plugin gave the pod a chip"
    for count in (1, 3, max(batch_sizes or [8])):
        batch = digits_batch([PICTURES[i % len(PICTURES)] for i in range(count)])
        answer, truth = story.logits(batch), expected_logits(batch)
        assert answer.shape == truth.shape
        assert np.abs(answer - truth).max() < FP16_TOLERANCE
    for picture in PICTURES:
        assert story.top(picture)[0] == picture.stem, f"{picture.name} has its own label first"


def test_cpu_path(story: Story) -> None:
    story.put_sample()
    model = {"uri": "configmap://digits-model/digits-resnet.onnx", **LABELLED}
    story.apply(story.service(model=model, accelerator={"chip": "CPU"}))
    status = story.wait_ready()

    assert status["artifact"]["origin"] in {"Copied", "Reused"}
    assert "command" not in status["artifact"], "nothing was converted"
    assert status["runtime"] == "ONNXRuntime"
    batch = digits_batch(PICTURES[:5])
    np.testing.assert_allclose(story.logits(batch), expected_logits(batch), rtol=1e-4, atol=1e-4)
    assert story.top(PICTURES[0])[0] == PICTURES[0].stem
    pod = story.items("pods", "app.kubernetes.io/component=serving")[0]
    probes = pod["spec"]["containers"][0]
    assert probes["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_status_is_what_a_client_needs(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"chip": "CPU"}))
    status = story.wait_ready()

    config = story.client().get_model_config("digits")
    assert [t["name"] for t in config["input"]] == [t["name"] for t in status["model"]["inputs"]]
    assert config["input"][0]["dims"] == [str(d) for d in status["model"]["inputs"][0]["dims"]] or (
        config["input"][0]["dims"] == status["model"]["inputs"][0]["dims"]
    )
    repository = story.get("configmap", status["repositoryConfigMap"])
    assert 'name: "digits"' in repository["data"]["config.pbtxt"]
    assert status["endpoints"]["http"] == f"digits.{story.namespace}.svc:8000"
    columns = story.kubectl("get", "resnetservices").splitlines()[1].split()
    assert columns[:5] == ["digits", "Ready", "CPU", "1,2,4,8", "1/1"]


def test_two_chips_and_two_instances(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator={"count": 2}, serving={"instancesPerChip": 2}))
    story.wait_ready()

    config = story.client().get_model_config("digits")
    assert config["instance_group"][0]["count"] == 4
    batch = digits_batch(PICTURES[:8])
    for _ in range(8):
        assert np.abs(story.logits(batch) - expected_logits(batch)).max() < FP16_TOLERANCE
