"""Triton model of a pipeline's last step: scores of the network in, probabilities out.

Mounted as /models/<model>-softmax/1/model.py; labels.txt stands beside config.pbtxt again, because
class_count asks the step that makes an output.
"""

from __future__ import annotations

from typing import Any, List, Sequence

import numpy as np

from resnet_runtime.batching import Admitted, gather
from resnet_runtime.model_common import BatchModel


class TritonPythonModel(BatchModel):
    """Rows of scores [N, classes], each to a row that sums to 1."""

    def load(self) -> None:
        """There is nothing to load."""

    def run(self, admitted: Sequence[Admitted]) -> List[Any]:
        (spec,) = self.settings.inputs
        rows = sum(request.rows for request in admitted)
        scores = np.empty((rows, *spec.dims), np.float64)
        gather(admitted, 0, into=scores)
        # The largest is taken off first: exp() of a large score is infinite.
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return [powers / powers.sum(axis=-1, keepdims=True)]
