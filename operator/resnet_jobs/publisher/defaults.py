"""Where the publisher's facts become defaults of the Job: AIPP, calibration, sizes left open.

The object's own words stay: mean and std count as one, and are taken from the publisher only where
the object writes neither. The operator fills `serving.pipeline` by the same rules. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from resnet_contract.types import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resnet_jobs.publisher.facts import PublisherFacts

CHANNELS = {"RGB888": 3, "XRGB8888": 3, "YUV420SP": 3, "YUV400": 1}


def of_aipp(how: Preprocessing, facts: PublisherFacts) -> Preprocessing:
    """The block with its gaps filled. A raw text says everything itself."""
    if how.raw_aipp is not None:
        return how
    channels = CHANNELS[how.pixel_format]
    scale = _spread(facts, channels)
    if scale is not None and not how.mean and not how.std:
        how = replace(how, mean=scale[0], std=scale[1])
    if facts.swap_red_blue and not how.says_colours and channels == 3:
        how = replace(how, swap_red_blue=True)
    size = facts.input_size
    short = facts.short_side(size, sent=(how.source_height, how.source_width))
    return replace(how, short_side=short, interpolation=facts.interpolation or how.interpolation)


def of_network(facts: PublisherFacts, dims: Sequence[int]) -> Preprocessing | None:
    """How a picture becomes the input [3, height, width] of a network without AIPP; None where
    nobody says how it is scaled.
    """
    scale = _spread(facts, 3)
    if scale is None or len(dims) != 3 or dims[0] != 3:
        return None
    height, width = dims[1:]
    return Preprocessing(
        pixel_format="RGB888",
        source_height=height,
        source_width=width,
        crop=None,
        mean=scale[0],
        std=scale[1],
        swap_red_blue=bool(facts.swap_red_blue),
        raw_aipp=None,
        short_side=facts.short_side((height, width), sent=(height, width)),
        interpolation=facts.interpolation or "Bilinear",
    )


def input_shapes(
    model: Any, facts: PublisherFacts, declared: Mapping[str, Sequence[int]]
) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """(shapes, notes): the only picture input's open height and width, where the object is silent
    and the publisher is not. `model` is an ONNX.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if facts.input_size is None or len(inputs) != 1 or inputs[0].name in declared:
        return {}, []
    dims = [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in inputs[0].type.tensor_type.shape.dim
    ]
    if len(dims) != 4 or None not in dims[1:]:
        return {}, []
    height, width = facts.input_size
    for layout, channels in (((None, height, width), dims[1]), ((height, width, None), dims[3])):
        shape = tuple(channels if side is None else side for side in layout)
        if channels in (1, 3) and _fits(dims[1:], shape):
            note = f"{inputs[0].name} is {list(shape)} as its publisher says ({facts.source})"
            return {inputs[0].name: tuple(side or 0 for side in shape)}, [note]
    return {}, []


def _fits(own: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    return all(mine in (None, other) for mine, other in zip(own, wanted, strict=True))


def _spread(
    facts: PublisherFacts, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and std with one number for each channel."""
    if not facts.mean or not facts.std:
        return None
    if len(facts.mean) == 1:
        return facts.mean * channels, facts.std * channels
    return (facts.mean, facts.std) if len(facts.mean) == channels else None
