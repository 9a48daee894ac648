"""What samples/ promises: accuracy, sizes, a picture of each class, a light model that runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from samples.light_resnet50 import light_resnet50
from tests.unit.resnet_runtime.test_onnxruntime_model import DIGITS

from resnet_client import PRESETS, ClientError, Preprocessing, load_picture, preprocess

if TYPE_CHECKING:
    from pathlib import Path

HOW = PRESETS["digits"]
LABELS = (DIGITS / "labels.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def session() -> Any:
    return onnxruntime.InferenceSession(DIGITS / "digits-resnet.onnx")


def test_the_accuracy_is_the_one_that_was_measured(session: Any) -> None:
    with np.load(DIGITS / "heldout.npz") as held_out:
        tensors, labels = preprocess(held_out["pictures"], HOW), held_out["labels"]
    (logits,) = session.run(["logits"], {"input": tensors})
    measured = json.loads((DIGITS / "metrics.json").read_text())
    assert np.mean(logits.argmax(axis=1) == labels) == measured["heldOutAccuracy"]
    assert len(labels) == measured["heldOutPictures"]


def test_each_picture_is_called_by_its_name(session: Any) -> None:
    pictures = sorted((DIGITS / "pictures").glob("*.png"))
    assert {picture.stem for picture in pictures} == set(LABELS)
    for picture in pictures:
        pixels = load_picture(picture, height=32, width=32, how=HOW)
        (logits,) = session.run(["logits"], {"input": preprocess(pixels[None], HOW)})
        assert LABELS[logits.argmax()] == picture.stem


def test_the_network_fits_a_config_map() -> None:
    assert (DIGITS / "digits-resnet.onnx").stat().st_size < 1 << 20


@pytest.mark.thorough
def test_the_light_network_takes_any_batch() -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    network = onnxruntime.InferenceSession(light_resnet50().SerializeToString(), options)
    (answer,) = network.run(["softmax"], {"data": np.ones((2, 3, 224, 224), np.float32)})
    assert answer.shape == (2, 1000)
    assert np.isfinite(answer).all()


@pytest.mark.parametrize(
    ("size", "how", "reason"),
    [
        ((32, 32), HOW, "taken as it is"),
        ((64, 40), HOW, "another shape is resized and cropped"),
        ((500, 300), Preprocessing(HOW.mean, HOW.std, zoom=256 / 224), "as torchvision does it"),
    ],
)
def test_pictures_of_any_size(
    tmp_path: Path, size: tuple[int, int], how: Preprocessing, reason: str
) -> None:
    from PIL import Image

    Image.new("RGB", size, (255, 0, 78)).save(tmp_path / "p.png")
    pixels = load_picture(tmp_path / "p.png", height=32, width=32, how=how)
    assert pixels.shape == (32, 32, 3), reason
    tensor = preprocess(pixels[None], how)
    assert tensor.shape == (1, 3, 32, 32)
    assert tensor[0, :, 0, 0].tolist() == [1.84375, -0.8125, 0.0]


@pytest.mark.parametrize("name", ["none.png", "text.png"])
def test_what_is_no_picture_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ClientError, match=name):
        load_picture(tmp_path / name, height=32, width=32, how=HOW)
