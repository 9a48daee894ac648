"""What no server takes, whatever the model is: found before it is run. Called by `inspection`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import unsupported

if TYPE_CHECKING:
    from resnet_jobs.model.inspect import Tensor

MOST_NUMBERS = 1 << 28  # of one picture: a gibibyte of FP32, of which Triton takes two at most
TEXT = 8  # ONNX's number of a tensor of strings


def check_size(tensor: Tensor) -> None:
    """A picture of the model fits into a request."""
    if math.prod(tensor.dims) > MOST_NUMBERS:
        raise unsupported(
            f'one picture of input "{tensor.name}" has the shape {list(tensor.dims)}, more than '
            f"{MOST_NUMBERS:,} numbers: correct spec.conversion.inputShapes, or export the model "
            "with smaller pictures"
        )


def check_outputs(model: Any, *, cpu: bool) -> None:
    """Each output has a name of its own, and on a chip is made of numbers."""
    seen: set[str] = set()
    for value in model.graph.output:
        if value.name in seen:
            raise unsupported(
                f'the model has two outputs "{value.name}": export it with a name for each'
            )
        seen.add(value.name)
        if not cpu and value.type.tensor_type.elem_type == TEXT:
            raise unsupported(
                f'output "{value.name}" is text, which no chip computes: export the model with '
                "the scores as its output, and name the classes in spec.model.classLabels"
            )
