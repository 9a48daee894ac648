"""A loaded model: ONNX Runtime reads and writes the very memory that stands for the chip's."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from acl._codes import (
    AICPU_EXCEPTION,
    BAD_PARAMETER,
    EXECUTE_FAILED,
    INPUT_MISMATCH,
    OK,
    OUTPUT_MISMATCH,
)
from acl._dump import dumped_tensors, with_outputs
from acl._state import STATE, Buffer, Dataset
from ascend_simulator import om
from ascend_simulator.ortrun import RuntimeFailure, cpu_count, session

if TYPE_CHECKING:
    from acl._device import Device

MBATCH_INPUT = "ascend_mbatch_shape_data"
NUMPY = {
    0: np.float32, 1: np.float16, 2: np.int8, 3: np.int32, 4: np.uint8, 6: np.int16, 7: np.uint16,
    8: np.uint32, 9: np.int64, 10: np.uint64, 11: np.float64, 12: np.bool_,
}  # fmt: skip


class Model:
    """One load of an .om on one device."""

    def __init__(
        self, header: om.Header, graph: bytes, device: Device, charged: int, context: int | None
    ) -> None:
        self.header = header
        self.device = device
        self.charged = charged
        self.context = context
        self.batch = max(header.batches, default=0)
        """The profile set last; at first the largest. 0 for a static model."""
        threads = int(os.environ.get("SIMULATED_NPU_THREADS") or cpu_count())
        self.tensors = dumped_tensors(header, STATE.dump)
        graph = with_outputs(graph, [tensor for _, _, tensor in self.tensors])
        self.session = session(graph, threads=threads)
        self.runs = 0
        self.fails_every = int(os.environ.get("SIMULATED_NPU_FAILS_EVERY") or 0)
        self.delay = int(os.environ.get("SIMULATED_NPU_DELAY_MS") or 0) / 1000

    def run(self, binding: Any) -> int:
        """Execute, and write the intermediate results where a dump is asked for."""
        time.sleep(self.delay)
        for _, _, tensor in self.tensors:
            binding.bind_output(tensor, "cpu")
        self.session.run_with_iobinding(binding)
        if self.tensors:
            found = binding.copy_outputs_to_cpu()[-len(self.tensors) :]
            STATE.dump.write(self.header.model_name, self.runs, self.tensors, found)
        self.runs += 1
        if self.fails_every and self.runs % self.fails_every == 0:
            return STATE.fail(AICPU_EXCEPTION, "EE9999", "Inner Error! Aicpu kernel execute failed")
        return OK

    def output_shape(self, index: int) -> tuple[int, ...]:
        return self.shape(self.header.outputs[index], self.batch)

    def shape(self, tensor: om.Tensor, batch: int) -> tuple[int, ...]:
        """The tensor's shape at that batch; an output is described at the largest batch."""
        first, *rest = tensor.dims or (1,)
        if first == -1:
            return (batch, *rest)
        if tensor.follows_batch:
            return (first * batch // max(self.header.batches), *rest)
        return tensor.dims


def execute_model(model: Model, inputs: int, outputs: int) -> int:
    """Bind the buffers, run exactly the profile's rows."""
    given = STATE.handles.get(inputs, Dataset)
    wanted = STATE.handles.get(outputs, Dataset)
    if given is None or wanted is None:
        return BAD_PARAMETER
    batch = given.batch or max(model.header.batches, default=0)
    binding = model.session.io_binding()
    for dataset, tensors, bind, mismatch in (
        (given, model.header.inputs, binding.bind_input, INPUT_MISMATCH),
        (wanted, model.header.outputs, binding.bind_output, OUTPUT_MISMATCH),
    ):
        if len(dataset.buffers) != len(tensors):
            return _mismatch(mismatch, f"{len(dataset.buffers)} buffers for {len(tensors)} tensors")
        for handle, tensor in zip(dataset.buffers, tensors, strict=True):
            buffer = STATE.handles.get(handle, Buffer)
            if buffer is None:
                return BAD_PARAMETER
            if tensor.name == MBATCH_INPUT:
                continue
            shape = model.shape(tensor, batch)
            size = int(np.prod(shape, dtype=np.int64)) * om.ITEM_BYTES[tensor.dtype]
            if buffer.size < size or not STATE.memory.on_device(buffer.address, size):
                return _mismatch(mismatch, f"{tensor.name} needs {size} bytes on the device")
            bind(tensor.onnx_name, "cpu", 0, NUMPY[tensor.dtype], shape, buffer.address)
    try:
        return model.run(binding)
    except RuntimeFailure as error:
        return STATE.fail(EXECUTE_FAILED, "EE9999", f"Inner Error! {error}")


def _mismatch(code: int, reason: str) -> int:
    return STATE.fail(code, "E19999", f"Inner Error! {reason}")
