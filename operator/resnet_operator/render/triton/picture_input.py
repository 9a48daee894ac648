"""Which picture a pipeline makes for the model: its size, and how its bytes lie.

`picture_input` is called by `render.pipeline`, and by `plan.contract` to refuse a model that no
picture can be sent to. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from resnet_operator.api.serving.pipeline import Pipeline
from resnet_operator.errors import InvalidSpec
from resnet_operator.record.artifact import Artifact, TensorInfo
from resnet_operator.render.triton.config import output_types
from resnet_operator.resolve.resolved import Resolved

FIELD = "serving.pipeline"
# What clients call the file that they send.
PICTURE = "picture"


@dataclass(frozen=True, kw_only=True)
class PictureInput:
    """The model's input as a picture: the size that is sent, and how its bytes lie."""

    tensor: TensorInfo
    height: int
    width: int
    layout: str
    pixel_format: str = "RGB888"


def picture_input(*, resolved: Resolved, artifact: Artifact) -> PictureInput | None:
    """Return what pictures are made into; raises InvalidSpec for a model that takes none."""
    pipeline = resolved.spec.serving.pipeline
    if pipeline is None:
        return None
    if len(artifact.inputs) != 1:
        names = ", ".join(tensor.name for tensor in artifact.inputs)
        raise InvalidSpec(f"remove {FIELD}; the model has several inputs ({names})")
    if any(tensor.name == PICTURE for tensor in artifact.outputs):
        raise InvalidSpec(f"remove {FIELD}; an output of the model is called {PICTURE} already")
    found = sent_picture(resolved, artifact.inputs[0])
    _check_scale(pipeline, found.tensor)
    _check_size(pipeline, found)
    if pipeline.softmax:
        _check_softmax(artifact)
    return found


def sent_picture(resolved: Resolved, tensor: TensorInfo) -> PictureInput:
    """Return what is sent for a picture: to AIPP, or to the network itself."""
    return _sent_to_aipp(resolved, tensor) or _plain(tensor)


def _sent_to_aipp(resolved: Resolved, tensor: TensorInfo) -> PictureInput | None:
    conversion = resolved.spec.conversion
    preprocessing = conversion.preprocessing if conversion else None
    if preprocessing is None or preprocessing.source is None or not preprocessing.pixel_format:
        return None
    return PictureInput(
        tensor=tensor,
        height=preprocessing.source.height,
        width=preprocessing.source.width,
        layout="NHWC",
        pixel_format=preprocessing.pixel_format.value,
    )


def _plain(tensor: TensorInfo) -> PictureInput:
    """Return the input of a network that is sent colours as they are or scaled."""
    dims, kind = tensor.dims, tensor.data_type
    layout = tensor.layout or ("NCHW" if dims[:1] == (3,) else "NHWC")
    height, width, channels = (
        ((dims[1], dims[2], dims[0]) if layout == "NCHW" else dims) if len(dims) == 3 else (0, 0, 0)
    )
    if channels != 3 or height < 1 or width < 1 or kind not in {"FP32", "FP16", "UINT8"}:
        raise InvalidSpec(
            f"remove {FIELD}; the model's input {tensor.name}, {kind} {list(dims)}, is no picture "
            "of three colours and a fixed size"
        )
    return PictureInput(tensor=tensor, height=height, width=width, layout=layout)


def _check_scale(pipeline: Pipeline, tensor: TensorInfo) -> None:
    is_float = tensor.data_type != "UINT8"
    given = [name for name in ("mean", "std", "swap_red_blue") if getattr(pipeline, name)]
    if is_float and pipeline.mean is None and pipeline.std is None:
        raise InvalidSpec(
            f"write {FIELD}.mean and std, on the scale 0..255; the model's input {tensor.name} is "
            f"{tensor.data_type} and nothing else scales the picture"
        )
    if not is_float and given:
        raise InvalidSpec(
            f"remove mean, std and swapRedBlue from {FIELD}; the model's input {tensor.name} is "
            "UINT8: it takes the picture as it is"
        )


def _check_size(pipeline: Pipeline, found: PictureInput) -> None:
    short, longest = pipeline.resize_short_side, max(found.height, found.width)
    if short is not None and short < longest:
        raise InvalidSpec(
            f"raise {FIELD}.resizeShortSide to {longest} or more, or remove it; "
            f"{found.height}x{found.width} pixels are cut out of the resized picture"
        )


def _check_softmax(artifact: Artifact) -> None:
    output = output_types(artifact)[0]
    if output.data_type != "FP32" or len(output.dims) != 1 or output.dims[0] < 2:
        raise InvalidSpec(
            f"remove {FIELD}.softmax; the model's output {output.name}, {output.data_type} "
            f"{list(output.dims)}, is not one score for each class"
        )
