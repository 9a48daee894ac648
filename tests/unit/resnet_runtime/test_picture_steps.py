"""The server's way from a file to pixels is that of the Jobs, and strangers' files do no harm."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnet_contract.types import Crop, Preprocessing
from resnet_jobs import pictures
from resnet_runtime import picture_steps
from resnet_runtime.picture_steps import PictureError, Steps

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
TURNED = Image.Exif()
TURNED[0x0112] = 6
EVEN = Image.fromarray(
    np.random.default_rng(5).integers(0, 256, (97, 143, 3), dtype=np.uint8)
).resize((286, 194), Image.Resampling.BICUBIC)


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def the_jobs_way(pixel_format: str, height: int, width: int, **changes: Any) -> Preprocessing:
    fields: dict[str, Any] = {"crop": None, "mean": (), "std": (), "swap_red_blue": False}
    return Preprocessing(
        pixel_format=pixel_format,
        source_height=height,
        source_width=width,
        raw_aipp=None,
        **fields | changes,
    )


PICTURES = [
    ("a JPEG, wide", saved(EVEN, "JPEG")),
    ("a PNG, high", saved(EVEN.transpose(Image.Transpose.ROTATE_90))),
    ("odd sides", saved(EVEN.resize((131, 77)))),
    ("smaller than what is sent", saved(EVEN.resize((31, 17)))),
    ("just what is sent", saved(EVEN.resize((64, 48)))),
    ("an upright photograph", saved(EVEN, "JPEG", exif=TURNED)),
    ("grey", saved(EVEN.convert("L"), "JPEG")),
    ("16-bit grey", saved(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16))),
    ("a palette", saved(EVEN.quantize(16))),
    ("alpha", saved(EVEN.convert("RGBA"))),
    ("CMYK", saved(EVEN.convert("CMYK"), "JPEG")),
    ("progressive", saved(EVEN, "JPEG", progressive=True)),
]
every_picture = pytest.mark.parametrize(("reason", "data"), PICTURES, ids=[p[0] for p in PICTURES])


@pytest.mark.parametrize("pixel_format", ["RGB888", "XRGB8888", "YUV400", "YUV420SP"])
@every_picture
def test_aipp_is_sent_what_the_jobs_send(reason: str, data: bytes, pixel_format: str) -> None:
    how = the_jobs_way(pixel_format, 48, 64)
    picture = pictures.to_source(pictures.decode(data), how)
    got = Steps(height=48, width=64, pixel_format=pixel_format).apply(data)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, pictures.encode_pixels(picture, pixel_format), reason)


@pytest.mark.parametrize("swap", [False, True])
@every_picture
def test_a_float_network_gets_what_the_jobs_compute(reason: str, data: bytes, swap: bool) -> None:
    """Resize(64), CenterCrop(56): the Jobs say it as a source of 64x64 and AIPP's crop."""
    crop = Crop(top=None, left=None, height=56, width=56)
    how = the_jobs_way("RGB888", 64, 64, crop=crop, mean=MEAN, std=STD, swap_red_blue=swap)
    picture = pictures.to_source(pictures.decode(data), how)
    steps = Steps(
        height=56,
        width=56,
        short_side=64,
        layout="NCHW",
        scaled=True,
        mean=MEAN,
        std=STD,
        swap_red_blue=swap,
    )
    got = steps.apply(data)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, pictures.normalise(picture, how, (56, 56)), reason)


@pytest.mark.parametrize("name", ["Nearest", "Bilinear", "Bicubic", "Lanczos", "Box", "Hamming"])
def test_each_filter_is_pillows_own(name: str) -> None:
    want = EVEN.resize((64, 64 * EVEN.height // EVEN.width), Image.Resampling[name.upper()])
    steps = Steps(height=want.height, width=64, interpolation=name)
    np.testing.assert_array_equal(steps.apply(saved(EVEN)), np.asarray(want))


def test_bytes_in_both_layouts() -> None:
    data = saved(EVEN)
    rows = Steps(height=48, width=64).apply(data)
    planes = Steps(height=48, width=64, layout="NCHW").apply(data)
    np.testing.assert_array_equal(planes, rows.transpose(2, 0, 1))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that says it is of any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


BAD = [
    ("nothing", b"", "no picture of the kind JPEG or PNG"),
    ("a text", b"hello", "no picture of the kind JPEG or PNG"),
    ("a kind that is not allowed", saved(EVEN, "GIF"), "no picture of the kind JPEG or PNG"),
    ("half a JPEG", saved(EVEN, "JPEG")[:3000], "truncated"),
    ("half a PNG", saved(EVEN)[:3000], ""),
    ("a bomb is not unpacked", bomb(60000, 60000), "pixels"),
    ("one pixel too many", bomb(1001, 1000), "1001x1000 pixels are more than the 1000000 that"),
    ("a strip", saved(Image.new("RGB", (1000, 9))), "are a strip"),
    ("scans without end", saved(EVEN, "JPEG", progressive=True) * 11, "of more than 100 scans"),
    ("too many bytes", saved(EVEN) + b" " * 300_000, "bytes are more than the 300000 that"),
]


@pytest.mark.parametrize(("reason", "data", "said"), BAD, ids=[one[0] for one in BAD])
def test_what_is_refused(reason: str, data: bytes, said: str) -> None:
    steps = Steps(height=48, width=64, max_pixels=1_000_000, max_bytes=300_000)
    with pytest.raises(PictureError) as caught:
        steps.apply(data)
    assert said in str(caught.value), reason


@pytest.mark.parametrize("size", [(100, 1), (700, 7), (1, 100), (1000, 100)])
@pytest.mark.parametrize("short_side", [None, 4096])
def test_a_strip_is_not_resized_to_gigabytes(
    size: tuple[int, int], short_side: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "resize", lambda *_: pytest.fail("it was resized"))
    with pytest.raises(PictureError, match="before the middle is cut out"):
        Steps(height=2048, width=2048, short_side=short_side).apply(saved(Image.new("RGB", size)))


def test_the_largest_picture_in_between_is_the_same_for_the_gate_and_the_server() -> None:
    assert picture_steps.MOST_RESIZED == pictures.MOST_RESIZED
    assert picture_steps.LONGEST == pictures.LONGEST


def test_only_what_was_asked_for() -> None:
    with pytest.raises(PictureError, match="no picture of the kind JPEG"):
        Steps(height=48, width=64, kinds=("JPEG",)).apply(saved(EVEN))
