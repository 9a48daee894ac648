"""What the library remembers in a process: handles, contexts, allocations, the last error.

pyACL is a C library with global state, so this is the one global of the simulator. Handles are
plain ints, as in the real module.
"""

from __future__ import annotations

import bisect
import itertools
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

from acl._codes import BAD_PARAMETER, OK
from acl._device import Device, Devices

Kind = TypeVar("Kind")
ALIGNMENT = 64


@dataclass
class Buffer:
    """A data buffer: memory somebody else owns."""

    address: int
    size: int


@dataclass
class Context:
    """A context on a device; `default` is the one that set_device makes."""

    device: int
    default: bool = False


@dataclass
class Dataset:
    """Data buffers in the order of a model's inputs or outputs."""

    buffers: list[int] = field(default_factory=list)
    batch: int | None = None


class Handles:
    """Ints for objects. An int of another kind of object is as unknown as a freed one."""

    def __init__(self) -> None:
        self._next = itertools.count(0x5000_0000_1000, 0x40)
        self._objects: dict[int, Any] = {}

    def add(self, value: object) -> int:
        handle = next(self._next)
        self._objects[handle] = value
        return handle

    def get(self, handle: int, kind: type[Kind]) -> Kind | None:
        found = self._objects.get(handle)
        return found if isinstance(found, kind) else None

    def drop(self, handle: int, kind: type[object]) -> int:
        if self.get(handle, kind) is None:
            return BAD_PARAMETER
        del self._objects[handle]
        return OK


@dataclass
class _Block:
    memory: np.ndarray
    size: int
    device: Device | None


class Memory:
    """Device and page-locked host memory: both are ordinary memory, at the address handed out."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._addresses: list[int] = []

    def allocate(self, size: int, device: Device | None) -> int:
        """0 when the device is full. The runtime rounds up to 32 bytes and adds 32."""
        charged = (size + 31) // 32 * 32 + 32
        if device and not device.take(charged):
            return 0
        memory = np.empty(charged + ALIGNMENT, np.uint8)
        address = -(-memory.ctypes.data // ALIGNMENT) * ALIGNMENT
        self._blocks[address] = _Block(memory, charged, device)
        bisect.insort(self._addresses, address)
        return address

    def free(self, address: int, *, on_device: bool) -> bool:
        block = self._blocks.get(address)
        if not block or (block.device is not None) != on_device:
            return False
        if block.device:
            block.device.give(block.size)
        del self._blocks[address]
        self._addresses.remove(address)
        return True

    def on_device(self, address: int, size: int) -> bool:
        """Do these bytes lie within one allocation of a device?"""
        index = bisect.bisect_right(self._addresses, address) - 1
        if index < 0:
            return False
        start = self._addresses[index]
        block = self._blocks[start]
        return block.device is not None and address + size <= start + block.size


class _Thread(threading.local):
    context: int | None = None
    message: str = ""


class State:
    """Everything of one process."""

    def __init__(self) -> None:
        self.initialised = False
        self.finalised = False
        self.devices = Devices.of_environment()
        self.handles = Handles()
        self.memory = Memory()
        self.default_contexts: dict[int, int] = {}
        self.models: dict[int, Any] = {}
        self.model_ids = itertools.count(1)
        self.thread = _Thread()
        self.dump: Any = None
        """An acl._dump.Dump while a configuration asks for one."""

    def context(self) -> Context | None:
        """The calling thread's context: every thread sets its own."""
        handle = self.thread.context
        return None if handle is None else self.handles.get(handle, Context)

    def fail(self, code: int, letters: str, sentence: str, *details: str) -> int:
        """Remember what get_recent_err_msg shall say, and return the code."""
        now = datetime.now().strftime("%Y-%m-%d-%H:%M:%S.%f")  # noqa: DTZ005 - as CANN prints it
        stamp = f"[PID: {os.getpid()}] {now[:-3]}.{now[-3:]}"
        lines = [f"{letters}: {stamp} {sentence}", *(f"        {line}" for line in details)]
        self.thread.message = "\n".join([*lines, "        (CANN simulator)"])
        return code

    def take_message(self) -> str:
        message, self.thread.message = self.thread.message, ""
        return message


STATE = State()
