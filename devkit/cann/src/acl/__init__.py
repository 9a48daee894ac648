"""A SIMULATOR of pyACL, CANN's Python library: `import acl` on machines without an NPU.

Same names, signatures, results and error codes as the real module (devkit/cann/README.md says
where each comes from); models run on the CPU with ONNX Runtime. A function that is not simulated
is missing, as a symbol would be. Which chips there are: _device.py.
"""

from __future__ import annotations

from pathlib import Path

from acl import _paths, mdl, rt, util
from acl._codes import (
    BAD_FILE,
    BAD_PARAMETER,
    NOT_INITIALISED,
    OK,
    REPEATED_FINALIZE,
    REPEATED_INIT,
)
from acl._dump import read_config
from acl._state import STATE, Buffer

__version__ = _paths.VERSION
__all__ = [
    "create_data_buffer",
    "destroy_data_buffer",
    "finalize",
    "get_data_buffer_addr",
    "get_data_buffer_size",
    "get_data_buffer_size_v2",
    "get_recent_err_msg",
    "get_soc_name",
    "init",
    "mdl",
    "rt",
    "update_data_buffer",
    "util",
]


def init(config_path: str | None = None) -> int:
    if STATE.initialised:
        return REPEATED_INIT
    if config_path and not Path(config_path).is_file():
        return BAD_FILE
    if config_path:
        STATE.dump = read_config(Path(config_path))
    STATE.initialised = True
    STATE.finalised = False
    return OK


def finalize() -> int:
    if STATE.finalised:
        return REPEATED_FINALIZE
    if not STATE.initialised:
        return NOT_INITIALISED
    STATE.initialised = False
    STATE.finalised = True
    STATE.dump = None
    return OK


def get_soc_name() -> str | None:
    return STATE.devices.soc_name or None


def get_recent_err_msg() -> str:
    """The thread's last error in words; reading it forgets it."""
    return STATE.take_message()


def create_data_buffer(address: int, size: int) -> int:
    return STATE.handles.add(Buffer(address, size))


def destroy_data_buffer(buffer: int) -> int:
    return STATE.handles.drop(buffer, Buffer)


def get_data_buffer_addr(buffer: int) -> int:
    found = STATE.handles.get(buffer, Buffer)
    return found.address if found else 0


def get_data_buffer_size_v2(buffer: int) -> int:
    found = STATE.handles.get(buffer, Buffer)
    return found.size if found else 0


get_data_buffer_size = get_data_buffer_size_v2


def update_data_buffer(buffer: int, address: int, size: int) -> int:
    found = STATE.handles.get(buffer, Buffer)
    if not found:
        return BAD_PARAMETER
    found.address, found.size = address, size
    return OK
