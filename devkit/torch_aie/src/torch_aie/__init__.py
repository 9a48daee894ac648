"""A simulator of TorchAIE: the names of `torch_aie` (later `mindietorch`), the arithmetic by torch.

No NPU and no Huawei software. compile() freezes the script by torch itself; tensors "on npu:i" are
ordinary ones that know their device, and whatever the real library refuses is refused here: other
shapes than compiled ones, tensors elsewhere, a chip that is not there or another. What is known of
the real library's words, and what is assumed, is in devkit/torch_aie/README.md.
"""

from __future__ import annotations

import sys

from torch_aie import _enums, npu
from torch_aie._compile import Input, compile, export_engine  # noqa: A004
from torch_aie._device import finalize, set_device

__version__ = "6.3.T200 (simulator)"
__all__ = ["Input", "_enums", "compile", "export_engine", "finalize", "npu", "set_device"]

sys.stderr.write(f"[torch_aie] {__version__}: no NPU, torch computes on the CPU\n")
