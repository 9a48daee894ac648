"""compile(): a script and its input shapes in, a module that runs those shapes only out."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import torch

from torch_aie._device import NpuTensor, check_device, current_device, on_device, plain, soc_name
from torch_aie._enums import PrecisionPolicy


class Input:
    """The shape of one input: fixed, or between two."""

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        *,
        min_shape: Sequence[int] | None = None,
        max_shape: Sequence[int] | None = None,
        dtype: Any = torch.float32,
        format: Any = None,  # noqa: A002
    ) -> None:
        if (shape is None) == (min_shape is None or max_shape is None):
            raise ValueError("Input takes either shape, or min_shape and max_shape")
        self.low = tuple(shape if shape is not None else min_shape or ())
        self.high = tuple(shape if shape is not None else max_shape or ())
        if not self.fits(self.low):
            raise ValueError(f"min_shape {self.low} is not below max_shape {self.high}")
        self.dtype = dtype
        self.format = format

    def fits(self, shape: Sequence[int]) -> bool:
        return len(shape) == len(self.low) and all(
            low <= size <= high for low, size, high in zip(self.low, shape, self.high, strict=False)
        )

    def __str__(self) -> str:
        if self.low == self.high:
            return str(list(self.low))
        return f"{list(self.low)} to {list(self.high)}"


class Compiled:
    """What runs on one chip. `precision_policy` FP16 rounds weights and inputs, as a chip would."""

    def __init__(self, module: Any, inputs: Sequence[Input], *, device: int, half: bool) -> None:
        self._module, self._inputs, self._device, self._half = module, inputs, device, half

    def __call__(self, *tensors: Any) -> Any:
        return self.forward(*tensors)

    def forward(self, *tensors: Any) -> Any:
        if len(tensors) != len(self._inputs):
            raise RuntimeError(
                f"the compiled module takes {len(self._inputs)} input(s), {len(tensors)} were given"
            )
        values = [self._checked(i, tensor) for i, tensor in enumerate(tensors)]
        with torch.no_grad():
            answer = self._module(*values)
        parts = answer if isinstance(answer, (tuple, list)) else [answer]
        outputs = tuple(on_device(part.float(), self._device) for part in parts)
        return outputs if isinstance(answer, (tuple, list)) else outputs[0]

    def _checked(self, index: int, tensor: Any) -> Any:
        declared = self._inputs[index]
        if not isinstance(tensor, NpuTensor):
            raise RuntimeError(f"input {index} is on cpu, the module on npu")
        if tensor.npu_index != self._device:
            raise RuntimeError(
                f"input {index} is on npu:{tensor.npu_index}, the module on npu:{self._device}"
            )
        if not declared.fits(tensor.shape):
            raise RuntimeError(
                f"input {index} has the shape {list(tensor.shape)}; the module was compiled for "
                f"{declared}"
            )
        if tensor.dtype != declared.dtype:
            raise RuntimeError(
                f"input {index} is {tensor.dtype}; the module was compiled for {declared.dtype}"
            )
        value = plain(tensor)
        return value.half().float() if self._half else value


def compile(  # noqa: A001 - the real library's name
    module: Any,
    *,
    inputs: Sequence[Input],
    precision_policy: PrecisionPolicy = PrecisionPolicy.FP16,
    soc_version: str,
    optimization_level: int = 0,
    **_: Any,
) -> Compiled:
    """Compile a torch.jit script for the current device, which must be a `soc_version`."""
    device = current_device()
    check_device(device)
    if not isinstance(module, torch.jit.ScriptModule):
        raise TypeError(f"compile() takes a torch.jit.ScriptModule, not {type(module)}")
    if not isinstance(precision_policy, PrecisionPolicy):
        raise TypeError("precision_policy must be a PrecisionPolicy")
    if soc_version != soc_name():
        raise RuntimeError(
            f"soc_version {soc_version} does not match the device, which is {soc_name()}"
        )
    print(
        "[torch_aie] simulator: compiling for {} with {}".format(
            soc_version, ", ".join(str(one) for one in inputs)
        ),
        flush=True,
    )
    time.sleep(float(os.environ.get("SIMULATED_TORCH_AIE_SECONDS", "0")))
    half = precision_policy is PrecisionPolicy.FP16
    if half:
        for weights in module.parameters():
            weights.data = weights.data.half().float()
    frozen = torch.jit.freeze(module.eval())
    return Compiled(frozen, tuple(inputs), device=device, half=half)


def export_engine(*_: Any, **__: Any) -> bytes:
    raise NotImplementedError("the simulator makes no engine files")
