"""AIPP in front of a network: the file, its checks, and the arithmetic of all four formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
import pytest
from tests.unit.devkit.cann.networks import Chip, convert, reference, small_network, through_aipp

if TYPE_CHECKING:
    from pathlib import Path

MEAN = (129.304, 124.07, 112.434)
STD = (68.17, 65.392, 70.418)
HALF = 4e-3
"""What half precision may cost: 1/8 of a level around 255, divided by the smallest std."""
R1 = """
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
NORMALISE = "".join(
    f"min_chn_{i}: {MEAN[i]!r} var_reci_chn_{i}: {1 / STD[i]:.16f} " for i in range(3)
)


def config(**fields: object) -> str:
    """An aipp_op of 16 x 18 pixels; a field of None is left out."""
    given = {
        "aipp_mode": "static",
        "input_format": "RGB888_U8",
        "src_image_size_w": 18,
        "src_image_size_h": 16,
        **fields,
    }
    return "aipp_op { " + " ".join(f"{k}: {v}" for k, v in given.items() if v is not None) + " }"


def rgb(height: int = 16, width: int = 18, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def normalised(picture: np.ndarray) -> np.ndarray:
    """(x - mean) * (1 / std) in double precision, [C,H,W]."""
    value = (picture.astype(np.float64) - MEAN) * (1 / np.array(STD))
    return value.transpose(2, 0, 1)


CROP = {"crop": "true", "load_start_pos_w": 4, "load_start_pos_h": 2}


def test_rgb_with_crop(workdir: Path) -> None:
    picture = rgb()
    text = config(**CROP, crop_size_w=12, crop_size_h=10).replace(" }", f" {NORMALISE}}}")
    seen = through_aipp(workdir, text, picture, (10, 12))
    assert np.abs(seen - normalised(picture[2:12, 4:16])).max() < HALF
    assert np.array_equal(seen, seen.astype(np.float16)), "AIPP puts out half precision"


def test_crop_without_a_size_is_the_networks(workdir: Path) -> None:
    seen = through_aipp(workdir, config(**CROP), rgb(), (10, 12))
    assert np.array_equal(seen, rgb()[2:12, 4:16].transpose(2, 0, 1))


def test_crop_that_is_not_switched_on_is_inert(workdir: Path) -> None:
    """R1's file has four such lines, which would be illegal otherwise."""
    lines = {"load_start_pos_w": 10, "load_start_pos_h": 20, "crop_size_w": 18, "crop_size_h": 16}
    assert through_aipp(workdir, config(**lines), rgb(), (16, 18)).shape == (3, 16, 18)


def test_bgr(workdir: Path) -> None:
    seen = through_aipp(workdir, config(rbuv_swap_switch="true"), rgb(), (16, 18))
    assert np.array_equal(seen, rgb()[:, :, ::-1].transpose(2, 0, 1))


ORDERS = [
    ("XRGB", "true", "false", "X first: the usual setting"),
    ("XBGR", "true", "true", "X first, blue before red"),
    ("RGBX", "false", "false", "X last"),
    ("BGRX", "false", "true", "X last, blue before red"),
]


@pytest.mark.parametrize(("order", "swap_ax", "swap_rb", "reason"), ORDERS)
def test_four_channels(workdir: Path, order: str, swap_ax: str, swap_rb: str, reason: str) -> None:
    picture = rgb()
    planes = {
        **dict(zip("RGB", picture.transpose(2, 0, 1), strict=True)),
        "X": picture[:, :, 0] + 1,
    }
    packed = np.stack([planes[letter] for letter in order], axis=2)
    text = config(
        input_format="XRGB8888_U8", ax_swap_switch=swap_ax, rbuv_swap_switch=swap_rb
    ).replace(" }", f" {NORMALISE}}}")
    seen = through_aipp(workdir, text, packed, (16, 18))
    assert np.abs(seen - normalised(picture)).max() < HALF, reason


def test_grey(workdir: Path) -> None:
    grey = rgb()[:, :, :1]
    text = config(input_format="YUV400_U8", min_chn_0=0.5, var_reci_chn_0=0.25)
    seen = through_aipp(workdir, text, grey, (16, 18), channels=1)
    assert np.abs(seen[0] - (grey[:, :, 0] - 0.5) * 0.25).max() < HALF * 16


FULL_RANGE = {
    "csc_switch": "true",
    **{
        f"matrix_r{i // 3}c{i % 3}": value
        for i, value in enumerate((256, 0, 359, 256, -88, -183, 256, 454, 0))
    },
    "input_bias_0": 0,
    "input_bias_1": 128,
    "input_bias_2": 128,
}
BT601 = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])


