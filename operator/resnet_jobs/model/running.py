"""A model in ONNX Runtime: noise in, answers out, or the node that failed and why.

Called by `batch`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason, unsupported
from resnet_jobs.base.runtime_error import RuntimeFailure, read_failure
from resnet_jobs.model.inspect import ModelInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    Values = dict[str, np.ndarray[Any, Any]]

EXPORT_HINT = 'export it with an open batch, torch.onnx.export(…, dynamic_axes={"input": {0: "N"}})'
HINT = f"{EXPORT_HINT}, or set spec.conversion.batchSizes to the one number it was exported with"
NO_BATCH_HINT = "run it with ONNX Runtime to see whether the file is sound, and export it again"
FATAL = 4  # of ONNX Runtime's log: what fails is said in a sentence, not by its C++
NUMPY_KINDS = {
    "FP16": "float16", "FP32": "float32", "FP64": "float64", "BOOL": "bool",
    "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
}  # fmt: skip


class NotRowsError(JobError):
    """An output that has not one row for each picture of `batch`."""

    def __init__(self, message: str, *, batch: int) -> None:
        super().__init__(Reason.UNSUPPORTED_MODEL, message)
        self.batch = batch


class Running:
    """One model, loaded; `UnsupportedModel` where ONNX Runtime cannot."""

    def __init__(self, model: Any) -> None:
        import onnxruntime

        self._data = model.SerializeToString()
        onnxruntime.set_default_logger_severity(FATAL)
        try:
            self._session = _session(self._data)
        except Exception as error:
            failure = read_failure(str(error))
            raise JobError(
                Reason.UNSUPPORTED_MODEL,
                f"ONNX Runtime {onnxruntime.__version__} cannot load the model{failure.place}: "
                f"{failure.reason}; {NO_BATCH_HINT}",
                detail=str(error),
            ) from error

    def declared_shapes(self) -> dict[str, Any]:
        return {output.name: output.shape for output in self._session.get_outputs()}

    def run(self, feed: Values, *, batch: int, first: bool = False) -> Values:
        """The outputs by name. `UnsupportedModel` when the model cannot take that many pictures.

        `first`: no other size has worked before, so that it may not be for the batch.
        """
        import numpy as np

        names = [output.name for output in self._session.get_outputs()]
        hint = NO_BATCH_HINT if first and batch == 1 else HINT
        shown = f"{batch} picture{'s' * (batch > 1)}"
        try:
            answers = self._session.run(names, feed)
        except Exception as error:
            failure = self._failure_of_the_file(names, feed) or read_failure(str(error))
            text = f"the model fails with {shown}{failure.place}: {failure.reason}"
            raise JobError(
                Reason.UNSUPPORTED_MODEL, f"{text}; {hint}", detail=str(error)
            ) from error
        for name, answer in zip(names, answers, strict=True):
            if not isinstance(answer, np.ndarray):
                raise unsupported(f'output "{name}" is not a tensor: export the model with tensors')
            if answer.shape[:1] != (batch,):
                raise NotRowsError(
                    f'output "{name}" has shape {list(answer.shape)} for {shown}: its '
                    f"first dimension must be the batch; {EXPORT_HINT if batch == 1 else HINT}",
                    batch=batch,
                )
            if answer.size and answer.dtype.kind == "f" and np.isnan(answer).all():
                raise unsupported(
                    f'output "{name}" is no number (NaN) for {shown} of noise: the weights are '
                    "damaged, or of a training that diverged; bring another file"
                )
        return dict(zip(names, answers, strict=True))

    def _failure_of_the_file(self, names: Sequence[str], feed: Values) -> RuntimeFailure | None:
        """The failure at the file's own node: optimizing fuses nodes, and gives them names that
        nobody finds in the file.
        """
        try:
            _session(self._data, optimized=False).run(names, feed)
        except Exception as error:
            return read_failure(str(error))
        return None


def _session(data: bytes, *, optimized: bool = True) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(4, os.cpu_count() or 1)
    options.log_severity_level = FATAL
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def pictures(inputs: Sequence[ModelInput], count: int, *, seed: int) -> Values:
    """Noise, the same in every run: a refusal must be repeatable."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return {
        entry.tensor.name: _noise(rng, (count, *entry.tensor.dims), entry.tensor.data_type)
        for entry in inputs
    }


def _noise(rng: Any, shape: tuple[int, ...], data_type: str) -> Any:
    """Bytes are brightness; other whole numbers are often indices, of which 0 and 1 are safe."""
    kind = NUMPY_KINDS[data_type]
    if data_type in ("FP16", "FP32", "FP64"):
        return rng.standard_normal(shape).astype(kind)
    return rng.integers(0, 256 if data_type == "UINT8" else 2, shape).astype(kind)
