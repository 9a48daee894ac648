"""acl.rt: devices, contexts, streams and memory."""

from __future__ import annotations

import ctypes
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from acl._codes import (
    BAD_DEVICE,
    BAD_PARAMETER,
    DEVICE_SETUP_FAILED,
    NO_CONTEXT,
    NO_DEVICE,
    OK,
    OUT_OF_MEMORY,
    RT_BAD_PARAMETER,
)
from acl._state import STATE, Context

HOST = 1
HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3
_POLICIES = range(6)


def get_device_count() -> tuple[int, int]:
    return len(STATE.devices.found), OK


def set_device(device_id: int) -> int:
    if code := _open(device_id):
        return code
    if device_id not in STATE.default_contexts:
        STATE.default_contexts[device_id] = STATE.handles.add(Context(device_id, default=True))
    STATE.thread.context = STATE.default_contexts[device_id]
    return OK


def _open(device_id: int) -> int:
    found = STATE.devices.found
    if not found:
        return STATE.fail(
            NO_DEVICE,
            "EE1001",
            "The argument is invalid. Reason: no device is visible to this process.",
            "Solution: Check that /dev/davinci* is mounted and ASCEND_VISIBLE_DEVICES is set.",
        )
    if not 0 <= device_id < len(found):
        return STATE.fail(
            BAD_DEVICE,
            "EE1001",
            f"The argument is invalid. Reason: there is no device {device_id} among {len(found)}.",
            "Solution: Count the devices of a process from 0.",
        )
    if not found[device_id].accessible:
        return STATE.fail(
            DEVICE_SETUP_FAILED,
            "EL9999",
            f"Inner Error! open device {device_id} failed: cannot open {found[device_id].node}",
        )
    return OK


def get_device() -> tuple[int, int]:
    context = STATE.context()
    return (context.device, OK) if context else (-1, NO_CONTEXT)


def reset_device(device_id: int) -> int:
    handle = STATE.default_contexts.pop(device_id, None)
    if handle is None:
        return BAD_DEVICE if not 0 <= device_id < len(STATE.devices.found) else OK
    STATE.handles.drop(handle, Context)
    return OK


def create_context(device_id: int) -> tuple[int, int]:
    if code := _open(device_id):
        return 0, code
    STATE.thread.context = STATE.handles.add(Context(device_id))
    return STATE.thread.context, OK


def set_context(context: int) -> int:
    if STATE.handles.get(context, Context) is None:
        return BAD_PARAMETER
    STATE.thread.context = context
    return OK


def get_context() -> tuple[int, int]:
    if STATE.context() is None:
        return 0, NO_CONTEXT
    return STATE.thread.context or 0, OK


def destroy_context(context: int) -> int:
    return STATE.handles.drop(context, Context)


@dataclass
class Stream:
    """Work in order, beside the thread that asked for it."""

    worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    pending: list[Future[int]] = field(default_factory=list)


def create_stream() -> tuple[int, int]:
    if STATE.context() is None:
        return 0, NO_CONTEXT
    return STATE.handles.add(Stream()), OK


def synchronize_stream(stream: int) -> int:
    found = STATE.handles.get(stream, Stream)
    if found is None:
        return BAD_PARAMETER
    codes = [future.result() for future in found.pending]
    found.pending.clear()
    return next(filter(None, codes), OK)


def destroy_stream(stream: int) -> int:
    if found := STATE.handles.get(stream, Stream):
        found.worker.shutdown()
    return STATE.handles.drop(stream, Stream)


def get_run_mode() -> tuple[int, int]:
    return HOST, OK


def get_mem_info(attribute: int) -> tuple[int, int, int]:
    """(free, total, ret); every kind of memory is the same here."""
    context = STATE.context()
    if context is None:
        return 0, 0, NO_CONTEXT
    if attribute not in range(1, 7):
        return 0, 0, BAD_PARAMETER
    device = STATE.devices.found[context.device]
    return device.free, device.limit, OK


def malloc(size: int, policy: int) -> tuple[int, int]:
    context = STATE.context()
    if context is None:
        return 0, NO_CONTEXT
    if size <= 0 or policy not in _POLICIES:
        return 0, BAD_PARAMETER
    address = STATE.memory.allocate(size, STATE.devices.found[context.device])
    return (address, OK) if address else (0, no_memory(size))


def no_memory(size: int) -> int:
    return STATE.fail(
        OUT_OF_MEMORY,
        "EL0004",
        f"The device has no room for {size} bytes.",
        "Possible Cause: Models and buffers of this process fill the device.",
        "Solution: Free some of them, or use a smaller batch.",
    )


def free(address: int) -> int:
    return OK if STATE.memory.free(address, on_device=True) else RT_BAD_PARAMETER


def malloc_host(size: int) -> tuple[int, int]:
    if STATE.context() is None:
        return 0, NO_CONTEXT
    if size <= 0:
        return 0, BAD_PARAMETER
    return STATE.memory.allocate(size, None), OK


def free_host(address: int) -> int:
    return OK if STATE.memory.free(address, on_device=False) else RT_BAD_PARAMETER


def memcpy(target: int, target_size: int, source: int, count: int, kind: int) -> int:
    """kind: 0 host to host, 1 to the device, 2 to the host, 3 on the device. Addresses of the
    device are checked; a real chip would stop with a page fault."""
    if STATE.context() is None:
        return NO_CONTEXT
    if not target or not source or count <= 0 or kind not in range(4):
        return BAD_PARAMETER
    on_device = STATE.memory.on_device
    wrong = count > target_size
    wrong |= kind in {HOST_TO_DEVICE, DEVICE_TO_DEVICE} and not on_device(target, count)
    wrong |= kind in {DEVICE_TO_HOST, DEVICE_TO_DEVICE} and not on_device(source, count)
    if wrong:
        return STATE.fail(
            RT_BAD_PARAMETER,
            "EE1001",
            f"The argument is invalid. Reason: memcpy of {count} bytes, destMax={target_size}, "
            f"kind={kind}: the size or an address is wrong.",
        )
    ctypes.memmove(target, source, count)
    return OK


def memset(target: int, target_size: int, value: int, count: int) -> int:
    if STATE.context() is None:
        return NO_CONTEXT
    if not target or count > target_size:
        return BAD_PARAMETER
    ctypes.memset(target, value, count)
    return OK
