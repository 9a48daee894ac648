"""CANN's dump files: what the simulator writes, what a chip would, and what is neither."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_runtime.dump import DumpError, check_room, read_dump
from resnet_runtime.settings import LoadError

sys.path.append(str(Path(__file__).parents[3] / "devkit/cann/src"))
from acl._dump import encode


def varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def file_of(message: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(message)) + message + data


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint8, np.int32, np.int64])
def test_what_the_simulator_writes_is_read(dtype: Any) -> None:
    value = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(dtype)
    name, found = read_dump(encode("/4/body/Conv", value))
    assert name == "/4/body/Conv"
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, value)


def test_the_chips_own_layout_becomes_nchw() -> None:
    """NC1HWC0: channels in blocks of 16, the last one filled up."""
    value = np.random.default_rng(1).standard_normal((2, 32, 3, 4)).astype(np.float16)
    blocks = value.reshape(2, 2, 16, 3, 4).transpose(0, 1, 3, 4, 2)
    data = np.ascontiguousarray(blocks).tobytes()
    shape = b"".join(field(1, size) for size in blocks.shape)
    output = field(1, 2) + field(2, 3) + field(3, shape) + field(6, len(data))
    message = field(1, b"1.0") + field(3, output) + field(6, b"fused_op")
    name, found = read_dump(file_of(message, data))
    assert name == "fused_op", "CANN's own name, where there is no other"
    np.testing.assert_array_equal(found, value)


def test_inputs_come_first_and_are_passed_over() -> None:
    data = np.array([1, 2], np.float32).tobytes()
    shape = field(1, varint(2))  # packed
    message = (
        field(4, field(1, 1) + field(5, 12))
        + field(3, field(1, 1) + field(3, shape) + field(6, len(data)))
        + field(6, b"op")
    )
    _, found = read_dump(file_of(message, b"x" * 12 + data))
    np.testing.assert_array_equal(found, [1, 2])


GOOD = encode("a", np.ones((1, 2), np.float32))


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("empty", b""),
        ("cut off in the length", GOOD[:5]),
        ("cut off in the message", GOOD[:20]),
        ("cut off in the numbers", GOOD[:-1]),
        ("another file", b"\x7fELF" + b"\0" * 60),
        ("no output", file_of(field(1, b"1.0"))),
        ("a type numpy has not", file_of(field(3, field(1, 27) + field(3, b"")) + field(6, b"a"))),
        ("a number without end", file_of(b"\xff" * 12)),
    ],
)  # fmt: skip
def test_what_is_no_dump(reason: str, data: bytes) -> None:
    with pytest.raises(DumpError):
        read_dump(data)


@pytest.mark.parametrize(
    ("profile", "elements", "fits"),
    [(24, 11_000_000, True), (64, 11_000_000, False), (1, 50_000_000, True), (8, 0, True)],
)
def test_a_dump_that_would_fill_the_disk_is_refused(
    profile: int, elements: int, fits: bool
) -> None:
    if fits:
        check_room(profile, elements)
        return
    with pytest.raises(LoadError, match="a smaller batch size"):
        check_room(profile, elements)
