"""Triton model over ONNX Runtime: the runtime of chip CPU.

Mounted as /models/<model>/1/model.py. Triton makes one TritonPythonModel for each instance, each in
its own process. config.pbtxt gives: model_file, intra_op_threads.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from resnet_runtime.batching import Admitted, gather, profile_for
from resnet_runtime.model_common import BatchModel, RunError
from resnet_runtime.onnxruntime_session import open_session
from resnet_runtime.settings import LoadError, Settings


class TritonPythonModel(BatchModel):
    """One session; requests of one dynamic batch are run as one."""

    def load(self) -> None:
        self._session = open_session(
            self.settings.parameter("model_file"),
            threads=self.settings.numbers("intra_op_threads")[0],
        )
        check_contract(self._session, self.settings)
        batch = self._session.get_inputs()[0].shape[0]
        # A file whose batch is fixed runs at that size only; an open one at any.
        self._fixed = [batch] if isinstance(batch, int) else []
        if self._fixed and self.settings.max_batch_size > batch:
            raise LoadError(
                "the model's batch is fixed at {}; config.pbtxt says max_batch_size {}".format(
                    batch, self.settings.max_batch_size
                )
            )
        self._names = [spec.name for spec in self.settings.outputs]
        self._staging: Dict[int, Any] = {}

    def run(self, admitted: Sequence[Admitted]) -> List[Any]:
        rows = sum(request.rows for request in admitted)
        size = profile_for(rows, self._fixed) if self._fixed else rows
        feeds = {}
        for index, spec in enumerate(self.settings.inputs):
            array = admitted[0].arrays[index]
            if len(admitted) > 1 or size != rows:  # alone, it is run in Triton's own memory
                array = self._stage(index, array.shape[1:], size)
                gather(admitted, index, into=array)
                array[rows:] = 0
            feeds[spec.name] = array
        try:
            outputs = self._session.run(self._names, feeds)
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise RunError("ONNX Runtime: {}".format(error)) from error
        return [output[:rows] for output in outputs]

    def _stage(self, index: int, shape: Tuple[int, ...], size: int) -> Any:
        """The first `size` rows of a buffer kept for input `index`: fresh pages cost more."""
        buffer = self._staging.get(index)
        if buffer is None or buffer.shape[1:] != shape:
            rows = max([self.settings.max_batch_size, *self._fixed])
            buffer = np.empty((rows, *shape), self.settings.inputs[index].dtype)
            self._staging[index] = buffer
        return buffer[:size]


def check_contract(session: Any, settings: Settings) -> None:
    """Refuse at load what would fail at every request: names that the model has not."""
    for kind, specs, values in (
        ("input", settings.inputs, session.get_inputs()),
        ("output", settings.outputs, session.get_outputs()),
    ):
        names = [value.name for value in values]
        for spec in specs:
            if spec.name not in names:
                raise LoadError(
                    'config.pbtxt names the {} "{}"; the model has: {}'.format(
                        kind, spec.name, ", ".join(names)
                    )
                )
