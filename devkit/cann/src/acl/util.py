"""acl.util: addresses of bytes and arrays."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np


def bytes_to_ptr(data: bytes) -> int:
    """The address of the object's own memory; it must be kept alive by the caller."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def ptr_to_bytes(address: int, size: int) -> bytes:
    return ctypes.string_at(address, size)


def numpy_to_ptr(array: np.ndarray[Any, Any]) -> int:
    return int(array.ctypes.data)


numpy_contiguous_to_ptr = numpy_to_ptr


def ptr_to_numpy(address: int, shape: tuple[int, ...], type_number: int) -> Any:
    """A view, not a copy. `type_number` is numpy's: 11 float32, 23 float16, 2 uint8, 7 int64."""
    dtype = next(np.dtype(c) for c in np.typecodes["All"] if np.dtype(c).num == type_number)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
    return memory.view(dtype).reshape(shape)
