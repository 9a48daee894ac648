"""From the bytes of a JPEG or PNG to what the network is sent: the client's part, in the server.

picture_model.py calls `Steps.apply` for every picture. The arithmetic is that of resnet_jobs'
pictures.py, which calibration and the gate use; a test compares the two pixel by pixel. What comes
in here is strangers' data: kinds and sizes are checked before anything is unpacked.
Python >= 3.8, numpy and Pillow >= 9.1.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

import numpy as np

# Pillow's names of what `decode` allows.
KINDS: Dict[str, Tuple[str, ...]] = {
    "Auto": ("JPEG", "PNG"),
    "JPEG": ("JPEG",),
    "PNG": ("PNG",),
}
# A progressive JPEG is gone through once for each scan, and an empty scan of a large picture takes
# a few bytes: megabytes of them are hours. Cameras and optimisers write about ten.
MOST_SCANS = 100
SCAN = b"\xff\xda"  # the marker; in a scan's own data a 0 stands behind every 0xff
LONGEST = 100  # sides; a strip beyond that would be resized to gigabytes
MOST_RESIZED = 25000000  # pixels in between, or four times what is wanted
# RGB to YUV, full-range BT.601, as AIPP turns it back; in 1/256.
CSC_MATRIX = ((256, 0, 359), (256, -88, -183), (256, 454, 0))
CSC_BIAS = (0, 128, 128)


class PictureError(ValueError):
    """The picture cannot be used; the sentence is for the client that sent it."""


@dataclass(frozen=True)
class Steps:
    """What is done to a picture. `height` and `width` are those of the picture that is sent.

    `scaled` says that mean and std are ours: else AIPP does them on the chip, or nobody.
    """

    height: int
    width: int
    kinds: Tuple[str, ...] = KINDS["Auto"]
    short_side: Optional[int] = None
    interpolation: str = "Bilinear"
    pixel_format: str = "RGB888"
    layout: str = "NHWC"
    swap_red_blue: bool = False
    scaled: bool = False
    mean: Tuple[float, ...] = ()
    std: Tuple[float, ...] = ()
    max_pixels: int = 25000000
    max_bytes: int = 16777216

    def apply(self, data: bytes) -> Any:
        """The tensor of one picture, without N; float32 where it is scaled, else bytes."""
        pixels = np.asarray(self._cut(self._decoded(data)))
        if self.swap_red_blue:
            pixels = pixels[..., ::-1]
        sent = scale(pixels, self.mean, self.std) if self.scaled else self._encoded(pixels)
        return sent.transpose(2, 0, 1) if self.layout == "NCHW" else sent

    def _encoded(self, pixels: Any) -> Any:
        return encode_pixels(pixels, self.pixel_format)

    def _decoded(self, data: bytes) -> Any:
        """An RGB picture, turned as its EXIF orientation says."""
        from PIL import Image, ImageOps

        if len(data) > self.max_bytes:
            raise PictureError(
                "{} bytes are more than the {} that are allowed".format(len(data), self.max_bytes)
            )
        if data.startswith(b"\xff\xd8") and data.count(SCAN) > MOST_SCANS:
            raise PictureError("a JPEG of more than {} scans".format(MOST_SCANS))
        try:
            with Image.open(io.BytesIO(data), formats=self.kinds) as picture:
                # Only the header has been read: nothing of this size exists yet.
                if picture.width * picture.height > self.max_pixels:
                    raise PictureError(
                        "{}x{} pixels are more than the {} that are allowed".format(
                            picture.width, picture.height, self.max_pixels
                        )
                    )
                upright = ImageOps.exif_transpose(picture)
                if upright.mode.startswith("I;16"):  # 16-bit grey: convert() clips it to white
                    upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
                return upright.convert("RGB")
        except PictureError:
            raise
        except MemoryError as error:
            raise PictureError("the server has no memory left for it") from error
        except Exception as error:  # what decoders raise on purpose-made files has no common base
            raise PictureError(self._complaint(error)) from error

    def _complaint(self, error: Exception) -> str:
        if "cannot identify" in str(error):
            return "no picture of the kind {}".format(" or ".join(self.kinds))
        return str(error) or type(error).__name__

    def _cut(self, picture: Any) -> Any:
        """The short side resized to fit, the middle cut out: torchvision's Resize, CenterCrop."""
        from PIL import Image

        width, height = picture.size
        if max(height, width) > LONGEST * min(height, width):
            raise PictureError(
                "{}x{} pixels are a strip: it has no middle to show".format(width, height)
            )
        new_width, new_height = self._size(width, height)
        wanted = max(self.short_side or 0, self.height) * max(self.short_side or 0, self.width)
        if new_width * new_height > max(MOST_RESIZED, 4 * wanted):
            raise PictureError(
                "{}x{} pixels would become {}x{} before the middle is cut out".format(
                    width, height, new_width, new_height
                )
            )
        if (new_width, new_height) != (width, height):
            by = Image.Resampling[self.interpolation.upper()]
            picture = picture.resize((new_width, new_height), by)
        left = round((new_width - self.width) / 2)
        top = round((new_height - self.height) / 2)
        return picture.crop((left, top, left + self.width, top + self.height))

    def _size(self, width: int, height: int) -> Tuple[int, int]:
        want_height = self.short_side or self.height
        want_width = self.short_side or self.width
        if want_height * width >= want_width * height:
            return want_height * width // height, want_height
        return want_width, want_width * height // width


def scale(pixels: Any, mean: Tuple[float, ...], std: Tuple[float, ...]) -> Any:
    """AIPP's arithmetic: (x - mean) * (1 / std), in single precision."""
    channels = pixels.shape[-1]
    means = np.array(mean or (0.0,) * channels, dtype=np.float32)
    factors = np.array([1 / one for one in std or (1.0,) * channels], dtype=np.float32)
    return (pixels.astype(np.float32) - means) * factors


def encode_pixels(picture: Any, pixel_format: str) -> Any:
    """What AIPP wants for an RGB picture: RGB888 [H, W, 3], XRGB8888 [H, W, 4], YUV400 [H, W, 1],
    YUV420SP [H*3/2, W, 1] as NV12.
    """
    if pixel_format == "RGB888":
        return picture
    if pixel_format == "XRGB8888":
        return np.concatenate([np.zeros_like(picture[..., :1]), picture], axis=-1)
    inverse = np.linalg.inv(np.array(CSC_MATRIX) / 256)
    yuv = picture.astype(np.float64) @ inverse.T + np.array(CSC_BIAS)
    luma = _to_bytes(yuv[..., :1])
    if pixel_format == "YUV400":
        return luma
    height, width = picture.shape[:2]
    chroma = yuv[..., 1:].reshape(height // 2, 2, width // 2, 2, 2).mean(axis=(1, 3))
    return np.concatenate([luma, _to_bytes(chroma).reshape(height // 2, width, 1)])


def _to_bytes(values: Any) -> Any:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
