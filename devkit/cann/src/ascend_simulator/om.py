"""The simulator's .om file: a header that says what was compiled, and the compiled graph as ONNX.

Not Huawei's format: a real NPU refuses it, and this refuses real ones. Written by atc.py, read by
acl and by `atc --mode=6`.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MAGIC = b"CANNSIM\x01"
_LENGTH = struct.Struct("<Q")

ACL_TYPES = {1: 0, 10: 1, 3: 2, 6: 3, 2: 4, 5: 6, 4: 7, 12: 8, 7: 9, 13: 10, 11: 11, 9: 12}
"""ONNX element type -> aclDataType."""
ITEM_BYTES = {0: 4, 1: 2, 2: 1, 3: 4, 4: 1, 6: 2, 7: 2, 8: 4, 9: 8, 10: 8, 11: 8, 12: 1}
"""aclDataType -> bytes of one element."""
FORMAT_NCHW, FORMAT_NHWC, FORMAT_ND = 0, 1, 2


class NotAnOmError(Exception):
    """The bytes are no .om of this simulator, or a damaged one."""


@dataclass(frozen=True)
class Tensor:
    """An input or output. `name` is what pyACL shows, `onnx_name` what the graph calls it."""

    name: str
    onnx_name: str
    dtype: int
    format: int
    dims: tuple[int, ...]
    """-1 where the batch is open."""
    size: int
    """Bytes at the largest profile."""
    follows_batch: bool = False
    """Does the first dimension grow with the batch? Found out by running two batches."""


@dataclass(frozen=True)
class Header:
    """Everything about the .om but its graph."""

    atc_version: str
    soc_version: str
    command_line: str
    precision: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    batches: tuple[int, ...]
    """The profiles in the order of the command line; empty for a static model."""
    weight_bytes: int
    work_bytes: int
    graph_bytes: int
    graph_sha256: str
    aipp: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Input -> its AIPP as compiled."""
    options: dict[str, str] = field(default_factory=dict)
    """What the command line asked for, but where things lie."""
    quantized: bool = False
    """Made from a deploy model of AMCT."""
    model_name: str = ""
    operators: tuple[tuple[str, str, str], ...] = ()
    """Name, type and output tensor of each operator whose result survived the compilation."""


def digest(graph: bytes) -> str:
    return hashlib.sha256(graph).hexdigest()


def write(path: Path, header: Header, graph: bytes) -> None:
    """All or nothing: a killed conversion leaves no half a file under the final name."""
    text = json.dumps(asdict(header), sort_keys=True).encode()
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(MAGIC + _LENGTH.pack(len(text)) + text)
        file.write(graph)
    temporary.replace(path)


def split(data: bytes) -> tuple[Header, bytes]:
    start = len(MAGIC) + _LENGTH.size
    if not data.startswith(MAGIC) or len(data) < start:
        raise NotAnOmError("it does not start as an .om of the CANN simulator does")
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    try:
        fields = json.loads(data[start : start + length])
        for kind in ("inputs", "outputs"):
            fields[kind] = tuple(
                Tensor(**{**tensor, "dims": tuple(tensor["dims"])}) for tensor in fields[kind]
            )
        fields["operators"] = tuple(tuple(entry) for entry in fields.get("operators", ()))
        header = Header(**{**fields, "batches": tuple(fields["batches"])})
    except (ValueError, KeyError, TypeError) as error:
        raise NotAnOmError("its header is damaged") from error
    graph = data[start + length :]
    if len(graph) != header.graph_bytes or digest(graph) != header.graph_sha256:
        raise NotAnOmError("its graph is damaged or cut off")
    return header, graph


def describe(header: Header, *, prefix: str) -> str:
    """The block that `--mode=6` prints (CANN 8.0's lines)."""
    weights = header.weight_bytes
    return f"""\
============ Display Model Info start ============
Original Atc command line: {prefix}{header.command_line}
system   info: atc_version[{header.atc_version}], soc_version[{header.soc_version}], \
framework_type[Onnx].
resource info: memory_size[{header.work_bytes} B], weight_size[{weights} B], \
stream_num[1], event_num[0].
om       info: modeldef_size[{header.graph_bytes - weights} B], weight_data_size[{weights} B], \
tbe_kernels_size[0 B], cust_aicpu_kernel_store_size[0 B], task_info_size[0 B], so_store_size[0 B].
============ Display Model Info end   ============"""
