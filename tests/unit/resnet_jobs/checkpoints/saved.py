"""Writes what `torch.save` writes, without torch, and the weights of ResNets by each publisher.

Opcode by opcode, so that a test can write what torch never would. tests/originals holds the same
reader against files of torch itself.
"""

from __future__ import annotations

import functools
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

STORAGES = {
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "float64": "DoubleStorage",
    "int64": "LongStorage",
}
BLOCKS = {18: (False, (2, 2, 2, 2)), 50: (True, (3, 4, 6, 3)), 26: (True, (2, 2, 2, 2))}
Weights = dict[str, np.ndarray[Any, Any]]


class Raw(bytes):
    """Opcodes that leave one value on the stack, taken as they are."""


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def whole(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def name(module: str, function: str) -> Raw:
    return Raw(f"c{module}\n{function}\n".encode())


def storage(key: str, count: int, kind: str = "FloatStorage") -> Raw:
    parts = text("storage"), name("torch", kind), text(key), text("cpu"), whole(count)
    return Raw(b"(" + b"".join(parts) + b"tQ")


def tensor(kept: Raw, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Raw:
    ends = b"(" + b"".join(map(whole, shape)) + b"t(" + b"".join(map(whole, strides)) + b"t"
    arguments = b"(" + kept + whole(offset) + ends + b"\x89}t"
    return Raw(name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R")


class Writer:
    """One file: `blobs` are the storages by key."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.counts: dict[str, int] = {}

    def encode(self, value: Any) -> bytes:
        if isinstance(value, Raw):
            return bytes(value)
        if isinstance(value, np.ndarray):
            return bytes(self._array(value))
        if isinstance(value, Mapping):
            items = b"".join(text(key) + self.encode(item) for key, item in value.items())
            return b"}(" + items + b"u"
        if isinstance(value, (list, tuple)):
            return (
                b"(" + b"".join(map(self.encode, value)) + (b"l" if type(value) is list else b"t")
            )
        return pickle.dumps(value, 2)[2:-1]

    def _array(self, value: np.ndarray[Any, Any]) -> Raw:
        key, kept = str(len(self.blobs)), np.ascontiguousarray(value)
        self.blobs[key], self.counts[key] = kept.tobytes(), kept.size
        strides = tuple(step // kept.itemsize for step in kept.strides)
        kind = STORAGES[kept.dtype.name]
        return tensor(storage(key, kept.size, kind), 0, kept.shape, strides)


def archive(value: Any, **more: bytes) -> bytes:
    """The zip of today; `more` replaces members, by their name without the folder."""
    writer = Writer()
    members = {"data.pkl": b"\x80\x02" + writer.encode(value) + b".", "version": b"3\n"}
    members |= {f"data/{key}": blob for key, blob in writer.blobs.items()}
    return zipped({**members, **{key.replace("__", "/"): data for key, data in more.items()}})


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for member, data in members.items():
            made.writestr(f"archive/{member}", data)
    return file.getvalue()


def stream(value: Any) -> bytes:
    """The pickles of before PyTorch 1.6, which mmcls publishes to this day."""
    writer = Writer()
    root = writer.encode(value)
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}]
    parts = [pickle.dumps(part, 2) for part in head]
    parts += [b"\x80\x02" + root + b".", pickle.dumps(list(writer.blobs), 2)]
    for key, blob in writer.blobs.items():
        parts += [struct.pack("<q", writer.counts[key]), blob]
    return b"".join(parts)


def safetensors(weights: Weights, *, kind: str = "F32", metadata: Any = None) -> bytes:
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    data = b""
    for key, value in weights.items():
        blob = _as_kind(value, kind)
        ends = [len(data), len(data) + len(blob)]
        header[key] = {"dtype": kind, "shape": list(value.shape), "data_offsets": ends}
        data += blob
    described = json.dumps(header).encode()
    return struct.pack("<Q", len(described)) + described + data


def _as_kind(value: np.ndarray[Any, Any], kind: str) -> bytes:
    if kind == "BF16":
        return (value.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return value.astype({"F32": "<f4", "F16": "<f2", "F64": "<f8", "I8": "|i1"}[kind]).tobytes()


# --- weights ------------------------------------------------------------------------------------


class Layers:
    """Random layers as they are added; without a seed only their names and shapes."""

    def __init__(self, seed: int | None) -> None:
        self.found: Weights = {}
        self.blank = seed is None
        self.rng = np.random.default_rng(seed)

    def matrix(self, key: str, shape: tuple[int, ...], scale: float) -> None:
        """Add the weight of a layer: zeros without memory where nobody looks at the numbers."""
        if self.blank:
            self.found[f"{key}.weight"] = np.broadcast_to(np.float32(0), shape)
        else:
            numbers = self.rng.standard_normal(shape) * scale
            self.found[f"{key}.weight"] = numbers.astype("f4")

    def convolution(self, key: str, outs: int, ins: int, side: int) -> None:
        self.matrix(key, (outs, ins, side, side), (2 / (ins * side * side)) ** 0.5)

    def norm(self, key: str, channels: int) -> None:
        for part in ("weight", "running_var"):
            self.found[f"{key}.{part}"] = self.rng.uniform(0.5, 1, channels).astype("f4")
        for part in ("bias", "running_mean"):
            self.found[f"{key}.{part}"] = self.rng.uniform(-0.1, 0.1, channels).astype("f4")
        self.found[f"{key}.num_batches_tracked"] = np.array(7, "i8")

    def stem(self, kind: str, base: int) -> None:
        if kind != "deep":
            self.convolution("conv1", base, 3, {"plain": 7, "small": 3}[kind])
        else:
            half = base // 2
            for number, (ins, outs) in enumerate(((3, half), (half, half), (half, base))):
                self.convolution(f"conv1.{3 * number}", outs, ins, 3)
                if number < 2:
                    self.norm(f"conv1.{3 * number + 1}", outs)
        self.norm("bn1", base)

    def head(self, classes: int, inputs: int) -> None:
        self.matrix("fc", (classes, inputs), inputs**-0.5)
        self.found["fc.bias"] = self.rng.uniform(-0.1, 0.1, classes).astype("f4")


def resnet(
    depth: int = 18,
    *,
    classes: int = 5,
    base: int = 8,
    stem: str = "plain",
    pooled: bool = False,
    groups: int = 1,
    seed: int | None = 3,
) -> Weights:
    """A ResNet by torchvision's and timm's names, with few channels so that it is quick.

    With as many channels as publishers' have, and numbers, it is not: `outline` has only shapes.
    """
    layers = Layers(seed)
    layers.stem(stem, base)
    bottleneck, blocks = BLOCKS[depth]
    inputs = base
    for stage, count in enumerate(blocks):
        planes = base << stage
        outputs = planes * (4 if bottleneck else 1)
        for index in range(count):
            block = f"layer{stage + 1}.{index}"
            shapes = [(planes, inputs, 3), (planes, planes, 3)]
            if bottleneck:
                shapes = [(planes, inputs, 1), (planes, planes // groups, 3), (outputs, planes, 1)]
            for number, (outs, ins, side) in enumerate(shapes, start=1):
                layers.convolution(f"{block}.conv{number}", outs, ins, side)
                layers.norm(f"{block}.bn{number}", outs)
            if index == 0 and (stage or inputs != outputs):
                layers.convolution(f"{block}.downsample.{int(pooled)}", outputs, inputs, 1)
                layers.norm(f"{block}.downsample.{int(pooled) + 1}", outputs)
            inputs = outputs
    layers.head(classes, inputs)
    return layers.found


outline = functools.partial(resnet, seed=None)


def renamed(weights: Weights, change: Callable[[str], str]) -> Weights:
    return {change(key): value for key, value in weights.items()}


def as_mmcls(weights: Weights) -> Weights:
    def change(key: str) -> str:
        return key.replace("fc.", "head.fc.") if key.startswith("fc.") else f"backbone.{key}"

    return renamed(weights, change)
