"""Pictures: decoded as people expect, cut as torchvision does it, scaled as AIPP does it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from resnet_contract.types import Crop, Preprocessing
from resnet_jobs import pictures
from resnet_jobs.pictures import PictureError

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def order(
    pixel_format: str = "RGB888", height: int = 32, width: int = 32, **changes: Any
) -> Preprocessing:
    fields: dict[str, Any] = {
        "pixel_format": pixel_format,
        "source_height": height,
        "source_width": width,
        "crop": None,
        "mean": (),
        "std": (),
        "swap_red_blue": False,
        "raw_aipp": None,
        **changes,
    }
    return Preprocessing(**fields)


def noise(height: int, width: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int, seed: int = 0) -> Any:
    """Colours that hardly differ between neighbours, as in photographs."""
    corners = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC))


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


# --- decode -------------------------------------------------------------------------------------

COLOURS = Image.fromarray(noise(4, 6))
TURNED = Image.Exif()
TURNED[0x0112] = 6  # the camera was held upright: turn by 90 degrees
SHALLOW = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2560
DECODED: list[tuple[str, bytes, Any]] = [
    ("plain colours", saved(COLOURS, "PNG"), np.asarray(COLOURS)),
    ("a bitmap", saved(COLOURS, "BMP"), np.asarray(COLOURS)),
    (
        "grey is repeated",
        saved(COLOURS.convert("L"), "PNG"),
        np.asarray(COLOURS.convert("L"))[..., None].repeat(3, axis=2),
    ),
    (
        "a palette is resolved",
        saved(COLOURS.quantize(16), "PNG"),
        np.asarray(COLOURS.quantize(16).convert("RGB")),
    ),
    (
        "alpha is dropped, as torchvision does",
        saved(Image.merge("RGBA", [*COLOURS.split(), Image.new("L", (6, 4), 7)]), "PNG"),
        np.asarray(COLOURS),
    ),
    (
        "16-bit grey keeps its high byte and is not clipped to white",
        saved(Image.fromarray(SHALLOW), "PNG"),
        (SHALLOW >> 8).astype(np.uint8)[..., None].repeat(3, axis=2),
    ),
    (
        "an upright photograph is turned",
        saved(COLOURS, "PNG", exif=TURNED),
        np.rot90(np.asarray(COLOURS), k=-1),
    ),
    (
        "CMYK as printers send it",
        saved(Image.new("CMYK", (6, 4), (0, 255, 255, 0)), "TIFF"),
        np.full((4, 6, 3), (255, 0, 0)),
    ),
]


@pytest.mark.parametrize(("why", "data", "want"), DECODED, ids=[d[0] for d in DECODED])
def test_decode(why: str, data: bytes, want: Any) -> None:
    got = pictures.decode(data)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, want, err_msg=why)


def test_decode_jpeg() -> None:
    picture = smooth(32, 48)
    got = pictures.decode(saved(Image.fromarray(picture), "JPEG", quality=95))
    assert np.abs(got.astype(int) - picture).max() < 16


BROKEN = [
    ("a text", b"version https://git-lfs", "no picture of a known kind"),
    ("nothing", b"", "no picture of a known kind"),
    ("half a file", saved(Image.fromarray(noise(64, 64)), "PNG")[:2000], ""),
]


@pytest.mark.parametrize(("why", "data", "want"), BROKEN, ids=[b[0] for b in BROKEN])
def test_decode_refuses(why: str, data: bytes, want: str) -> None:
    with pytest.raises(PictureError) as caught:
        pictures.decode(data)
    assert want in str(caught.value), why
    assert str(caught.value)


# --- to_source ----------------------------------------------------------------------------------


def torchvision_resize_and_crop(picture: Any, size: int) -> Any:
    """Resize(size), CenterCrop(size) as torchvision.transforms.functional computes them."""
    height, width = picture.shape[:2]
    short, long = (width, height) if width <= height else (height, width)
    new_short, new_long = size, int(size * long / short)
    new_width, new_height = (new_short, new_long) if width <= height else (new_long, new_short)
    resized = Image.fromarray(picture).resize((new_width, new_height), Image.Resampling.BILINEAR)
    top, left = round((new_height - size) / 2.0), round((new_width - size) / 2.0)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


@pytest.mark.parametrize("shape", [(50, 75), (75, 50), (33, 64), (9, 100), (64, 64), (31, 32)])
def test_to_source_is_torchvisions_recipe(shape: tuple[int, int]) -> None:
    picture = noise(*shape)
    got = pictures.to_source(picture, order())
    np.testing.assert_array_equal(got, torchvision_resize_and_crop(picture, 32))


def test_a_picture_of_the_source_size_is_not_touched() -> None:
    picture = noise(32, 32)
    assert pictures.to_source(picture, order()) is picture


@settings(max_examples=60, deadline=None)
@given(
    have=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    want=st.tuples(st.integers(1, 60), st.integers(2, 60)),
)
def test_to_source_always_fills_the_source(have: tuple[int, int], want: tuple[int, int]) -> None:
    got = pictures.to_source(noise(*have), order(height=want[0], width=want[1]))
    assert got.shape == (*want, 3)


def test_a_strip_is_refused() -> None:
    with pytest.raises(PictureError, match="strip"):
        pictures.to_source(noise(1, 500), order())


@pytest.mark.parametrize("shape", [(7, 700), (700, 7), (100, 1000)])
def test_a_strip_that_would_be_resized_to_gigabytes_is_refused(shape: tuple[int, int]) -> None:
    """It is refused before it is resized: 70 bytes of PNG were 8.6 s and 1.7 GiB."""
    with pytest.raises(PictureError, match="before the middle is cut out"):
        pictures.to_source(noise(*shape), order(height=2048, width=2048))


def test_what_is_wide_and_small_enough_is_resized() -> None:
    got = pictures.to_source(noise(10, 1000), order(height=224, width=224))
    assert got.shape == (224, 224, 3)


# --- what a client sends ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixel_format", "dims"),
    [
        ("RGB888", (32, 48, 3)),
        ("XRGB8888", (32, 48, 4)),
        ("YUV420SP", (48, 48, 1)),
        ("YUV400", (32, 48, 1)),
    ],
)
def test_the_served_dims(pixel_format: str, dims: tuple[int, ...]) -> None:
    got = pictures.encode_pixels(noise(32, 48), pixel_format)
    assert got.shape == dims
    assert got.dtype == np.uint8


def test_nv12_byte_by_byte() -> None:
    """Two blocks of one colour each: four luma bytes and one pair U, V for each block."""
    red, grey = (255, 0, 0), (100, 100, 100)
    picture = np.array([[red, red, grey, grey]] * 2, dtype=np.uint8)
    got = pictures.encode_pixels(picture, "YUV420SP")[..., 0]
    assert got.tolist() == [[76, 76, 100, 100], [76, 76, 100, 100], [85, 255, 128, 128]]


def test_xrgb_has_x_first() -> None:
    got = pictures.encode_pixels(np.array([[[1, 2, 3]]], dtype=np.uint8), "XRGB8888")
    assert got.tolist() == [[[0, 1, 2, 3]]]


@pytest.mark.parametrize("pixel_format", ["RGB888", "XRGB8888"])
def test_round_trip_without_loss(pixel_format: str) -> None:
    picture = noise(6, 4)
    sent = pictures.encode_pixels(picture, pixel_format)
    np.testing.assert_array_equal(pictures.decode_pixels(sent, pixel_format), picture)


@settings(max_examples=80, deadline=None)
@given(colour=st.tuples(*[st.integers(0, 255)] * 3))
def test_yuv_keeps_a_colour(colour: tuple[int, int, int]) -> None:
    picture = np.full((2, 4, 3), colour, dtype=np.uint8)
    back = pictures.decode_pixels(pictures.encode_pixels(picture, "YUV420SP"), "YUV420SP")
    assert np.abs(back.astype(int) - picture).max() <= 2


def test_yuv_keeps_a_photograph() -> None:
    picture = smooth(64, 64)
    back = pictures.decode_pixels(pictures.encode_pixels(picture, "YUV420SP"), "YUV420SP")
    assert np.abs(back.astype(int) - picture).mean() < 2


def test_the_matrix_is_full_range() -> None:
    """Black and white stay black and white; the narrow range would make 16 of 0."""
    picture = np.array([[[0, 0, 0]] * 2, [[255, 255, 255]] * 2], dtype=np.uint8).repeat(2, axis=0)
    sent = pictures.encode_pixels(picture, "YUV420SP")
    assert sent[..., 0].tolist() == [[0, 0], [0, 0], [255, 255], [255, 255], [128, 128], [128, 128]]
    np.testing.assert_array_equal(pictures.decode_pixels(sent, "YUV420SP"), picture)


@pytest.mark.parametrize("pixel_format", ["YUV420SP", "RGB565"])
def test_encode_refuses(pixel_format: str) -> None:
    with pytest.raises(ValueError, match=r"even sizes|unknown pixel format"):
        pictures.encode_pixels(noise(5, 4), pixel_format)


# --- what the network sees ----------------------------------------------------------------------


def aipp(picture: Any, x: int, y: int, channel: int, preprocessing: Preprocessing) -> float:
    """The vendor's formula for one value: (in - min_chn) * var_reci_chn, after the swap."""
    source = 2 - channel if preprocessing.swap_red_blue else channel
    mean, std = preprocessing.mean[channel], preprocessing.std[channel]
    return (float(picture[y, x, source]) - mean) * float(f"{1 / std:.16f}")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    mean=st.tuples(*[st.floats(0, 255)] * 3),
    std=st.tuples(*[st.floats(0.5, 255)] * 3),
    swap=st.booleans(),
    pixel_format=st.sampled_from(["RGB888", "XRGB8888"]),
    spot=st.tuples(st.integers(0, 7), st.integers(0, 5), st.integers(0, 2)),
)
def test_normalise_is_aipps_formula(
    seed: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    swap: bool,
    pixel_format: str,
    spot: tuple[int, int, int],
) -> None:
    picture, (x, y, channel) = noise(8, 12, seed), spot
    crop = Crop(top=2, left=3, height=6, width=8)
    wish = order(pixel_format, 8, 12, crop=crop, mean=mean, std=std, swap_red_blue=swap)
    got = pictures.normalise(picture, wish, (6, 8))
    assert got.shape == (3, 6, 8)
    assert got.dtype == np.float32
    assert got.flags["C_CONTIGUOUS"]
    want = aipp(picture[2:, 3:], x, y, channel, wish)
    assert got[channel, y, x] == pytest.approx(want, rel=1e-5, abs=1e-4)


