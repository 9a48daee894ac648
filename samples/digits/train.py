#!/usr/bin/env python3
"""Train the sample model: a ResNet-8 on scikit-learn's digits, as 32x32 RGB pictures.

    python samples/digits/train.py        # about a minute; README.md says what it needs

Writes everything else in this folder: the ONNX file, labels, pictures, the held-out set and the
measured accuracy. The same versions of PyTorch and scikit-learn give the same files again.
"""

from __future__ import annotations

import inspect
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "operator"))
from resnet_client.pictures import PRESETS, preprocess

LABELS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SIDE = 32
HELD_OUT_PER_CLASS = 20
CALIBRATION_PER_CLASS = 12
SEED = 20240607
EPOCHS = 30
BATCH = 64


class Block(nn.Module):  # type: ignore[misc]
    """A basic residual block: two 3x3 convolutions and a shortcut (1x1 where the shape changes)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Any) -> Any:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet8() -> Any:
    """ResNet-8 for 32x32: a stem, three stages of one block each, global average pooling."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, len(LABELS)),
    )


def pictures_of_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The scanned digits (8x8, 0..16) as 32x32 RGB pictures of 0..255, and their labels."""
    digits = load_digits()
    grey = np.clip(np.rint(digits.images * (255 / 16)), 0, 255).astype(np.uint8)
    grown = [
        np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        for one in grey
    ]
    return np.repeat(np.stack(grown)[..., None], 3, axis=3), digits.target.astype(np.int64)


def split(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indexes (training, held out): the same number of each class held out, drawn by the seed."""
    rng = np.random.default_rng(SEED)
    held = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == label))[:HELD_OUT_PER_CLASS]
            for label in range(len(LABELS))
        ]
    )
    return np.setdiff1d(np.arange(len(labels)), held), held


def train(network: Any, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Fit the network; each epoch shifts every picture by up to two pixels at random."""
    rng = np.random.default_rng(SEED)
    steps = EPOCHS * (len(pixels) // BATCH)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    network.train()
    for epoch in range(EPOCHS):
        total = 0.0
        order = rng.permutation(len(pixels))[: len(pixels) // BATCH * BATCH]
        for chosen in order.reshape(-1, BATCH):
            shift = rng.integers(-2, 3, size=(BATCH, 2))
            moved = np.stack(
                [np.roll(pixels[i], by, axis=(0, 1)) for i, by in zip(chosen, shift, strict=True)]
            )
            loss = criterion(
                network(torch.from_numpy(preprocess(moved, PRESETS["digits"]))),
                torch.from_numpy(labels[chosen]),
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss)
        mean_loss = total / (len(order) // BATCH)
        print(f"epoch {epoch + 1:2d}/{EPOCHS}  loss {mean_loss:.4f}", flush=True)


def accuracy(network: Any, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    network.eval()
    with torch.no_grad():
        logits = network(torch.from_numpy(preprocess(pixels, PRESETS["digits"])))
    return float(np.mean(logits.argmax(1).numpy() == labels))


def export(network: Any, path: Path) -> None:
    """Write the ONNX file: opset 13, any batch size, batch normalization folded in."""
    network.eval()
    options: dict[str, Any] = {}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False  # the new exporter of PyTorch 2.x starts at opset 18
    torch.onnx.export(
        network,
        torch.zeros(1, 3, SIDE, SIDE),
        str(path),
        opset_version=13,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
        **options,
    )


def write_calibration(
    path: Path, pixels: NDArray[np.uint8], labels: NDArray[np.int64], known: NDArray[np.int64]
) -> None:
    """Write an archive of training pictures, for the ranges that a quantizer measures."""
    with tarfile.open(path, "w") as archive:
        for label, name in enumerate(LABELS):
            chosen = [index for index in known if labels[index] == label][:CALIBRATION_PER_CLASS]
            for number, index in enumerate(chosen):
                file = io.BytesIO()
                Image.fromarray(pixels[index]).save(file, "PNG", optimize=True)
                entry = tarfile.TarInfo(f"calibration/{name}-{number:02}.png")
                entry.size = len(file.getvalue())
                archive.addfile(entry, io.BytesIO(file.getvalue()))


def main() -> None:
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # the sum's order, and with it the weights, depend on the threads
    pixels, labels = pictures_of_digits()
    known, held = split(labels)
    network = resnet8()
    train(network, pixels[known], labels[known])
    export(network, HERE / "digits-resnet.onnx")
    (HERE / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    np.savez_compressed(
        HERE / "heldout.npz", pictures=pixels[held], labels=labels[held].astype(np.int64)
    )
    write_calibration(HERE / "calibration.tar", pixels, labels, known)
    (HERE / "pictures").mkdir(exist_ok=True)
    for index in held[::HELD_OUT_PER_CLASS]:  # the first one drawn of each class
        name = f"{LABELS[labels[index]]}.png"
        Image.fromarray(pixels[index]).save(HERE / "pictures" / name, optimize=True)
    metrics = {
        "architecture": "ResNet-8",
        "parameters": sum(p.numel() for p in network.parameters()),
        "epochs": EPOCHS,
        "trainingPictures": len(known),
        "trainingAccuracy": round(accuracy(network, pixels[known], labels[known]), 4),
        "heldOutPictures": len(held),
        "heldOutAccuracy": round(accuracy(network, pixels[held], labels[held]), 4),
        "versions": {"torch": str(torch.__version__), "scikit-learn": sklearn.__version__},
    }
    (HERE / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics, indent=2))


if __name__ == "__main__":
    main()
