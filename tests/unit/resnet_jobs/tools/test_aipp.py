"""AIPP: the text that ATC gets, the pictures that clients send, and what is refused before."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from tests.unit.resnet_jobs.conftest import ORDER

from resnet_contract.order import parse_job
from resnet_contract.types import Preprocessing
from resnet_jobs import pictures
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.model.inspect import Tensor
from resnet_jobs.tools import aipp_raw
from resnet_jobs.tools.aipp import Aipp, plan_aipp

IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
CIFAR = {"mean": [129.304, 124.07, 112.434], "std": [68.17, 65.392, 70.418]}
R1 = """\
aipp_op {
    aipp_mode: static
    related_input_rank: 0
    input_format: RGB888_U8
    src_image_size_w: 32
    src_image_size_h: 32
    csc_switch: false
    rbuv_swap_switch: false
    min_chn_0: 129.304
    min_chn_1: 124.07
    min_chn_2: 112.434
    var_reci_chn_0: 0.0146692093296171
    var_reci_chn_1: 0.0152923905064840
    var_reci_chn_2: 0.0142009145388963
}
"""
RESNET50 = """\
aipp_op {
    aipp_mode: static
    related_input_rank: 0
    input_format: RGB888_U8
    src_image_size_w: 256
    src_image_size_h: 256
    crop: true
    load_start_pos_w: 16
    load_start_pos_h: 16
    crop_size_w: 224
    crop_size_h: 224
    csc_switch: false
    rbuv_swap_switch: false
    min_chn_0: 123.675
    min_chn_1: 116.28
    min_chn_2: 103.53
    var_reci_chn_0: 0.0171247538316637
    var_reci_chn_1: 0.0175070028011204
    var_reci_chn_2: 0.0174291938997821
}
"""
MODEL_ZOO_R1 = """\
aipp_op{
    aipp_mode:static
    input_format : RGB888_U8  # as the recipe has it
    src_image_size_w : 32, src_image_size_h : 32
    load_start_pos_w : 10
    load_start_pos_h : 20
    crop_size_w :32
    crop_size_h : 32
    csc_switch : false
    min_chn_0 : 129.304
    min_chn_1 : 124.07
    min_chn_2 : 112.434
    var_reci_chn_0: 0.0146692093296171
    var_reci_chn_1: 0.0152923905064840
    var_reci_chn_2: 0.0142009145388963
}"""


def picture(channels: int = 3, size: tuple[int, int] = (32, 32)) -> Tensor:
    return Tensor("input", "FP32", (channels, *size))


def block(**changes: Any) -> Preprocessing:
    source = {"height": 32, "width": 32}
    fields = {"pixelFormat": "RGB888", "source": source, **changes}
    job = parse_job(json.dumps({**ORDER, "preprocessing": fields}))
    assert job.preprocessing
    return job.preprocessing


def raw(text: str) -> Preprocessing:
    job = parse_job(json.dumps({**ORDER, "preprocessing": {"rawAIPP": text}}))
    assert job.preprocessing
    return job.preprocessing


def fields(plan: Aipp) -> dict[str, str]:
    (only,) = aipp_raw.parse_aipp(plan.text)
    return dict(only.fields)


# --- the vectors --------------------------------------------------------------------------------


def test_the_text_of_the_cifar_recipe() -> None:
    plan = plan_aipp(block(**CIFAR), [picture()])
    assert plan.text == R1
    assert plan.inputs == (Tensor("input", "UINT8", (32, 32, 3), "NHWC"),)


def test_the_text_of_the_imagenet_recipe() -> None:
    source = {"height": 256, "width": 256}
    plan = plan_aipp(block(source=source, **IMAGENET), [picture(size=(224, 224))])
    assert plan.text == RESNET50
    assert plan.inputs == (Tensor("input", "UINT8", (256, 256, 3), "NHWC"),)
    named = block(source=source, crop={"height": 224, "width": 224}, **IMAGENET)
    assert plan_aipp(named, [picture(size=(224, 224))]).text == RESNET50


def test_nothing_to_compute_is_said_in_full() -> None:
    """The default of a reciprocal that is not there differs between descriptions: 0 or 1."""
    found = fields(plan_aipp(block(), [picture()]))
    assert [found[f"min_chn_{i}"] for i in range(3)] == ["0.0"] * 3
    assert [float(found[f"var_reci_chn_{i}"]) for i in range(3)] == [1.0] * 3


# --- pixel formats ------------------------------------------------------------------------------

FORMATS: list[tuple[str, str, int, tuple[int, ...], str | None]] = [
    ("three bytes a pixel", "RGB888", 3, (32, 30, 3), "NHWC"),
    ("a byte unused", "XRGB8888", 3, (32, 30, 4), "NHWC"),
    ("luma, then half-size colours", "YUV420SP", 3, (48, 30, 1), None),
    ("grey", "YUV400", 1, (32, 30, 1), "NHWC"),
]


@pytest.mark.parametrize(
    ("reason", "pixel_format", "channels", "dims", "layout"), FORMATS, ids=[f[1] for f in FORMATS]
)
def test_what_clients_send(
    reason: str, pixel_format: str, channels: int, dims: tuple[int, ...], layout: str | None
) -> None:
    wish = block(pixelFormat=pixel_format, source={"height": 32, "width": 30})
    plan = plan_aipp(wish, [picture(channels, (28, 28))])
    assert plan.inputs == (Tensor("input", "UINT8", dims, layout),), reason
    shown = np.zeros((32, 30, 3), dtype=np.uint8)
    assert pictures.encode_pixels(shown, pixel_format).shape == dims
    assert fields(plan)["input_format"] == f"{pixel_format}_U8"


def arithmetic(found: dict[str, str], sent: Any) -> Any:
    """What AIPP makes of the pixels: its documented formula, for the fields that we write."""
    kind = found["input_format"]
    pixels = sent.astype(np.int64)
    if kind == "YUV420SP_U8":
        height, width = sent.shape[0] * 2 // 3, sent.shape[1]
        pairs = pixels[height:].reshape(height // 2, width // 2, 2)
        pixels = np.concatenate([pixels[:height], pairs.repeat(2, 0).repeat(2, 1)], axis=-1)
    if found.get("ax_swap_switch") == "true":
        pixels = np.concatenate([pixels[..., 1:], pixels[..., :1]], axis=-1)
    if found["rbuv_swap_switch"] == "true":
        pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[-1])]]
    if found.get("crop") == "true":
        top, left = int(found["load_start_pos_h"]), int(found["load_start_pos_w"])
        height, width = int(found["crop_size_h"]), int(found["crop_size_w"])
        pixels = pixels[top : top + height, left : left + width]
    if found["csc_switch"] == "true":
        matrix = np.array([int(found[name]) for name in aipp_raw.MATRIX]).reshape(3, 3)
        bias = np.array([int(found[f"input_bias_{i}"]) for i in range(3)])
        pixels = np.clip((pixels - bias) @ matrix.T >> 8, 0, 255)
    channels = 1 if kind == "YUV400_U8" else 3
    mean = [float(found[f"min_chn_{i}"]) for i in range(channels)]
    scale = [float(found[f"var_reci_chn_{i}"]) for i in range(channels)]
    return ((pixels[..., :channels] - mean) * scale).transpose(2, 0, 1)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("pixel_format", ["RGB888", "XRGB8888", "YUV420SP"])
def test_the_chip_and_the_calibration_see_the_same(pixel_format: str, swap: bool) -> None:
    """A colour swapped in one of the two would be found by nobody but a bad accuracy."""
    wish = block(
        pixelFormat=pixel_format,
        source={"height": 34, "width": 38},
        swapRedBlue=swap,
        **CIFAR,
    )
    plan = plan_aipp(wish, [picture(size=(32, 32))])
    shown = np.random.default_rng(3).integers(0, 256, (34, 38, 3), dtype=np.uint8)
    ours = arithmetic(fields(plan), pictures.encode_pixels(shown, pixel_format))
    np.testing.assert_allclose(ours, pictures.normalise(shown, wish, (32, 32)), atol=1e-4)


def test_full_range_colours() -> None:
    found = fields(plan_aipp(block(pixelFormat="YUV420SP"), [picture()]))
    matrix = [int(found[name]) for name in aipp_raw.MATRIX]
    assert matrix == [256, 0, 359, 256, -88, -183, 256, 454, 0]
    assert [found[f"input_bias_{i}"] for i in range(3)] == ["0", "128", "128"]
    assert found["rbuv_swap_switch"] == "false"


# --- which input --------------------------------------------------------------------------------


def test_the_picture_among_several_inputs() -> None:
    inputs = [Tensor("scale", "FP32", (4,)), picture()]
    plan = plan_aipp(block(), inputs)
    assert fields(plan)["related_input_rank"] == "1"
    assert plan.inputs[0] == inputs[0]
    assert plan.inputs[1].data_type == "UINT8"


REFUSED: list[tuple[str, dict[str, Any], list[Tensor], str]] = [
    (
        "a model of numbers",
        {},
        [Tensor("x", "FP32", (4,))],
        "needs an input of [3, height, width]; the model has x [4]",
    ),
    (
        "channels last",
        {},
        [Tensor("x", "FP32", (32, 32, 3))],
        "export it with its channels first",
    ),
    ("grey for colours", {"pixelFormat": "YUV400"}, [picture()], "choose a pixelFormat that fits"),
    ("two pictures", {}, [picture(), Tensor("b", "FP32", (3, 32, 32))], "write rawAIPP"),
    ("means for four", {"mean": [9] * 4}, [picture()], "mean has 4 number(s)"),
    ("one deviation", {"std": [9]}, [picture()], "std has 1 number(s)"),
    (
        "a grey swap",
        {"pixelFormat": "YUV400", "swapRedBlue": True},
        [picture(1)],
        "swapRedBlue needs colours",
    ),
    (
        "small pictures",
        {"source": {"height": 32, "width": 32}},
        [picture(size=(224, 224))],
        "source is 32x32, but the model takes 224x224 of it, and AIPP does not resize",
    ),
    (
        "another crop",
        {"crop": {"height": 16, "width": 16}},
        [picture()],
        "crop is 16x16, but input input takes 32x32, and AIPP does not resize",
    ),
]


@pytest.mark.parametrize(
    ("reason", "changes", "inputs", "want"), REFUSED, ids=lambda v: str(v)[:40]
)
def test_refused(reason: str, changes: dict[str, Any], inputs: list[Tensor], want: str) -> None:
    with pytest.raises(JobError) as caught:
        plan_aipp(block(**changes), inputs)
    assert caught.value.reason == Reason.INVALID_SPEC, reason
    assert want in caught.value.message
    assert len(caught.value.message) <= 300


# --- raw texts ----------------------------------------------------------------------------------


def test_a_recipe_as_it_is() -> None:
    """Its crop lines do nothing without `crop: true`; ATC gets the text as it was written."""
    plan = plan_aipp(raw(MODEL_ZOO_R1), [picture()])
    assert plan.text == MODEL_ZOO_R1 + "\n"
    assert plan.inputs == (Tensor("input", "UINT8", (32, 32, 3), "NHWC"),)
    same = plan.preprocessing
    assert same is not None
    assert same.crop is None
    assert same.mean == (129.304, 124.07, 112.434)
    assert all(map(math.isclose, same.std, (68.17, 65.392, 70.418)))


@pytest.mark.parametrize("pixel_format", ["RGB888", "XRGB8888", "YUV420SP", "YUV400"])
@pytest.mark.parametrize("swap", [False, True])
def test_our_own_text_read_back(pixel_format: str, swap: bool) -> None:
    grey = pixel_format == "YUV400"
    wish = block(
        pixelFormat=pixel_format,
        source={"height": 40, "width": 48},
        crop={"top": 2, "left": 4, "height": 32, "width": 32},
        swapRedBlue=swap and not grey,
        **({} if grey else CIFAR),
    )
    inputs = [picture(1 if grey else 3)]
    plan = plan_aipp(wish, inputs)
    again = plan_aipp(raw(plan.text), inputs)
    assert again.inputs == plan.inputs
    assert again.preprocessing is not None
    shown = np.random.default_rng(5).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        pictures.normalise(shown, again.preprocessing, (32, 32)),
        pictures.normalise(shown, wish, (32, 32)),
        atol=1e-4,
    )


def test_sizes_left_to_the_model() -> None:
    text = "aipp_op { aipp_mode: static input_format: RGB888_U8 src_image_size_w: 0 }"
    assert plan_aipp(raw(text), [picture(size=(24, 20))]).inputs[0].dims == (24, 20, 3)


def test_padding_makes_the_models_size() -> None:
    text = (
        "aipp_op { aipp_mode: static input_format: RGB888_U8 src_image_size_w: 28 "
        "src_image_size_h: 30 padding: true left_padding_size: 2 right_padding_size: 2 "
        "top_padding_size: 1 bottom_padding_size: 1 }"
    )
    plan = plan_aipp(raw(text), [picture()])
    assert plan.inputs[0].dims == (30, 28, 3)
    assert plan.preprocessing is None, "fields know no padding"


def test_a_block_for_each_input() -> None:
    text = (
        "aipp_op { aipp_mode: static input_format: RGB888_U8 related_input_rank: 0 }\n"
        "aipp_op < aipp_mode: static; input_format: YUV400_U8; related_input_rank: 1 >"
    )
    plan = plan_aipp(raw(text), [picture(), Tensor("b", "FP32", (1, 8, 8))])
    assert [entry.dims for entry in plan.inputs] == [(32, 32, 3), (8, 8, 1)]


def one(text: str) -> str:
    return f"aipp_op {{ aipp_mode: static input_format: RGB888_U8 {text} }}"


RAW_REFUSED = [
    ("a published recipe", one("src_image_size_w\uff1a256"), "line 1 has the full-width character"),
    ("umlauts in a comment", "# f\u00fcr\n" + one(""), "write plain ASCII"),
    ("an empty file", "# nothing", "has no block"),
    ("no block", "aipp_mode: static", "stands outside of aipp_op"),
    ("no brace", "aipp_op aipp_mode: static", "aipp_op needs { after it"),
    ("no end", "aipp_op { aipp_mode: static", "a closing } is missing"),
    ("a mistyped field", one("var_reci_chan_0: 1"), '"var_reci_chan_0" is no field of AIPP'),
    ("no colon", one("crop true"), "crop needs a colon"),
    ("no value", "aipp_op { aipp_mode: }", "aipp_mode needs a colon and a value"),
    ("twice", one("crop: true crop: false"), "crop stands there twice"),
    ("dynamic", "aipp_op { aipp_mode: dynamic max_src_image_size: 9 }", "cannot send"),
    ("no mode", "aipp_op { input_format: RGB888_U8 }", "aipp_mode must be there"),
    ("no format", "aipp_op { aipp_mode: static }", "input_format is missing"),
    (
        "a raw sensor",
        "aipp_op { aipp_mode: static input_format: RAW10 }",
        "input_format is RAW10; write one of RGB888_U8",
    ),
    ("resizing", one("resize: true"), "AIPP does not resize"),
    ("too wide", one("src_image_size_w: 8192"), "write 2 to 4096"),
    ("a text for a number", one("src_image_size_w: wide"), "must be a whole number"),
    ("a number for a switch", one("resize: 7"), "must be true or false"),
    ("no such input", one("related_input_rank: 1"), "the model has 1 input(s)"),
    ("one input twice", one("") + one(""), "two aipp_op for one input"),
    (
        "odd YUV",
        "aipp_op { aipp_mode: static input_format: YUV420SP_U8 src_image_size_w: 31 }",
        "it must be even",
    ),
    ("too small", one("src_image_size_w: 16"), "gives pictures of 32x16, but input input takes"),
    (
        "a crop outside",
        one("crop: true load_start_pos_w: 1 crop_size_w: 32 crop_size_h: 32"),
        "the crop ends at 32x33",
    ),
]


@pytest.mark.parametrize(("reason", "text", "want"), RAW_REFUSED, ids=[r[0] for r in RAW_REFUSED])
def test_raw_refused(reason: str, text: str, want: str) -> None:
    with pytest.raises(JobError) as caught:
        plan_aipp(raw(text), [picture()])
    assert caught.value.reason == Reason.INVALID_SPEC, reason
    assert want in caught.value.message


def test_a_number_that_is_none() -> None:
    with pytest.raises(JobError, match="min_chn_0"):
        plan_aipp(raw(one("min_chn_0: much")), [picture()])
