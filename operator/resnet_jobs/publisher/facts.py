"""Facts from a publisher's own files, as one checked form.

`config_files`, `onnx_metadata` and `mmcls` find them where publishers keep them and hand them to
`parse_facts`. They are text from strangers: each field is checked by itself, and one that cannot
be used is left out and said so. They are defaults: what the object says always wins.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from resnet_contract.report.publisher import (
    MOST_LABEL_BYTES,
    MOST_LABELS,
    PictureFacts,
    UnusableError,
    read_each,
    read_pictures,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_LABEL_CHARACTERS = 1_000
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


@dataclass(frozen=True, kw_only=True, slots=True)
class PublisherFacts(PictureFacts):
    """With the names of the classes, in their order."""

    labels: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self == PublisherFacts(source=self.source)

    def with_labels(self) -> dict[str, Any]:
        """All of it as JSON; `to_json` leaves out the labels, for which no message has room."""
        return PictureFacts.to_json(self) | ({"labels": list(self.labels)} if self.labels else {})


NOTHING = PublisherFacts()


def parse_facts(said: Mapping[str, Any], *, source: str) -> tuple[PublisherFacts, list[str]]:
    """(facts, notes on what was left out) from the names and scales of `with_labels`."""
    names, bad_names = read_each(said, {"labels": ("labels", _labels)})
    pictures, bad_pictures = read_pictures(said)
    refused = {**bad_names, **bad_pictures}
    notes = [f"{source}: ignored {key} ({why})" for key, why in refused.items()]
    return PublisherFacts(source=source, **names, **pictures), notes


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
