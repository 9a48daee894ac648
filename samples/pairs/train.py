#!/usr/bin/env python3
"""Train a checkpoint as mmcls publishes them: ResNet_CIFAR, a hundred classes, two digits each.

    /usr/bin/python3 samples/pairs/train.py        # a few minutes; README.md says what it needs

Writes everything else in this folder. Names, meta and file format are mmcls's; the network is
narrow, so that it trains here.
"""

from __future__ import annotations

import gzip
import io
import pickle
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
from samples.digits.train import pictures_of_digits, split

SIDE, CLASSES, WIDTH = 32, 100, 8
TRAINING, HELD_OUT, CALIBRATION = 80, 5, 120  # the first two for each class
EPOCHS, BATCH, SEED = 3, 64, 20210528
MEAN, STD = 78.0, 96.0
CONFIG = f"""img_norm_cfg = dict(mean=[{MEAN}, {MEAN}, {MEAN}], \
std=[{STD}, {STD}, {STD}], to_rgb=True)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet_CIFAR',
        depth=18,
        base_channels={WIDTH},
        stem_channels={WIDTH},
        num_stages=4,
        out_indices=(3, ),
        style='pytorch'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes={CLASSES},
        in_channels={8 * WIDTH},
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0)))
"""


class Block(nn.Module):  # type: ignore[misc]
    """mmcls's BasicBlock, by its names."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            around = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(around, nn.BatchNorm2d(outputs))

    def forward(self, x: Any) -> Any:
        around = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + around)


class Backbone(nn.Module):  # type: ignore[misc]
    """ResNet_CIFAR: one 3x3 convolution in front, and no pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        inputs = WIDTH
        for stage in range(4):
            outputs = WIDTH << stage
            first = Block(inputs, outputs, 2 if stage else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(first, Block(outputs, outputs, 1)))
            inputs = outputs

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x.mean((2, 3))


class Classifier(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Module()
        self.head.fc = nn.Linear(8 * WIDTH, CLASSES)

    def forward(self, x: Any) -> Any:
        return self.head.fc(self.backbone(x))


def pairs(
    pixels: NDArray[np.uint8], labels: NDArray[np.int64], chosen: NDArray[np.int64], count: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """`count` pictures of each number 00 to 99: two of the chosen digits, half as wide each."""
    rng = np.random.default_rng(SEED)
    narrow = [
        np.asarray(Image.fromarray(one).resize((SIDE // 2, SIDE), Image.Resampling.BICUBIC))
        for one in pixels
    ]
    by_digit = [[index for index in chosen if labels[index] == digit] for digit in range(10)]
    pictures, numbers = [], []
    for number in range(CLASSES):
        for _ in range(count):
            sides = [narrow[rng.choice(by_digit[digit])] for digit in divmod(number, 10)]
            pictures.append(np.concatenate(sides, axis=1))
            numbers.append(number)
    return np.stack(pictures), np.array(numbers)


def prepared(pictures: NDArray[np.uint8]) -> Any:
    return torch.from_numpy(((pictures.astype(np.float32) - MEAN) / STD).transpose(0, 3, 1, 2))


def train(network: Any, pictures: NDArray[np.uint8], numbers: NDArray[np.int64]) -> None:
    rng = np.random.default_rng(SEED)
    steps = EPOCHS * (len(pictures) // BATCH)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=steps)
    for epoch in range(EPOCHS):
        order = rng.permutation(len(pictures))[: len(pictures) // BATCH * BATCH]
        total = 0.0
        for chosen in order.reshape(-1, BATCH):
            scores = network(prepared(pictures[chosen]))
            loss = nn.functional.cross_entropy(scores, torch.from_numpy(numbers[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss)
        print(f"epoch {epoch + 1}/{EPOCHS}  loss {total * BATCH / len(order):.4f}", flush=True)
    network.eval()


def save_checkpoint(network: Any, names: list[str], path: Path) -> None:
    """As mmcls's tools/convert_models/publish_model.py leaves one: the format of before 1.6."""
    meta = {"mmcls_version": "0.12.0", "config": CONFIG, "CLASSES": names, "epoch": EPOCHS}
    value = {"meta": meta, "state_dict": network.state_dict()}
    torch.save(value, path, _use_new_zipfile_serialization=False)


def write_archive(path: Path, files: dict[str, bytes]) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    data = whole.getvalue()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def as_png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> None:
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # the sum's order, and with it the weights, depend on the threads
    pixels, labels = pictures_of_digits()
    known, held = split(labels)
    pictures, numbers = pairs(pixels, labels, known, TRAINING)
    network = Classifier().train()
    train(network, pictures, numbers)
    unseen, truth = pairs(pixels, labels, held, HELD_OUT)
    with torch.no_grad():
        right = (network(prepared(unseen)).argmax(1).numpy() == truth).mean()
    print(f"{right:.4f} of {len(unseen)} held-out pictures")
    names = [f"{number:02}" for number in range(CLASSES)]
    save_checkpoint(network, names, HERE / "resnet18_cifar_pairs.pth")
    rng = np.random.default_rng(SEED)
    chosen = rng.choice(len(pictures), CALIBRATION, replace=False)
    write_archive(
        HERE / "calibration.tar",
        {f"calibration/{index:05}.png": as_png(pictures[index]) for index in chosen},
    )
    rows = unseen.transpose(0, 3, 1, 2).reshape(len(unseen), -1)
    test = {b"data": rows, b"fine_labels": truth.tolist(), b"batch_label": b"testing batch 1 of 1"}
    write_archive(HERE / "pairs-python.tar.gz", {"pairs-python/test": pickle.dumps(test, 2)})


if __name__ == "__main__":
    main()
