"""From picture files to the tensors that a model takes. Pure but for reading the files."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_client.contract import ClientError, Contract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# A path, a file's bytes, or RGB pixels [H, W, 3] of 0..255.
Picture = Any
MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Preprocessing:
    """What a network was trained with: channel mean and std on the 0..255 scale, and the framing.

    `zoom` is the short side after resizing, divided by the side of the crop: 256 / 224 for
    torchvision's ImageNet networks, 1 where the whole picture is used.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    zoom: float = 1.0


PRESETS = {
    "digits": Preprocessing(mean=(78.0, 78.0, 78.0), std=(96.0, 96.0, 96.0)),
    "imagenet": Preprocessing(
        mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), zoom=256 / 224
    ),
}
IMAGENET_SIDE = 224


def preset_for(contract: Contract, name: str | None = None) -> Preprocessing:
    """Return the named preset; by default ImageNet's for pictures of 224 pixels and more."""
    if name is not None and name not in PRESETS:
        raise ClientError(f"there is no preset {name}; there are {', '.join(sorted(PRESETS))}")
    large = contract.height >= IMAGENET_SIDE
    return PRESETS[name or ("imagenet" if large else "digits")]


def preprocess(pictures: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.float32]:
    """Turn RGB pictures [N, H, W, 3] of 0..255 into a float network's input [N, 3, H, W]."""
    mean = np.asarray(how.mean, dtype=np.float32)
    std = np.asarray(how.std, dtype=np.float32)
    scaled = (pictures.astype(np.float32) - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def load_picture(
    picture: Picture, *, height: int, width: int, how: Preprocessing
) -> NDArray[np.uint8]:
    """Read a picture as RGB [height, width, 3]; turned as its EXIF says, resized and cropped."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if isinstance(picture, np.ndarray):
        opened = Image.fromarray(picture)
    else:
        try:
            data = BytesIO(picture) if isinstance(picture, bytes) else Path(picture)
            with Image.open(data) as file:
                if file.width * file.height > MAX_PIXELS:
                    raise ClientError(f"{_name(picture)}: more than {MAX_PIXELS:,} pixels")
                opened = ImageOps.exif_transpose(file).convert("RGB")
        except FileNotFoundError as error:
            raise ClientError(f"{picture}: there is no such file") from error
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            raise ClientError(
                f"{_name(picture)}: not a picture that can be read ({error})"
            ) from error
    framed = opened.convert("RGB")
    if framed.size != (width, height):
        grown = (round(width * how.zoom), round(height * how.zoom))
        framed = ImageOps.fit(framed, grown, Image.Resampling.BILINEAR)
        left, top = (grown[0] - width) // 2, (grown[1] - height) // 2
        framed = framed.crop((left, top, left + width, top + height))
    return np.asarray(framed, dtype=np.uint8)


def to_tensor(pictures: Sequence[Picture], contract: Contract, how: Preprocessing) -> NDArray[Any]:
    """Return a batch as the model takes it: files, pixels, or scaled numbers."""
    if contract.takes_files:
        return np.array([[_content(picture)] for picture in pictures], dtype=np.object_)
    size = {"height": contract.height, "width": contract.width}
    pixels = np.stack([load_picture(picture, how=how, **size) for picture in pictures])
    if contract.channels == 1:
        pixels = _grey(pixels)
    if contract.data_type == "UINT8":
        tensor: NDArray[Any] = pixels.transpose(0, 3, 1, 2)
    else:
        one = Preprocessing(how.mean[: contract.channels], how.std[: contract.channels])
        tensor = preprocess(pixels, one)
    if contract.layout == "NHWC":
        tensor = tensor.transpose(0, 2, 3, 1)
    kinds = {"UINT8": np.uint8, "FP16": np.float16, "FP32": np.float32}
    return np.ascontiguousarray(tensor, dtype=kinds[contract.data_type])


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brightness as ITU-R 601 weighs it, [N, H, W, 1]; what Pillow's mode L does."""
    weights = np.array([299, 587, 114], dtype=np.uint32)
    return ((pixels @ weights + 500) // 1000).astype(np.uint8)[..., None]


def _content(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, np.ndarray):
        from PIL import Image

        file = BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        return file.getvalue()
    try:
        return Path(picture).read_bytes()
    except OSError as error:
        raise ClientError(f"{picture}: {error.strerror}") from error


def _name(picture: Picture) -> str:
    return "a picture" if isinstance(picture, bytes) else str(picture)