@pytest.mark.parametrize("swapped", [False, True], ids=["NV12", "NV21"])
def test_yuv420(workdir: Path, *, swapped: bool) -> None:
    random = np.random.default_rng(5)
    luma = random.integers(60, 190, (16, 18), np.uint8)
    chroma = random.integers(100, 156, (8, 9, 2), np.uint8)
    stored = chroma[:, :, ::-1] if swapped else chroma
    picture = np.concatenate([luma, stored.reshape(8, 18)])[:, :, None]
    yuv = np.dstack([luma, chroma.repeat(2, 0).repeat(2, 1)]).astype(np.int64)
    swap = {"rbuv_swap_switch": "true"} if swapped else {}
    plain = config(input_format="YUV420SP_U8", **FULL_RANGE, **swap)
    matrix = np.array([256, 0, 359, 256, -88, -183, 256, 454, 0]).reshape(3, 3)
    whole = np.clip((yuv - (0, 128, 128)) @ matrix.T >> 8, 0, 255)
    seen = through_aipp(workdir, plain, picture, (16, 18))
    assert np.array_equal(seen, whole.transpose(2, 0, 1)), "whole numbers, shifted by 8"
    seen = through_aipp(workdir, plain.replace(" }", f" {NORMALISE}}}"), picture, (16, 18))
    exact = normalised((yuv - (0, 128, 128)) @ BT601.T)
    assert np.abs(seen - exact).max() < 1.5 / min(STD) + HALF, "a level and half precision"


def test_yuv_has_a_narrow_range_by_default(workdir: Path) -> None:
    white = np.concatenate([np.full((16, 18), 235), np.full((8, 18), 128)]).astype(np.uint8)
    text = config(input_format="YUV420SP_U8", csc_switch="true")
    seen = through_aipp(workdir, text, white[:, :, None], (16, 18))
    assert seen.min() >= 254


def test_padding_comes_last(workdir: Path) -> None:
    pads = {"padding": "true", "left_padding_size": 2, "top_padding_size": 1, "padding_value": 7.5}
    fields = {**CROP, "crop_size_w": 12, "crop_size_h": 10, **pads, "var_reci_chn_0": 0.5}
    seen = through_aipp(workdir, config(**fields), rgb(), (11, 14))
    assert (seen[:, 0] == 7.5).all()
    assert (seen[:, :, :2] == 7.5).all()
    assert np.array_equal(seen[0, 1:, 2:], rgb()[2:12, 4:16, 0] * np.float32(0.5))


class Refusal(NamedTuple):
    """A file that ATC refuses."""

    reason: str
    text: str
    says: str
    code: str = "E10052"


