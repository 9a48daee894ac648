"""What a model's publisher says of pictures: the facts, and what may be said at all.

The Job reads it from the publisher's own files, the operator from what the Job reported. It is
text from strangers, so both read each field by the functions of this module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_contract.words import Interpolation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SMALLEST_SIDE, LARGEST_SIDE = 8, 4096
LARGEST_STD = 65_504.0
ROUNDING = 0.01  # a part has six digits: 224 / 0.965518 is a little less than 232
MOST_LABELS, MOST_LABEL_BYTES = 100_000, 900_000
PILLOW = (
    Interpolation.NEAREST,
    Interpolation.LANCZOS,
    Interpolation.BILINEAR,
    Interpolation.BICUBIC,
    Interpolation.BOX,
    Interpolation.HAMMING,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureFacts:
    """`source` names the files, `input_size` is height and width, `mean` and `std` are on the scale
    0..255, `crop_pct` is the input's part of the short side that a picture is resized to. Empty
    where nobody says it.
    """

    source: str = ""
    input_size: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    swap_red_blue: bool | None = None
    crop_pct: float | None = None
    interpolation: Interpolation | None = None

    def short_side(self, network: tuple[int, int] | None, *, sent: tuple[int, int]) -> int | None:
        """What the short side is resized to, where that is more than what is sent: the part of it
        that the network takes, which is square, is cut out.
        """
        if self.crop_pct is None or network is None or network[0] != network[1]:
            return None
        short = math.floor(network[0] / self.crop_pct + ROUNDING)
        return short if max(sent) < short <= LARGEST_SIDE else None

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "source": self.source,
            "inputSize": self.input_size and list(self.input_size),
            "mean": list(self.mean),
            "std": list(self.std),
            "swapRedBlue": self.swap_red_blue,
            "cropPct": self.crop_pct,
            "interpolation": self.interpolation and str(self.interpolation),
        }
        return {key: item for key, item in value.items() if item not in (None, [])}


@dataclass(frozen=True, slots=True)
class PublishedLabels:
    """One label a line, a file of the store under its digest."""

    count: int
    sha256: str
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "sha256": self.sha256, "sizeBytes": self.size_bytes}


class UnusableError(ValueError):
    """A field that cannot be used; the text says why."""


def read_size(value: object) -> tuple[int, int]:
    """Height and width; timm and others put the channels before them."""
    sides = list(value) if isinstance(value, (list, tuple)) else [value, value]
    sides = sides[-2:] if len(sides) == 3 else sides
    whole = [side for side in sides if isinstance(side, int) and not isinstance(side, bool)]
    if len(whole) != 2 or len(sides) != 2 or not all(_is_side(side) for side in whole):
        raise UnusableError(f"it is not a height and a width of {SMALLEST_SIDE} to {LARGEST_SIDE}")
    return whole[0], whole[1]


def _is_side(side: int) -> bool:
    return SMALLEST_SIDE <= side <= LARGEST_SIDE


def numbers(low: float, high: float) -> Callable[[object], tuple[float, ...]]:
    """A reader of one number, or of one for each colour."""

    def read(value: object) -> tuple[float, ...]:
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        found = tuple(round(_number(item, low, high), 6) for item in items)
        if len(found) not in (1, 3):
            raise UnusableError("it is not one number, nor one for each of three colours")
        return found

    return read


def _number(value: object, low: float, high: float) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise UnusableError(f"it is not a number of {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]


def read_part(value: object) -> float:
    return round(_number(value, 0.1, 1.0), 6)


def read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise UnusableError("it is neither true nor false")
    return value


def read_interpolation(value: object) -> Interpolation:
    """Pillow's name, or its number as transformers writes it."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(PILLOW):
        return PILLOW[value]
    name = value.rpartition(".")[2].capitalize() if isinstance(value, str) else ""
    try:
        return Interpolation(name)
    except ValueError:
        raise UnusableError(f"it is none of {', '.join(Interpolation)}") from None


READERS: Mapping[str, tuple[str, Callable[[object], Any]]] = {
    "inputSize": ("input_size", read_size),
    "mean": ("mean", numbers(0, 255)),
    "std": ("std", numbers(1e-3, LARGEST_STD)),
    "swapRedBlue": ("swap_red_blue", read_flag),
    "cropPct": ("crop_pct", read_part),
    "interpolation": ("interpolation", read_interpolation),
}


def read_pictures(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """(fields of `PictureFacts`, why others cannot be used) from the names and scales of
    `to_json`; each field by itself, but mean and std together.
    """
    found, refused = read_each(said, READERS)
    if len(found.get("mean", ())) != len(found.get("std", ())):
        refused["mean and std"] = "not as many of each"
        found |= {"mean": (), "std": ()}
    return found, refused


def read_each(
    said: Mapping[str, Any], readers: Mapping[str, tuple[str, Callable[[object], Any]]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """(field -> value, key -> why it cannot be used); what nobody says is in neither."""
    found: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for key, (field, read) in readers.items():
        value = said.get(key)
        if value is None:
            continue
        try:
            found[field] = read(value)
        except (UnusableError, RecursionError) as error:
            refused[key] = str(error)
    return found, refused
