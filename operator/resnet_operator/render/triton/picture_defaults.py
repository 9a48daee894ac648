"""What `serving.pipeline` leaves out, as the publisher of the model says it.

Called by `plan.artifact.contract` before anything is rendered: the filled block is what a revision
is named and made of, so it stays as it is while the record does. Pure.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from resnet_operator.api.serving.pipeline import Interpolation, Pipeline
from resnet_operator.errors import InvalidSpec
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.publisher import Publisher
from resnet_operator.render.triton.picture_input import PictureInput, sent_picture
from resnet_operator.resolve.resolved import Resolved

LONGEST = 4096
ROUNDING = 0.01  # a part has six digits: 224 / 0.965518 is a little less than 232


def with_publisher(resolved: Resolved, artifact: Artifact) -> Resolved:
    """Return the same with the pipeline's gaps filled; what the object says stays."""
    pipeline, publisher = resolved.spec.serving.pipeline, artifact.publisher
    if pipeline is None or publisher is None or len(artifact.inputs) != 1:
        return resolved
    try:
        sent = sent_picture(resolved, artifact.inputs[0])
    except InvalidSpec:
        return resolved  # told by `picture_input`
    found = {**_scale(pipeline, publisher, sent), **_framing(pipeline, publisher, sent)}
    if not found:
        return resolved
    spec = resolved.spec
    serving = spec.serving.model_copy(update={"pipeline": pipeline.model_copy(update=found)})
    return replace(resolved, spec=spec.model_copy(update={"serving": serving}))


def _scale(pipeline: Pipeline, publisher: Publisher, sent: PictureInput) -> dict[str, Any]:
    """Return mean and std, which only go together, and the order of the colours."""
    if sent.tensor.data_type == "UINT8":
        return {}  # the chip scales, or the network itself
    found: dict[str, Any] = {}
    if pipeline.mean is None and pipeline.std is None and publisher.has_scale:
        found = {"mean": list(publisher.mean), "std": list(publisher.std)}
    if pipeline.swap_red_blue is None and publisher.swap_red_blue:
        found["swap_red_blue"] = True
    return found


def _framing(pipeline: Pipeline, publisher: Publisher, sent: PictureInput) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if pipeline.interpolation is None and publisher.interpolation is not None:
        found["interpolation"] = Interpolation(publisher.interpolation)
    short = _short_side(publisher, sent)
    if pipeline.resize_short_side is None and short is not None:
        found["resize_short_side"] = short
    return found


def _short_side(publisher: Publisher, sent: PictureInput) -> int | None:
    """Return it where it is larger than what is sent; AIPP cuts the network's part out of that."""
    side = (sent.height, sent.width)
    network = publisher.input_size if sent.tensor.data_type == "UINT8" else side
    if publisher.crop_pct is None or network is None or network[0] != network[1]:
        return None
    short = math.floor(network[0] / publisher.crop_pct + ROUNDING)
    return short if max(side) < short <= LONGEST else None
