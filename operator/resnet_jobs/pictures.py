"""Pictures on their way to the network: the one place that knows what AIPP does to a pixel.

Calibration, the evaluator and their tests take pictures through here, so that what AMCT is shown,
what a client sends and what the reference model gets are one and the same thing. The steps are
file -> `decode` -> `to_source` -> `encode_pixels` (what a client sends) -> `normalise` (what the
network sees). AIPP crops, swaps and scales by itself but never resizes: that is the client's part.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resnet_contract.types import Preprocessing

    Pixels = NDArray[np.uint8]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# YUV to RGB for JPEG, full-range BT.601, as ATC's guide has it; in 1/256, applied to (Y, U, V)
# after the bias is taken off.
CSC_MATRIX = ((256, 0, 359), (256, -88, -183), (256, 454, 0))
CSC_INPUT_BIAS = (0, 128, 128)
CHANNELS = {"RGB888": 3, "XRGB8888": 3, "YUV420SP": 3, "YUV400": 1}  # what the network gets
LONGEST = 100  # sides; a strip beyond that would be resized to gigabytes
MOST_RESIZED = 25_000_000  # pixels in between, or four times what is wanted


class PictureError(ValueError):
    """Not a picture, or a broken one. The sentence does not name the file: the caller does."""


def decode(data: bytes) -> Pixels:
    """[H, W, 3] RGB of an encoded picture, turned as its EXIF orientation says.

    As torchvision's loader: palettes and CMYK are resolved, grey is repeated, alpha is dropped.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as picture:
            upright: Image.Image = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):  # 16-bit grey: convert() clips it to white
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            return np.array(upright.convert("RGB"), dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        what = "no picture of a known kind" if "cannot identify" in str(error) else str(error)
        raise PictureError(what) from error


def to_source(picture: Pixels, preprocessing: Preprocessing) -> Pixels:
    """[source height, source width, 3]: the short side resized to fit, the middle cut out.

    By the given filter with antialias, sizes and origins rounded as torchvision's Resize and
    CenterCrop do it, so Resize(256) and CenterCrop(256) of a recipe give these very pixels.
    """
    from PIL import Image

    want = (preprocessing.source_height, preprocessing.source_width)
    height, width = picture.shape[:2]
    base = tuple(preprocessing.short_side or side for side in want)
    if (height, width) == want == base:
        return picture
    if max(height, width) > LONGEST * min(height, width):
        raise PictureError(f"{width}x{height} pixels are a strip: it has no middle to show")
    if base[0] * width >= base[1] * height:
        size = (base[0], base[0] * width // height)
    else:
        size = (base[1] * height // width, base[1])
    if size[0] * size[1] > max(MOST_RESIZED, 4 * base[0] * base[1]):
        raise PictureError(
            f"{width}x{height} pixels would become {size[1]}x{size[0]} before the middle is cut out"
        )
    by = Image.Resampling[preprocessing.interpolation.upper()]
    resized = np.asarray(Image.fromarray(picture).resize((size[1], size[0]), by))
    top, left = (round((have - need) / 2) for have, need in zip(size, want, strict=True))
    return np.ascontiguousarray(resized[top : top + want[0], left : left + want[1]])


def encode_pixels(picture: Pixels, pixel_format: str) -> Pixels:
    """What a client sends for an RGB picture of the source size: the served dims, without N.

    RGB888 [H, W, 3]; XRGB8888 [H, W, 4], X first; YUV400 [H, W, 1], luma; YUV420SP [H*3/2, W, 1],
    NV12: the luma rows, then rows of U and V by turns, each the mean of four pixels.
    """
    if pixel_format == "RGB888":
        return picture
    if pixel_format == "XRGB8888":
        return np.concatenate([np.zeros_like(picture[..., :1]), picture], axis=-1)
    yuv = _to_yuv(picture)
    luma = _to_bytes(yuv[..., :1])
    if pixel_format == "YUV400":
        return luma
    if pixel_format != "YUV420SP":
        raise ValueError(f"unknown pixel format {pixel_format}")
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"YUV420SP needs even sizes, not {width}x{height}")
    chroma = yuv[..., 1:].reshape(height // 2, 2, width // 2, 2, 2).mean(axis=(1, 3))
    return np.concatenate([luma, _to_bytes(chroma).reshape(height // 2, width, 1)])


def decode_pixels(pixels: Pixels, pixel_format: str) -> Pixels:
    """The picture inside what a client sends, as AIPP sees it before it scales: RGB, or luma."""
    if pixel_format == "XRGB8888":
        return pixels[..., 1:]
    if pixel_format != "YUV420SP":
        return pixels
    height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
    chroma = pixels[height:].reshape(height // 2, width // 2, 2)
    full = chroma.repeat(2, axis=0).repeat(2, axis=1)
    yuv = np.concatenate([pixels[:height], full], axis=-1).astype(np.int32)
    rgb = (yuv - np.array(CSC_INPUT_BIAS)) @ np.array(CSC_MATRIX).T >> 8
    return _clipped(rgb)


def normalise(
    picture: Pixels, preprocessing: Preprocessing, model_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """[C, h, w]: what the network sees of an RGB picture of the source size.

    YUV goes there and back, so the loss of its thinned-out colours is in the result, as it is on
    the chip.
    """
    return normalise_sent(
        encode_pixels(picture, preprocessing.pixel_format), preprocessing, model_hw
    )


def normalise_sent(
    sent: Pixels, preprocessing: Preprocessing, model_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """[C, h, w]: what the network sees of what a client sends.

    AIPP's order: crop, swap of red and blue, (x - mean) * (1 / std).
    """
    seen = decode_pixels(sent, preprocessing.pixel_format)
    top, left, height, width = crop_box(preprocessing, model_hw)
    seen = seen[top : top + height, left : left + width]
    if preprocessing.swap_red_blue:
        seen = seen[..., ::-1]
    channels = seen.shape[-1]
    mean = np.array(preprocessing.mean or (0.0,) * channels, dtype=np.float32)
    scale = np.array([1 / std for std in preprocessing.std or (1.0,) * channels], dtype=np.float32)
    values: NDArray[np.float32] = (seen.astype(np.float32) - mean) * scale
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def crop_box(preprocessing: Preprocessing, model_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of AIPP's crop: the network's size from the middle by default.

    YUV420SP shares its colours between two rows and columns: the origin is then even.
    """
    crop = preprocessing.crop
    height, width = (crop.height, crop.width) if crop else model_hw
    step = 2 if preprocessing.pixel_format == "YUV420SP" else 1

    def origin(given: int | None, have: int, need: int) -> int:
        return given if given is not None else (have - need) // 2 // step * step

    top = origin(crop.top if crop else None, preprocessing.source_height, height)
    left = origin(crop.left if crop else None, preprocessing.source_width, width)
    return top, left, height, width


def _to_yuv(picture: Pixels) -> NDArray[np.float64]:
    """The exact inverse of the matrix above, not yet rounded."""
    inverse = np.linalg.inv(np.array(CSC_MATRIX) / 256)
    yuv: NDArray[np.float64] = picture.astype(np.float64) @ inverse.T + np.array(CSC_INPUT_BIAS)
    return yuv


def _to_bytes(values: NDArray[Any]) -> Pixels:
    return _clipped(np.rint(values))


def _clipped(values: NDArray[Any]) -> Pixels:
    pixels: Pixels = np.clip(values, 0, 255).astype(np.uint8)
    return pixels
