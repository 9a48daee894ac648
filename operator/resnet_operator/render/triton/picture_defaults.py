"""What `serving.pipeline` leaves out, as the publisher of the model says it.

Called by `plan.artifact.contract` before anything is rendered: the filled block is what a revision
is named and made of, so it stays as it is while the record does. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from resnet_contract.words import Interpolation, PixelFormat
from resnet_operator.api.preprocessing import Preprocessing
from resnet_operator.api.serving.pipeline import Pipeline
from resnet_operator.errors import InvalidSpec
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.publisher import Publisher
from resnet_operator.render.triton.picture_input import PictureInput, sent_picture
from resnet_operator.resolve.resolved import Resolved

FLOATS = {"FP32", "FP16"}


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


def pictures_of_gate(resolved: Resolved, artifact: Artifact) -> dict[str, Any]:
    """Return what is added to the gate's order of pictures: to `preprocessing` what `prepare` has
    filled in for AIPP, or `pictures` of a network of floats; nothing where nobody says it.
    """
    pipeline = resolved.spec.serving.pipeline or Pipeline()
    serving = resolved.spec.serving.model_copy(update={"pipeline": pipeline})
    asked = replace(resolved, spec=resolved.spec.model_copy(update={"serving": serving}))
    filled = with_publisher(asked, artifact).spec.serving.pipeline or pipeline
    said = filled.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        include={"mean", "std", "swap_red_blue", "resize_short_side", "interpolation"},
    )
    if len(artifact.inputs) != 1:
        return {}
    conversion = resolved.spec.conversion
    declared = conversion.preprocessing if conversion else None
    if declared is None:
        is_float = artifact.inputs[0].data_type in FLOATS
        return {"pictures": said} if is_float and {"mean", "std"} & said.keys() else {}
    if artifact.publisher is None or declared.raw_aipp is not None:
        return {}
    added = _of_aipp(declared, artifact.publisher) | _sent_by(said)
    return {"preprocessing": added} if added else {}


def _of_aipp(declared: Preprocessing, publisher: Publisher) -> dict[str, Any]:
    """Return what the chip was given of the publisher's, where the object is silent."""
    found: dict[str, Any] = {}
    channels = 1 if declared.pixel_format is PixelFormat.YUV400 else 3
    fits = len(publisher.mean) in {1, channels}
    if fits and not declared.mean and not declared.std:
        times = channels // len(publisher.mean)
        found = {"mean": list(publisher.mean) * times, "std": list(publisher.std) * times}
    if publisher.swap_red_blue and declared.swap_red_blue is None and channels != 1:
        found["swapRedBlue"] = True
    return found


def _sent_by(said: dict[str, Any]) -> dict[str, Any]:
    return {key: said[key] for key in ("resizeShortSide", "interpolation") if key in said}


def _scale(pipeline: Pipeline, publisher: Publisher, sent: PictureInput) -> dict[str, Any]:
    """Return mean and std, which only go together, and the order of the colours."""
    if sent.tensor.data_type == "UINT8":
        return {}  # the chip scales, or the network itself
    found: dict[str, Any] = {}
    if pipeline.mean is None and pipeline.std is None and publisher.mean:
        found = {"mean": list(publisher.mean), "std": list(publisher.std)}
    if pipeline.swap_red_blue is None and publisher.swap_red_blue:
        found["swap_red_blue"] = True
    return found


def _framing(pipeline: Pipeline, publisher: Publisher, sent: PictureInput) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if pipeline.interpolation is None and publisher.interpolation is not None:
        found["interpolation"] = Interpolation(publisher.interpolation)
    side = (sent.height, sent.width)
    # AIPP cuts the network's part out of what is sent.
    network = publisher.input_size if sent.tensor.data_type == "UINT8" else side
    short = publisher.short_side(network, sent=side)
    if pipeline.resize_short_side is None and short is not None:
        found["resize_short_side"] = short
    return found
