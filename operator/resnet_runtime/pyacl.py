"""pyACL, CANN's Python library, with exceptions in words and memory that numpy can see.

ascend_om.py uses it. Calls, their order and the codes: CANN's pyACL reference.
"""

from __future__ import annotations

import ctypes
from typing import Any, Dict, Optional, Tuple

import numpy as np

from resnet_runtime.settings import LoadError

HUGE_PAGES_FIRST = 0
HOST_TO_DEVICE = 1
DEVICE_TO_HOST = 2
RUN_MODE_HOST = 1

NUMPY_OF_ACL: Dict[int, Any] = {
    0: np.float32,
    1: np.float16,
    2: np.int8,
    3: np.int32,
    4: np.uint8,
    6: np.int16,
    7: np.uint16,
    8: np.uint32,
    9: np.int64,
    10: np.uint64,
    11: np.float64,
    12: np.bool_,
}

SENTENCES: Dict[int, str] = {
    100002: "ACL was initialised twice in this process",
    100003: "the OM file is damaged, or newer than the CANN of the serving image",
    100017: "the inputs do not match the OM",
    100018: "the outputs do not match the OM",
    107001: "the pod has no such chip: see the device plugin and the driver on the node",
    145011: "the OM refuses the inputs' size",
    145013: "the OM was not compiled for this batch size",
    145021: "the OM refuses the inputs' shape",
    200002: "the pod has no such chip: see the device plugin and the driver on the node",
    207004: "no NPU is visible in the pod: see the device plugin and the driver on the node",
    207005: "a resource of the NPU is used up: fewer instancesPerChip",
    500002: "CANN's graph engine failed; the OM may be of another CANN version",
    507008: "the OM was compiled for another chip: set spec.accelerator.chip to the pod's",
    507010: "the NPU's heartbeat is lost",
    507011: "the NPU failed to execute the model",
    507014: "an AI Core timed out",
    507015: "an AI Core stopped with an exception",
    507018: "an AI CPU of the NPU stopped with an exception",
    507033: "the NPU could not be set up: driver mount, permission on /dev/davinci*, or in use",
    507899: "the NPU driver reports an internal error",
    545001: "CANN cannot load the OM; it may be of a newer CANN version",
    545601: "the model did not finish in time",
}
NO_MEMORY = {200000, 207001, 207018, 245000, 245001, 245002}
FATAL = {507010, 507011, 507014, 507015, 507899}


class AclError(Exception):
    """A pyACL call failed: what it means, the call, the code; `recent` has CANN's own words."""

    def __init__(self, code: int, call: str, recent: str) -> None:
        sentence = SENTENCES.get(code, "the call failed")
        if code in NO_MEMORY:
            sentence = "the NPU's memory is full: fewer instancesPerChip, or smaller batch sizes"
        super().__init__("{} ({}: ACL error {})".format(sentence, call, code))
        self.code = code
        self.recent = recent


class Acl:
    """pyACL with exceptions: `acl("rt.set_device", 0)` calls acl.rt.set_device(0)."""

    def __init__(self) -> None:
        try:
            import acl
        except ImportError as error:
            raise LoadError(
                "the serving image has no pyACL for its Python ({}); AscendOM needs an image with "
                "CANN, whose folder is on PYTHONPATH".format(error)
            ) from error
        self._acl = acl

    def raw(self, name: str, *args: Any) -> Any:
        """The bare result, for the calls that cannot fail."""
        function: Any = self._acl
        for part in name.split("."):
            function = getattr(function, part)
        return function(*args)

    def __call__(self, name: str, *args: Any) -> Any:
        """The value, after the status that comes alone or last was found to be 0."""
        result = self.raw(name, *args)
        value, code = result if isinstance(result, tuple) else (None, result)
        if code != 0:
            raise AclError(code, "acl." + name, self.recent_error())
        return value

    def sizes(self, name: str, *args: Any) -> Optional[Tuple[int, int]]:
        """The two numbers of a call that only informs; None where this CANN does not know it."""
        try:
            first, second, code = self.raw(name, *args)
        except (AttributeError, TypeError, ValueError):
            return None
        known = code == 0 and all(isinstance(size, int) and size >= 0 for size in (first, second))
        return (first, second) if known else None

    def recent_error(self) -> str:
        if not hasattr(self._acl, "get_recent_err_msg"):  # CANN before 6
            return ""
        return " ".join(str(self._acl.get_recent_err_msg() or "").split())


class Buffer:
    """Memory for one tensor on the device, and page-locked memory for it on the host.

    Where the process runs on the chip's own cores (boards such as the 310B's), both are the same.
    """

    def __init__(self, acl: Acl, size: int, *, on_host: bool) -> None:
        self._acl = acl
        self.size = size
        self.device = acl("rt.malloc", size, HUGE_PAGES_FIRST)
        self.host = acl("rt.malloc_host", size) if on_host else self.device
        self.data = acl.raw("create_data_buffer", self.device, size)
        self.rows: Any = None

    def view(self, dtype: Any, shape: Tuple[int, ...]) -> None:
        """Look at the host's memory as rows of `shape`, as many as fit."""
        memory = np.ctypeslib.as_array((ctypes.c_uint8 * self.size).from_address(self.host))
        row = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        count = self.size // row
        self.rows = memory[: count * row].view(dtype).reshape((count, *shape))

    def clear(self) -> None:
        """Zeros in the whole of it, on the device too."""
        ctypes.memset(self.host, 0, self.size)
        if self.device != self.host:
            self._acl("rt.memcpy", self.device, self.size, self.host, self.size, HOST_TO_DEVICE)

    def upload(self, count: int) -> None:
        self._copy(self.device, self.host, count, HOST_TO_DEVICE)

    def download(self, count: int) -> None:
        self._copy(self.host, self.device, count, DEVICE_TO_HOST)

    def _copy(self, target: int, source: int, count: int, kind: int) -> None:
        if target != source:
            self._acl("rt.memcpy", target, self.size, source, self.rows[:count].nbytes, kind)

    def free(self) -> None:
        self._acl("destroy_data_buffer", self.data)
        self._acl("rt.free", self.device)
        if self.host != self.device:
            self._acl("rt.free_host", self.host)
