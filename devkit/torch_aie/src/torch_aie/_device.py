"""Which simulated chips this process has, and tensors that know on which of them they are.

As in devkit/cann: SIMULATED_NPU_SOC says which chip they are, ASCEND_VISIBLE_DEVICES holds the
physical ids, /dev/davinci<id> are the nodes; inside a pod ids count from 0.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

_current = [-1]
NO_DEVICE = 107001
_plain_to = torch.Tensor.to


def chips() -> list[Path]:
    """The device nodes in the order in which the process counts them."""
    folder = Path(os.environ.get("SIMULATED_NPU_DEVICE_DIR", "/dev"))
    text = os.environ.get("ASCEND_VISIBLE_DEVICES", "")
    return [folder / f"davinci{number}" for number in _ids(text)]


def _ids(text: str) -> list[int]:
    ids: set[int] = set()
    for part in filter(None, text.split(",")):
        if match := re.fullmatch(r"(\d+)-(\d+)", part):
            ids.update(range(int(match[1]), int(match[2]) + 1))
        elif match := re.fullmatch(r"(?:Ascend\w+-)?(\d+)", part):
            ids.add(int(match[1]))
    return sorted(ids)


def soc_name() -> str:
    return os.environ.get("SIMULATED_NPU_SOC", "")


def set_device(device: int) -> None:
    """Choose the chip of this process; the real library's first call."""
    check_device(device)
    _current[0] = device
    print(f"[torch_aie] device {device} is a simulated {soc_name()}", flush=True)


def check_device(device: int) -> None:
    found = chips()
    usable = 0 <= device < len(found) and os.access(found[device], os.R_OK | os.W_OK)
    if not usable:
        raise RuntimeError(
            f"aclrtSetDevice({device}) failed, error code is {NO_DEVICE}: the process has "
            f"{len(found)} device(s)"
        )


def current_device() -> int:
    if _current[0] < 0:
        raise RuntimeError("set_device() was not called: there is no current device")
    return _current[0]


def finalize() -> None:
    _current[0] = -1


class NpuTensor(torch.Tensor):
    """A tensor that is said to be on a chip; NumPy cannot see it there."""

    npu_index = -1

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"can't convert npu:{self.npu_index} device type tensor to numpy. Use Tensor.cpu() to "
            "copy the tensor to host memory first."
        )

    def __dlpack__(self, *_: Any, **__: Any) -> Any:
        raise BufferError(f"a tensor on npu:{self.npu_index} cannot be exported")

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        return plain(self).clone()


def plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_subclass(torch.Tensor)


def on_device(tensor: torch.Tensor, device: int) -> NpuTensor:
    """A copy, as the way to a chip makes one."""
    there: NpuTensor = plain(tensor).clone().as_subclass(NpuTensor)
    there.npu_index = device
    return there


def _to(self: torch.Tensor, *arguments: Any, **options: Any) -> Any:
    """`Tensor.to` that knows "npu:0", which torch alone refuses to read."""
    where = arguments[0] if arguments else options.get("device")
    if isinstance(where, str) and (match := re.fullmatch(r"npu(?::(\d+))?", where)):
        device = int(match[1] or 0)
        check_device(device)
        return on_device(self, device)
    if isinstance(self, NpuTensor) and str(where) == "cpu":
        return self.cpu()
    return _plain_to(self, *arguments, **options)


torch.Tensor.to = _to