def test_normalise_without_numbers_is_the_pixel() -> None:
    picture = noise(4, 4)
    got = pictures.normalise(picture, order(height=4, width=4), (4, 4))
    np.testing.assert_array_equal(got, picture.transpose(2, 0, 1).astype(np.float32))


def test_normalise_gives_bytes_their_loss() -> None:
    """YUV: the network never sees the picture, only what NV12 keeps of it."""
    mean, std = IMAGENET
    picture = smooth(32, 32)
    wish = order("YUV420SP", mean=mean, std=std)
    sent = pictures.encode_pixels(picture, "YUV420SP")
    seen = pictures.decode_pixels(sent, "YUV420SP")
    got = pictures.normalise(picture, wish, (32, 32))
    plain = order(mean=mean, std=std)
    np.testing.assert_array_equal(got, pictures.normalise(seen, plain, (32, 32)))


def test_grey_has_one_channel() -> None:
    picture = np.full((4, 4, 3), 90, dtype=np.uint8)
    wish = order("YUV400", 4, 4, mean=(10.0,), std=(2.0,))
    assert pictures.normalise(picture, wish, (4, 4)).tolist() == [[[40.0] * 4] * 4]


BOXES: list[tuple[str, Preprocessing, tuple[int, int], tuple[int, int, int, int]]] = [
    ("the source is the network's size", order(), (32, 32), (0, 0, 32, 32)),
    ("the middle of a larger source", order(height=256, width=256), (224, 224), (16, 16, 224, 224)),
    ("an odd rest is rounded down", order(height=33, width=35), (32, 32), (0, 1, 32, 32)),
    (
        "the origin as given",
        order(crop=Crop(top=0, left=3, height=20, width=20)),
        (20, 20),
        (0, 3, 20, 20),
    ),
    (
        "a size alone is centred",
        order(crop=Crop(top=None, left=None, height=20, width=10)),
        (20, 10),
        (6, 11, 20, 10),
    ),
    (
        "YUV420SP needs an even origin",
        order("YUV420SP", 34, 38),
        (32, 32),
        (0, 2, 32, 32),
    ),
]


@pytest.mark.parametrize(("why", "wish", "model", "want"), BOXES, ids=[b[0] for b in BOXES])
def test_crop_box(
    why: str,
    wish: Preprocessing,
    model: tuple[int, int],
    want: tuple[int, int, int, int],
) -> None:
    assert pictures.crop_box(wish, model) == want, why
