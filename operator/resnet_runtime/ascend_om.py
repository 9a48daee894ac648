"""Triton model over pyACL: serves an OM, made by ATC, on an Ascend NPU.

Mounted as /models/<model>/1/model.py. Triton makes one TritonPythonModel for each instance, each in
its own process; instance i runs on chip i mod chip_count (ids inside a pod are 0..n-1).
config.pbtxt gives: model_file, batch_sizes, chip_count, soc_version.
Run so far on a simulator of pyACL only.
"""

from __future__ import annotations

from typing import Any, List, Sequence

from resnet_runtime.batching import Admitted, gather, profile_for
from resnet_runtime.model_common import BatchModel, RunError
from resnet_runtime.offline_model import OfflineModel, check_batch, load_error, match
from resnet_runtime.pyacl import FATAL, Acl, AclError


class TritonPythonModel(BatchModel):
    """What Triton's Python backend calls."""

    def load(self) -> None:
        settings = self.settings
        device = settings.instance_index % settings.numbers("chip_count")[0]
        try:
            model = OfflineModel(
                Acl(),
                settings.parameter("model_file"),
                device=device,
                soc_version=settings.parameter("soc_version"),
            )
        except AclError as error:
            raise load_error(error, instance=settings.instance_index) from error
        check_batch(model.profiles, settings)
        rows = model.profiles[-1]
        self._inputs = match("input", settings.inputs, model.inputs, rows=rows)
        self._outputs = match("output", settings.outputs, model.outputs, rows=rows)
        self._model = model

    def run(self, admitted: Sequence[Admitted]) -> List[Any]:
        """Execute the requests as one batch; the arrays are valid until the next run."""
        try:
            return self._run(admitted)
        except AclError as error:
            raise RunError(
                str(error), code=str(error.code), detail=error.recent, fatal=error.code in FATAL
            ) from error

    def _run(self, admitted: Sequence[Admitted]) -> List[Any]:
        self._model.use_context()
        rows = sum(request.rows for request in admitted)
        profile = profile_for(rows, self._model.profiles)
        for index, buffer in enumerate(self._inputs):
            gather(admitted, index, into=buffer.rows)
            buffer.rows[rows:profile] = 0
            buffer.upload(profile)
        self._model.set_batch(profile)
        self._model.execute()
        for buffer in self._outputs:
            buffer.download(rows)
        return [buffer.rows[:rows] for buffer in self._outputs]

    def finalize(self) -> None:
        try:
            self._model.close()
        except AclError:
            return  # the process ends, and the driver cleans up after it
