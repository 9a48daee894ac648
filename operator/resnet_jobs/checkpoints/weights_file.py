"""Opens the files that weights come in: PyTorch's and safetensors, as names and NumPy arrays.

Called by `convert`. What is read is bounded by what the file has; a tensor's numbers are read
when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_contract.foreign.kinds import HEAD_BYTES, SAFETENSORS, kind_of
from resnet_jobs.driver.checkpoint import MisfitError
from resnet_jobs.driver.saved.names import Tensor
from resnet_jobs.driver.saved.torch_file import open_checkpoint
from resnet_jobs.formats.onnx_file import refuse_other_kinds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Array = np.ndarray[Any, Any]

PYTORCH_KINDS = ("a ZIP archive", "a Python pickle")
MOST_HEADER = 32 << 20
MOST_INDEX = 4 << 20
MOST_TENSORS = 20_000
FLOATS = {"float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "bfloat16"}
WHOLE = {"int64": "<i8", "int32": "<i4", "int16": "<i2", "int8": "|i1", "uint8": "|u1",
         "bool": "|b1"}  # fmt: skip
SAFE_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
              "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8",
              "BOOL": "bool"}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A tensor that can be read: `load` returns floats as FP32."""

    kind: str
    shape: tuple[int, ...]
    load: Callable[[], Array] = field(compare=False, repr=False)


@dataclass(frozen=True)
class WeightsFile:
    """`root` is what was saved, as plain data, with an `Entry` for each tensor."""

    kind: str
    root: Any
    metadata: Mapping[str, str] = field(default_factory=dict)


def open_weights(path: Path) -> WeightsFile:
    """`MisfitError` or `JobError` with a sentence for anything but a sound file of weights."""
    if is_safetensors(path):
        return _open_safetensors(path)
    with path.open("rb") as file:
        is_pytorch = kind_of(file.read(4), PYTORCH_KINDS) is not None
    if not is_pytorch:
        _refuse_parts(path)
        refuse_other_kinds(path, wanted="PyTorch weights")
    checkpoint = open_checkpoint(str(path))

    def entry(tensor: Tensor) -> Entry:
        return Entry(
            tensor.kind, tensor.shape, lambda: _strided(tensor, checkpoint.numbers(tensor))
        )

    return WeightsFile("PyTorch", _converted(checkpoint.root, entry))


def _refuse_parts(path: Path) -> None:
    """Safetensors without their end, and the index of weights in several files."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if kind_of(head, [SAFETENSORS]):
        size = path.stat().st_size
        raise MisfitError(f"the safetensors file is cut off at {size:,} bytes: put it there again")
    if head.lstrip()[:1] == b"{" and (b'"weight_map"' in _start_of(path)):
        raise MisfitError(
            "the file is an index of weights in several files: save them as one, "
            'model.save_pretrained(…, max_shard_size="50GB"), and bring that file'
        )


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_INDEX)


def is_safetensors(path: Path) -> bool:
    """By the first bytes: the length of a JSON object, and its beginning."""
    with path.open("rb") as file:
        begins = file.read(9)[8:] == b"{"
    return begins and 2 <= _header_length(path) <= path.stat().st_size - 8


def _header_length(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")


def _open_safetensors(path: Path) -> WeightsFile:
    """The library checks that header and data fit each other and the file."""
    import safetensors

    if _header_length(path) > MOST_HEADER:
        raise MisfitError("the file's header is larger than that of any ResNet: check the URI")
    try:
        opened: Any = safetensors.safe_open(str(path), framework="np")
        names = list(opened.keys())
        if len(names) > MOST_TENSORS:
            raise MisfitError("the file has more tensors than any ResNet: check the URI")
        root = {name: _safe_entry(opened, name) for name in names}
        metadata = opened.metadata() or {}
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise MisfitError(
            f"the safetensors file is damaged or cut off ({error}): put it there again"
        ) from error
    return WeightsFile("safetensors", root, dict(metadata))


def _safe_entry(opened: Any, name: str) -> Entry:
    described = opened.get_slice(name)
    kind = SAFE_TYPES.get(described.get_dtype(), described.get_dtype().lower())

    def load() -> Array:
        import ml_dtypes  # noqa: F401  makes NumPy know bfloat16 by its name

        if kind not in FLOATS | WHOLE:
            raise _unreadable(kind)
        return _as_floats(opened.get_tensor(name))

    return Entry(kind, tuple(described.get_shape()), load)


def _converted(value: Any, entry: Callable[[Tensor], Entry]) -> Any:
    """The containers that weights lie in, three deep; a value may hold itself."""
    return _deep(value, entry, depth=4)


def _deep(value: Any, entry: Callable[[Tensor], Entry], *, depth: int) -> Any:
    if isinstance(value, Tensor):
        return entry(value)
    if isinstance(value, Mapping) and depth:
        return {key: _deep(item, entry, depth=depth - 1) for key, item in value.items()}
    return value


def _strided(tensor: Tensor, data: bytearray) -> Array:
    numbers = _numbers(tensor.kind, data)
    if not tensor.length:
        return np.zeros(tensor.shape, numbers.dtype)
    strides = tuple(step * numbers.itemsize for step in tensor.strides)
    view = np.lib.stride_tricks.as_strided(numbers, tensor.shape, strides, writeable=False)
    return np.array(view)


def _numbers(kind: str, data: bytearray) -> Array:
    """Half and bfloat16 lose nothing as FP32; double is rounded."""
    if kind not in FLOATS | WHOLE:
        raise _unreadable(kind)
    if kind == "bfloat16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return _as_floats(np.frombuffer(data, (FLOATS | WHOLE)[kind]))


def _as_floats(numbers: Array) -> Array:
    if numbers.dtype.kind in "iub":
        return numbers
    with np.errstate(over="ignore"):
        return numbers.astype("<f4")


def _unreadable(kind: str) -> MisfitError:
    return MisfitError(f"the weights are of type {kind}: save them as float32, float16 or bfloat16")