REFUSALS = [
    Refusal("a full-width colon", R1.replace("w: 32", "w：32"), 'Expected ":"', "E19005"),
    Refusal("an unknown field", config(crop_w=3), "crop_w", "E19005"),
    Refusal("a field twice", "aipp_op { crop: true crop: true }", "multiple", "E19005"),
    Refusal("no number", config(load_start_pos_w="x"), "integer", "E19005"),
    Refusal("a fraction in mean_chn", config(mean_chn_0=123.675), "integer", "E19005"),
    Refusal("a brace missing", "aipp_op { crop: true", '"}"', "E19005"),
    Refusal("nothing", "", "no aipp_op"),
    Refusal("no mode", config(aipp_mode=None), "aipp_mode must be configured"),
    Refusal("an empty mode", config(aipp_mode="undefined"), "aipp_mode must be configured"),
    Refusal("no format", config(input_format=None), "Input format of AIPP conf is undefined"),
    Refusal("a format of other chips", config(input_format="YUYV_U8"), "YUYV_U8"),
    Refusal("a source too wide", config(src_image_size_w=4097), "src_image_size_w is 4097"),
    Refusal("a source of one column", config(src_image_size_w=1), "[2, 4096] or 0"),
    Refusal(
        "an odd source", config(input_format="YUV420SP_U8", src_image_size_w=17), "must be even"
    ),
    Refusal(
        "an odd crop",
        config(input_format="YUV420SP_U8", crop="true", load_start_pos_w=1),
        "must be even",
    ),
    Refusal(
        "a crop outside", config(crop="true", load_start_pos_w=9, crop_size_w=12), "is 21, more"
    ),
    Refusal("a size that is not the network's", config(), "the model takes 12 of 12"),
    Refusal("resize", config(resize="true"), "resize is reserved"),
    Refusal("too much padding", config(padding="true", left_padding_size=33), "[0, 32]"),
    Refusal("a mean above 255", config(mean_chn_1=256), "mean_chn_1 is 256"),
    Refusal("a bias above 255", config(input_bias_0=256), "input_bias_0 is 256"),
    Refusal(
        "a reciprocal twice",
        config().replace(" }", " var_reci_chn_0: 1.0 var_reci_chn_0: 1.0 }"),
        "var_reci_chn_0 can not be configed repeatedly",
    ),
    Refusal("an input that is not there", config(related_input_rank=1), "related_input_rank is 1"),
    Refusal(
        "more channels than AIPP makes",
        config(input_format="YUV400_U8", src_image_size_w=12, src_image_size_h=12),
        "takes 3 channels; AIPP gives 1",
    ),
    Refusal(
        "dynamic without a size", config(aipp_mode="dynamic"), "max_src_image_size must greater"
    ),
    Refusal(
        "dynamic", config(aipp_mode="dynamic", max_src_image_size=9), "does not simulate", "E10055"
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.reason)
def test_refuses(workdir: Path, capsys: pytest.CaptureFixture[str], case: Refusal) -> None:
    (workdir / "aipp.conf").write_text(case.text)
    assert convert("--input_shape=input:1,3,12,12", "--insert_op_conf=aipp.conf") == 255
    out = capsys.readouterr().out
    assert f"\n{case.code}: [PID: " in out
    assert case.says in out


def test_the_file_must_be_there(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert("--input_shape=input:1,3,12,12", "--insert_op_conf=gone.conf") == 255
    assert "E13000" in capsys.readouterr().out


R1_SHAPE = "--input_shape=input:24,3,32,32"


def r1_network() -> onnx.ModelProto:
    """The small network at R1's size."""
    model = small_network()
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = 32
    return model


def test_a_chip_takes_bytes(workdir: Path, chip: Chip) -> None:
    """R1: batch 24, uint8 NHWC through pyACL."""
    onnx.save(r1_network(), str(workdir / "r1.onnx"))
    (workdir / "aipp.conf").write_text(R1)
    flags = ("--insert_op_conf=aipp.conf", "--enable_small_channel=1")
    assert convert(R1_SHAPE, *flags, model="r1.onnx") == 0
    chip.open()
    model, desc = chip.load("net.om")
    mdl = chip.acl.mdl
    dims = {"name": "input", "dimCount": 4, "dims": [24, 32, 32, 3]}
    assert mdl.get_input_dims(desc, 0) == (dims, 0)
    assert (mdl.get_input_data_type(desc, 0), mdl.get_input_format(desc, 0)) == (4, 1)
    assert mdl.get_input_size_by_index(desc, 0) == 24 * 32 * 32 * 3
    inputs, (source,), outputs, (target,) = chip.datasets(desc)
    batch = np.stack([rgb(32, 32, seed) for seed in range(24)])
    chip.upload(source, batch)
    assert mdl.execute(model, inputs, outputs) == 0
    wanted = reference(
        r1_network(), np.stack([normalised(picture) for picture in batch]).astype(np.float32)
    )
    assert np.abs(chip.download(target, (24, 5)) - wanted).max() < 3e-2


def test_with_several_batch_sizes(workdir: Path, chip: Chip) -> None:
    onnx.save(r1_network(), str(workdir / "r1.onnx"))
    (workdir / "aipp.conf").write_text(R1)
    flags = ("--insert_op_conf=aipp.conf", "--dynamic_batch_size=1,4")
    assert convert("--input_shape=input:-1,3,32,32", *flags, model="r1.onnx") == 0
    chip.open()
    model, desc = chip.load("net.om")
    assert chip.acl.mdl.get_input_dims(desc, 0)[0]["dims"] == [-1, 32, 32, 3]
    inputs, (source, _), outputs, (target,) = chip.datasets(desc)
    batch = np.stack([rgb(32, 32, seed) for seed in range(4)])
    chip.upload(source, batch)
    assert chip.acl.mdl.set_dynamic_batch_size(model, inputs, 1, 1) == 0
    assert chip.acl.mdl.execute(model, inputs, outputs) == 0
    wanted = reference(r1_network(), normalised(batch[0])[None].astype(np.float32))
    assert np.abs(chip.download(target, (4, 5))[:1] - wanted).max() < 3e-2
