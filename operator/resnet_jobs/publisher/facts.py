"""Facts from a publisher's own files, as one checked form.

`config_files`, `onnx_metadata` and `mmcls` find them where publishers keep them and hand them to
`parse_facts`. They are text from strangers: each field is checked by itself, and one that cannot
be used is left out and said so. They are defaults: what the object says always wins.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from resnet_contract.words import Interpolation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

INTERPOLATIONS = tuple(Interpolation)
MOST_LABELS, MOST_LABEL_BYTES, MOST_LABEL_CHARACTERS = 100_000, 900_000, 1_000
SMALLEST_SIDE, LARGEST_SIDE = 8, 4096
LARGEST_STD = 65_504.0
PLACEHOLDER = re.compile(r"LABEL_\d+")  # what transformers writes where nobody named the classes
# The fields that only make sense together, by the name under which their source is told.
GROUPS = {
    "labels": ("labels",),
    "inputSize": ("input_size",),
    "mean, std": ("mean", "std"),
    "swapRedBlue": ("swap_red_blue",),
    "crop": ("crop_pct",),
    "interpolation": ("interpolation",),
}


@dataclass(frozen=True, kw_only=True)
class PublisherFacts:
    """`input_size` is height and width; `mean` and `std` are on the scale 0..255; `crop_pct` is
    the input's part of the short side that a picture is resized to. Empty where nobody says it.
    """

    source: str = ""
    labels: tuple[str, ...] = ()
    input_size: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    swap_red_blue: bool | None = None
    crop_pct: float | None = None
    interpolation: str | None = None

    @property
    def is_empty(self) -> bool:
        return self == PublisherFacts(source=self.source)

    def to_json(self, *, with_labels: bool) -> dict[str, Any]:
        value: dict[str, Any] = {
            "source": self.source,
            "labels": list(self.labels) if with_labels else (),
            "inputSize": self.input_size and list(self.input_size),
            "mean": list(self.mean),
            "std": list(self.std),
            "swapRedBlue": self.swap_red_blue,
            "cropPct": self.crop_pct,
            "interpolation": self.interpolation,
        }
        return {key: item for key, item in value.items() if item not in (None, [], ())}


NOTHING = PublisherFacts()


class UnusableError(ValueError):
    """A field that cannot be used; the text says why."""


def parse_facts(said: Mapping[str, Any], *, source: str) -> tuple[PublisherFacts, list[str]]:
    """(facts, notes on what was left out) from the names and scales of `to_json`."""
    found: dict[str, Any] = {}
    notes = []
    for key, (field, read) in READERS.items():
        value = said.get(key)
        if value is None:
            continue
        try:
            found[field] = read(value)
        except (UnusableError, RecursionError) as error:
            notes.append(f"{source}: ignored {key} ({error})")
    if len(found.get("mean", ())) != len(found.get("std", ())):
        notes.append(f"{source}: ignored mean and std (not as many of each)")
        found |= {"mean": (), "std": ()}
    return PublisherFacts(source=source, **found), notes


def merge(facts: Iterable[PublisherFacts]) -> PublisherFacts:
    """Of each group of fields the first that says it; `source` then tells who said what."""
    known = [entry for entry in facts if not entry.is_empty]
    if len(known) < 2:
        return known[0] if known else NOTHING
    chosen: dict[str, Any] = {}
    told: dict[str, list[str]] = {}
    for group, names in GROUPS.items():
        first = next((e for e in known if any(_says(e, name) for name in names)), None)
        if first is not None:
            chosen |= {name: getattr(first, name) for name in names}
            told.setdefault(first.source, []).append(group)
    source = "; ".join(f"{name}: {', '.join(groups)}" for name, groups in told.items())
    return PublisherFacts(source=source, **chosen)


def without_labels(facts: PublisherFacts) -> PublisherFacts:
    return replace(facts, labels=())


def _says(facts: PublisherFacts, name: str) -> bool:
    default = next(field.default for field in fields(facts) if field.name == name)
    return bool(getattr(facts, name) != default)


def _labels(value: object) -> tuple[str, ...]:
    """One label a class: of a list, of `id2label` by number, or of names with their numbers."""
    if isinstance(value, Mapping):
        value = _in_order(value)
    if not isinstance(value, (list, tuple)) or not value:
        raise UnusableError("it is not a list of names, nor an object such as id2label")
    if len(value) > MOST_LABELS:
        raise UnusableError(f"there are more than {MOST_LABELS}")
    labels = tuple(_label(item, number) for number, item in enumerate(value))
    if sum(len(label.encode("utf-8", "replace")) + 1 for label in labels) > MOST_LABEL_BYTES:
        raise UnusableError(f"they have more than {MOST_LABEL_BYTES} bytes")
    if all(PLACEHOLDER.fullmatch(label) for label in labels):
        raise UnusableError("they are placeholders, LABEL_0 and so on")
    return labels


def _in_order(value: Mapping[Any, Any]) -> list[Any]:
    pairs = [(_index(key), label) for key, label in value.items()]
    if any(number is None for number, _ in pairs):
        pairs = [(_index(number), label) for label, number in value.items()]
    found = {number: label for number, label in pairs if number is not None}
    if len(found) != len(value) or set(found) != set(range(len(value))):
        raise UnusableError("the classes are not numbered from 0 without gaps")
    return [found[number] for number in range(len(found))]


def _index(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else None


def _label(value: object, number: int) -> str:
    """Of ["n01440764", "tench"] the last one is for people."""
    if isinstance(value, (list, tuple)) and value:
        value = value[-1]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise UnusableError(f"the label of class {number} is no text")
    text = " ".join(value.split())
    if len(text) > MOST_LABEL_CHARACTERS:
        raise UnusableError(f"the label of class {number} is longer than {MOST_LABEL_CHARACTERS}")
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text):
        raise UnusableError(f"the label of class {number} has a control character")
    return text


def _size(value: object) -> tuple[int, int]:
    """Height and width; timm and others put the channels before them."""
    sides = list(value) if isinstance(value, (list, tuple)) else [value, value]
    sides = sides[-2:] if len(sides) == 3 else sides
    whole = [side for side in sides if isinstance(side, int) and not isinstance(side, bool)]
    if len(whole) != 2 or len(sides) != 2 or not all(_is_side(side) for side in whole):
        raise UnusableError(f"it is not a height and a width of {SMALLEST_SIDE} to {LARGEST_SIDE}")
    return whole[0], whole[1]


def _is_side(side: int) -> bool:
    return SMALLEST_SIDE <= side <= LARGEST_SIDE


def _numbers(low: float, high: float) -> Callable[[object], tuple[float, ...]]:
    def read(value: object) -> tuple[float, ...]:
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        numbers = tuple(round(_number(item, low, high), 6) for item in items)
        if len(numbers) not in (1, 3):
            raise UnusableError("it is not one number, nor one for each of three colours")
        return numbers

    return read


def _number(value: object, low: float, high: float) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise UnusableError(f"it is not a number of {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]


def _part(value: object) -> float:
    return round(_number(value, 0.1, 1.0), 6)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise UnusableError("it is neither true nor false")
    return value


def _interpolation(value: object) -> str:
    """Pillow's name, or its number as transformers writes it."""
    by_number: dict[int, str] = {
        0: Interpolation.NEAREST,
        1: Interpolation.LANCZOS,
        2: Interpolation.BILINEAR,
        3: Interpolation.BICUBIC,
        4: Interpolation.BOX,
        5: Interpolation.HAMMING,
    }
    if isinstance(value, int) and not isinstance(value, bool) and value in by_number:
        return by_number[value]
    name = value.rpartition(".")[2].capitalize() if isinstance(value, str) else ""
    if name not in INTERPOLATIONS:
        raise UnusableError(f"it is none of {', '.join(INTERPOLATIONS)}")
    return name


READERS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "labels": ("labels", _labels),
    "inputSize": ("input_size", _size),
    "mean": ("mean", _numbers(0, 255)),
    "std": ("std", _numbers(1e-3, LARGEST_STD)),
    "swapRedBlue": ("swap_red_blue", _flag),
    "cropPct": ("crop_pct", _part),
    "interpolation": ("interpolation", _interpolation),
}
