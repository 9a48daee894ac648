"""The reference: the source model, unquantized, in ONNX Runtime on this container's processors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.runtime_error import read_failure

if TYPE_CHECKING:
    from pathlib import Path

MAX_THREADS = 4
DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class Reference:
    """`run` gives the logits [n, classes] of a batch of any size."""

    def __init__(self, model: Path | bytes, *, output: str) -> None:
        self._wanted = output
        self._session = open_session(model)
        self._input = self._session.get_inputs()[0]
        outputs = self._session.get_outputs()
        # ATC keeps names; where the author declared others, it is the first of two dimensions.
        flat = [one.name for one in outputs if one.shape is not None and len(one.shape) == 2]
        names = [one.name for one in outputs]
        self._output = [output] if output in names else flat[:1]
        if not self._output or self._input.type not in DTYPES:
            raise failed("the source model is no classifier of pictures", "")
        batch = self._input.shape[0]
        self._fixed = batch if isinstance(batch, int) else None

    @property
    def name(self) -> str:
        return str(self._input.name)

    @property
    def dims(self) -> tuple[int | None, ...]:
        """The input without its batch; None for what the file leaves open."""
        return tuple(size if isinstance(size, int) else None for size in self._input.shape[1:])

    def like(self, model: Any) -> Reference:
        """Another model (ONNX) with the same input and output."""
        return Reference(model.SerializeToString(), output=self._wanted)

    def run(self, batch: Any) -> Any:
        size = self._fixed or len(batch)
        parts = [self._run(batch[start : start + size]) for start in range(0, len(batch), size)]
        return np.concatenate(parts)

    def _run(self, batch: Any) -> Any:
        rows = len(batch)
        values = batch.astype(DTYPES[self._input.type])
        if self._fixed is not None and rows < self._fixed:
            missing = np.zeros((self._fixed - rows, *values.shape[1:]), values.dtype)
            values = np.concatenate([values, missing])
        try:
            (logits,) = self._session.run(self._output, {self._input.name: values})
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise failed("ONNX Runtime cannot run the source model", str(error)) from error
        return logits[:rows]


def open_session(model: Path | bytes) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(MAX_THREADS, len(os.sched_getaffinity(0)))
    # Triton beside us needs the processors that waiting threads would burn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        source = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise failed("ONNX Runtime cannot load the source model", str(error)) from error


def failed(sentence: str, cause: str) -> JobError:
    text, advice = f"the gate's reference: {sentence}", "bring an ONNX file that it can run"
    if cause:
        failure = read_failure(cause)
        text = f"{text}{failure.place}: {failure.reason}"
    return JobError(Reason.UNSUPPORTED_MODEL, f"{text}; {advice}", detail=cause)
