"""Our networks against the libraries that published them: same weights, same picture, same logits.

networks.py runs in an environment of its own; nothing here needs torch. Random weights, since
trained ones change nothing about which network this is. What networks.py writes takes half a minute
of a processor and is kept in the cache, half a gigabyte.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from devkit.progress import cache_root
from tests.support import shared
from tests.support.apiserver import ROOT
from tests.support.needs import need_originals

from resnet_jobs.checkpoints.hints import Hints, read_hints
from resnet_jobs.checkpoints.network import build
from resnet_jobs.checkpoints.recognise import Asked, recognise
from resnet_jobs.checkpoints.state_dict import find_state_dict
from resnet_jobs.checkpoints.weights_file import Entry, open_weights
from resnet_jobs.driver.checkpoint import MisfitError

NETWORKS = Path(__file__).with_name("networks.py")

# What it is by its names and shapes; timm's and transformers' have a quarter of their channels.
MADE = {
    "torchvision-resnet18": "resnet18",
    "torchvision-resnet50": "resnet50",
    "torchvision-resnext50_32x4d": "resnext50_32x4d",
    "torchvision-half": "resnet18",
    "torchvision-bfloat16": "resnet18",
    "timm-resnet18": "resnet18",
    "timm-resnet10t": "resnet10t",
    "timm-resnet18d": "resnet18d",
    "timm-resnet26": "resnet26",
    "timm-resnet26t": "resnet26t",
    "timm-resnet50": "resnet50",
    "timm-resnet50c": "resnet50c",
    "timm-resnet50d": "resnet50d",
    "timm-resnet50s": "resnet50s",
    "timm-resnet50t": "resnet50t",
    "timm-resnext50_32x4d": "resnext50_32x1d",
    "timm-resnext50d_32x4d": "resnext50d_32x1d",
    "timm-wide_resnet50_2": "resnet50",
    "transformers-basic": "resnet18",
    "transformers-bottleneck": "resnet50",
    "transformers-first-stage": "resnet50",
    "transformers-in-bottleneck": "resnet50",
    "mmpretrain-resnet18": "resnet18",
    "mmpretrain-resnet50": "resnet50",
    "mmpretrain-caffe": "resnet50",
    "mmpretrain-epsilon": "resnet18",
    "mmpretrain-cifar18": "resnet18_cifar",
    "mmpretrain-cifar50": "resnet50_cifar",
    "mmpretrain-v1c": "resnet50c",
    "mmpretrain-v1d": "resnet50d",
    "mmpretrain-next": "resnext50_32x4d",
}


@pytest.fixture(scope="module")
def originals() -> Path:
    """A folder with the files of networks.py."""
    python = need_originals()
    folder = folder_of_files()
    with shared.lock("originals"):
        if not folder.is_dir():
            make(python, folder)
    return folder


def folder_of_files() -> Path:
    """Return where the files lie, named after all that they are made of."""
    parts = [path.read_bytes() for path in (NETWORKS, ROOT / "requirements" / "originals.lock")]
    torches = ["dpkg-query", "-W", "python3-torch", "python3-torchvision"]
    told = subprocess.run(torches, capture_output=True)
    key = hashlib.sha256(b"\0".join([*parts, told.stdout])).hexdigest()[:16]
    return cache_root() / "tests" / f"originals-{key}"


def make(python: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as work:
        made = Path(work) / "made"
        made.mkdir()
        done = subprocess.run([python, "-B", NETWORKS, made], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        made.rename(folder)


def test_every_network_is_compared(originals: Path) -> None:
    assert json.loads((originals / "made.json").read_text()) == list(MADE)


def answer(originals: Path, name: str, asked: Asked) -> tuple[str, Any, Any]:
    """(what it is called, our scores, the original's)."""
    with np.load(originals / f"{name}.npz") as known:
        picture, scores = known["picture"], known["scores"]
    config = originals / f"{name}.json"
    said = json.loads(config.read_text()) if config.exists() else {}
    state = find_state_dict(open_weights(originals / name).root, key=None, prefix=None)
    found = recognise(state.weights, hints=read_hints(state.meta, said), asked=asked)
    height, width = picture.shape[2:]
    model = build(
        found.architecture, found.weights, name="input", output="output", size=(height, width)
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return found.architecture.name, session.run(None, {"input": picture})[0], scores


@pytest.mark.parametrize(("name", "architecture"), MADE.items())
def test_the_same_answers(originals: Path, name: str, architecture: str) -> None:
    called, ours, scores = answer(originals, name, Asked())
    assert called == architecture
    assert np.abs(scores[0] - scores[1]).max() > 0.01, "two pictures, two answers"
    np.testing.assert_allclose(ours, scores, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("name", "style"), [("caffe", "PyTorch"), ("resnet50", "Caffe")])
def test_the_wrong_style_gives_other_answers(originals: Path, name: str, style: str) -> None:
    """What no shape shows is seen by the comparison."""
    _, ours, scores = answer(originals, f"mmpretrain-{name}", Asked(style=style))
    assert np.abs(ours - scores).max() > 0.01


REFUSED = {
    "seresnet18": "channel attention",
    "ecaresnet26t": "channel attention",
    "res2net50_26w_4s": "Res2Net",
    "resnest14d": "ResNeSt",
    "skresnet18": "selective kernels",
    "resnet50_gn": "GroupNorm",
    "resnetv2_50": "ResNetV2",
    "regnety_002": "RegNet",
    "resnetrs50": "attention",
    "densenet121": "DenseNet",
    "vgg11": "VGG",
    "vit_tiny_patch16_224": "vision transformer",
    "efficientnet_b0": "EfficientNet",
    "convnext_atto": "ConvNeXt",
    "mobilenetv3_small_050": "not",
    "resnet32ts": "networks built of blocks",
}


def _no_numbers() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    raise AssertionError("shapes are enough to refuse")


@pytest.mark.parametrize(("name", "words"), REFUSED.items())
def test_another_network_is_named(originals: Path, name: str, words: str) -> None:
    shapes = json.loads((originals / "shapes.json").read_text())[name]
    weights = {
        key: Entry("float32", tuple(shape), _no_numbers)
        for key, shape in shapes.items()
        if "num_batches" not in key
    }
    with pytest.raises(MisfitError, match=words):
        recognise(weights, hints=Hints(), asked=Asked())
