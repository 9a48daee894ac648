"""A client that has nothing but a JPEG: the pipeline, on a CPU and on a chip."""

from __future__ import annotations

import io
import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from PIL import Image
from tests.e2e.story import PICTURES, Story
from tests.support.reader import FORWARD, new_reader

LABELS = {"classLabels": {"configMapKeyRef": {"name": "digits-labels", "key": "labels.txt"}}}
MODEL = {"uri": "configmap://digits-model/digits-resnet.onnx", **LABELS}
AIPP = {
    "pixelFormat": "RGB888",
    "source": {"height": 32, "width": 32},
    "mean": [78, 78, 78],
    "std": [96, 96, 96],
}
SCALED = {"mean": [78], "std": [96], "softmax": True}
PLACES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("on a CPU the server scales", {"accelerator": {"chip": "CPU"}, "conversion": {}}, SCALED),
    ("on a chip AIPP does", {"conversion": {"preprocessing": AIPP}}, {"softmax": True}),
]


def jpeg(path: Any) -> bytes:
    file = io.BytesIO()
    picture = Image.open(path).convert("RGB").resize((256, 256), Image.Resampling.BICUBIC)
    picture.save(file, "JPEG", quality=95)
    return file.getvalue()


def named(story: Story, data: bytes) -> tuple[str, float]:
    asked = triton.InferInput("picture", [1, 1], "BYTES")
    asked.set_data_from_numpy(np.array([[data]], dtype=np.object_))
    wanted = triton.InferRequestedOutput("logits", class_count=1)
    with story.client() as client:
        answer = client.infer("digits-pipeline", [asked], outputs=[wanted])
    score, _, label = answer.as_numpy("logits").reshape(-1)[0].decode().split(":")
    return label, float(score)


def assert_asked(story: Story, folder: Path) -> None:
    """`kubectl resnet` with `view` and a forwarded port: files, tensors, loads and counters."""
    reader = new_reader(story.server, story.namespace, folder)
    reader.may_also(FORWARD)

    def said(*arguments: str) -> Any:
        done = reader.run(*arguments, "-o", "json")
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return json.loads(done.stdout)

    pictures = [str(path) for path in PICTURES[:2]]
    for way in ((), ("--grpc",), ("--model", "digits"), ("--model", "digits", "--grpc")):
        found = said("predict", "digits", *pictures, *way)
        assert [one["labels"][0]["label"] for one in found] == [p.stem for p in PICTURES[:2]], way
    drawn = folder / "bench.svg"
    load = ("--concurrency", "1:2", "--requests", "20", "--seconds", "120", "--svg", str(drawn))
    points = said("bench", "digits", *load)["points"]
    assert [(one["requests"], one["failed"]) for one in points] == [(20, 0)] * 2
    assert all(one["server"]["requests"] == 20 for one in points)
    assert drawn.read_text().startswith("<svg")
    told = said("top")
    assert told["silent"] == []
    (row,) = told["services"]
    assert row["requests"] >= 40 + 2 * len(pictures)
    assert row["meanMilliseconds"] > 0
    assert row["chips"] == sum(one["held"] for one in told["chips"])


@pytest.mark.parametrize(("reason", "parts", "pipeline"), PLACES, ids=[one[0] for one in PLACES])
def test_a_jpeg_is_named(
    story: Story, reason: str, parts: dict[str, Any], pipeline: dict[str, Any], tmp_path: Path
) -> None:
    story.put_sample()
    parts = dict(parts)
    spec = story.service(model=MODEL, serving={"pipeline": pipeline}, **parts)
    if not parts.get("conversion"):
        spec["spec"].pop("conversion")
    story.apply(spec)
    status = story.wait_ready()
    assert status["model"]["pipeline"] == "digits-pipeline"

    for path in PICTURES:
        label, score = named(story, jpeg(path))
        assert label == path.stem, reason
        assert 0.3 < score <= 1, "a probability"

    assert_asked(story, tmp_path)
    with pytest.raises(triton.InferenceServerException, match="no picture of the kind JPEG or PNG"):
        named(story, b"no picture")
    assert named(story, jpeg(PICTURES[0]))[0] == PICTURES[0].stem, "nobody else is harmed"

    address = story.address()
    request = urllib.request.Request(
        f"http://{address}:8000/v2/models/digits-pipeline/infer",
        data=jpeg(PICTURES[0]),
        headers={"Inference-Header-Content-Length": "0"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        header = int(answer.headers["Inference-Header-Content-Length"])
        assert json.loads(answer.read()[:header])["model_name"] == "digits-pipeline"


def test_a_pipeline_comes_and_goes_without_a_conversion(story: Story) -> None:
    story.put_sample()
    cpu: dict[str, Any] = {"accelerator": {"chip": "CPU"}, "model": MODEL}
    plain = story.service(**cpu)
    plain["spec"].pop("conversion")
    story.apply(plain)
    first = story.wait_ready()
    assert "pipeline" not in first["model"]

    story.patch("resnetservice", "digits", {"spec": {"serving": {"pipeline": SCALED}}})
    second = story.wait_ready()
    assert second["artifact"]["sha256"] == first["artifact"]["sha256"]
    assert second["revisions"]["serving"] != first["revisions"]["serving"]
    # The old pod answers while it drains, until every proxy knows that it goes.
    story.eventually(
        lambda: len(story.items("pods", "app.kubernetes.io/component=serving")) == 1,
        lambda: "the old pod does not go",
    )
    assert named(story, jpeg(PICTURES[0]))[0] == PICTURES[0].stem

    unscaled = {"mean": None, "std": None}
    story.patch("resnetservice", "digits", {"spec": {"serving": {"pipeline": unscaled}}})
    story.wait_reason("InvalidSpec")
    assert story.ready_condition()["message"].startswith("write serving.pipeline.mean and std")
    assert named(story, jpeg(PICTURES[0]))[0] == PICTURES[0].stem, "what serves, serves on"

    story.patch("resnetservice", "digits", {"spec": {"serving": {"pipeline": None}}})
    third = story.wait_ready()
    assert third["revisions"]["serving"] == first["revisions"]["serving"]
