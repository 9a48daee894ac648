"""The dump of intermediate results that a configuration of aclInit asks for.

    {"dump": {"dump_path": "/d", "dump_mode": "output", "dump_list": [{"model_name": "resnet"}]}}

Files <path>/<time>/<device>/<model>/<model id>/<run>/<type>.<operator>.<task>.<stream>.<time>: the
length of a DumpData message, the message, the bytes of its outputs. The fields used are those of
CANN's own dump_data.proto; formats are always NCHW or ND here, where a chip has its own.
"""

from __future__ import annotations

import json
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ascend_simulator import om

    Tensors = Sequence[tuple[str, str, str]]

TYPES = {np.dtype(np.float32): 1, np.dtype(np.float16): 2, np.dtype(np.int8): 3,
         np.dtype(np.uint8): 4, np.dtype(np.int32): 7, np.dtype(np.int64): 8}  # fmt: skip
FORMAT_NCHW, FORMAT_ND = 0, 2


@dataclass
class Dump:
    path: Path
    models: frozenset[str]
    stamp: str

    def write(self, model: str, run: int, tensors: Tensors, values: Sequence[np.ndarray]) -> None:
        folder = self.path / self.stamp / "0" / model / "1" / str(run)
        folder.mkdir(parents=True, exist_ok=True)
        for task, ((name, kind, _), value) in enumerate(zip(tensors, values, strict=True)):
            if value.dtype not in TYPES:
                continue
            safe = name.replace("/", "_").replace(".", "_")
            file = folder / f"{kind}.{safe}.{task}.0.{time.monotonic_ns()}"
            file.write_bytes(encode(name, np.ascontiguousarray(value)))


def read_config(path: Path) -> Dump | None:
    from pathlib import Path as Folder

    wish = json.loads(path.read_text()).get("dump") or {}
    if not wish.get("dump_path"):
        return None
    names = frozenset(entry["model_name"] for entry in wish.get("dump_list", ()))
    return Dump(Folder(wish["dump_path"]), names, time.strftime("%Y%m%d%H%M%S"))


def dumped_tensors(header: om.Header, dump: Dump | None) -> Tensors:
    if dump is None or header.model_name not in dump.models:
        return ()
    real = {tensor.onnx_name for tensor in header.outputs}
    return tuple(entry for entry in header.operators if entry[2] not in real)


def with_outputs(graph: bytes, names: Sequence[str]) -> bytes:
    """The model with more outputs: messages of protobuf that follow each other are merged."""
    if not names:
        return graph
    outputs = b"".join(_field(12, _field(1, name.encode())) for name in names)
    return graph + _field(7, outputs)


def encode(name: str, value: np.ndarray) -> bytes:
    data = value.tobytes()
    layout = FORMAT_NCHW if value.ndim == 4 else FORMAT_ND
    output = (
        _number(1, TYPES[value.dtype])
        + _number(2, layout)
        + _field(3, b"".join(_number(1, size) for size in value.shape))
        + _field(5, _field(1, name.encode()))
        + _number(6, len(data))
    )
    message = _field(1, b"1.0") + _field(3, output) + _field(6, name.encode())
    return struct.pack("<Q", len(message)) + message + data


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
