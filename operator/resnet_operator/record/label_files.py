"""Files that name classes otherwise than one a line: JSON, Python's and YAML's way to write it.

Hubs, training scripts and tutorials have them; each is read to a list in the order of the classes,
or refused by a sentence. Called by `class_labels`. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resnet_operator.record.label_lists import NAMES, SETTING, listed

MOST = 900_000
JSON_START = re.compile(r"\s*(\{|\[\s*[\[{\"\]])")
# Keys under which hubs keep the names in config.json, and which way round.
BY_INDEX, BY_NAME = "id2label", "label2id"
ALSO_BY_NAME = "class_to_idx"
EXAMPLE = '["cat", "dog"] or {"0": "cat", "1": "dog"}'
# What Python prints of a dictionary: 0: 'tench, Tinca tinca',
PRINTED = re.compile(
    r"\s*(\d{1,6})\s*:\s*(?:'((?:[^'\\\n]|\\['\"\\])*)'|\"((?:[^\"\\\n]|\\['\"\\])*)\")\s*(?:,|(?=\}))"
)
HEADING = re.compile(rf"(?:{'|'.join((*NAMES, BY_INDEX))}):\s*(?:#.*)?")
NUMBERED = re.compile(r"\s*['\"]?(\d{1,6})['\"]?:\s+(\S.*)")
DASHED = re.compile(r"\s*-\s+(\S.*)")
NOTHING = re.compile(r"\s*(?:#.*|---)?")


class LabelsError(ValueError):
    """The labels cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """The ConfigMap's name and key, for messages."""

    name: str
    key: str

    def error(self, what: str) -> LabelsError:
        return LabelsError(f'key "{self.key}" of ConfigMap "{self.name}" {what}')


def structured(text: str, source: Source) -> list[str] | None:
    """Return the labels of a file that is more than lines, else None; raises LabelsError."""
    if JSON_START.match(text):
        printed = _printed(text)
        return _from_json(text, source) if printed is None else _in_order(printed, source)
    if (items := listed(text)) is not None:
        return items
    return _from_yaml(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), source)


def _printed(text: str) -> list[tuple[int | None, Any]] | None:
    """Return the pairs of a dictionary as Python prints it, None for anything else."""
    body = text.strip()
    if not (body.startswith("{") and body.endswith("}")):
        return None
    pairs: list[tuple[int | None, Any]] = []
    at = 1
    while found := PRINTED.match(body, at):
        label = found[2] if found[3] is None else found[3]
        pairs.append((int(found[1]), re.sub(r"\\(.)", r"\1", label)))
        at = found.end()
    return pairs if pairs and not body[at:-1].strip() else None


def _from_yaml(lines: list[str], source: Source) -> list[str] | None:
    """Return what stands under `names:` and its like, or a whole file of such entries."""
    headed = (at for at, line in enumerate(lines) if line.startswith((*NAMES, BY_INDEX)))
    at = next((at for at in headed if HEADING.fullmatch(lines[at].rstrip())), None)
    if at is None:
        kept = [line for line in lines if not NOTHING.fullmatch(line.rstrip())]
        return _entries(kept, source) if len(kept) > 1 else None
    rest = lines[at + 1 :]
    count = next((n for n, line in enumerate(rest) if line[:1] not in {"", " ", "-"}), len(rest))
    others = [*lines[:at], *rest[count:]]
    if not all(SETTING.fullmatch(line) for line in others):
        return None
    return _entries([line for line in rest[:count] if line.strip()], source)


def _entries(lines: list[str], source: Source) -> list[str] | None:
    """Return labels of "- cat" or of "0: cat", numbered from 0 without gaps; else None."""
    if not lines:
        return None
    if DASHED.fullmatch(lines[0]):
        dashed = [found[1] for line in lines if (found := DASHED.fullmatch(line))]
        return [_scalar(item) for item in dashed] if len(dashed) == len(lines) else None
    if not NUMBERED.fullmatch(lines[0]):
        return None
    numbered = [found for line in lines if (found := NUMBERED.fullmatch(line))]
    pairs: list[tuple[int | None, Any]] = [(int(one[1]), _scalar(one[2])) for one in numbered]
    whole = {number for number, _ in pairs} == set(range(len(lines)))
    return _in_order(pairs, source) if len(pairs) == len(lines) and whole else None


def _scalar(text: str) -> str:
    text = text.strip()
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if is_quoted else text.partition(" #")[0].rstrip()


def _from_json(text: str, source: Source) -> list[str]:
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        if (items := listed(text)) is not None:
            return items
        raise source.error(f"looks like JSON and cannot be read as such ({error})") from error
    for shape, read in SHAPES:
        if (found := shape(value)) is not None:
            return read(found, source)
    raise source.error(f"is JSON of an unknown shape; write one label a line, or {EXAMPLE}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands in it twice")
    return value


def _list(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _under(key: str) -> Callable[[Any], dict[str, Any] | None]:
    def find(value: Any) -> dict[str, Any] | None:
        found = value.get(key) if isinstance(value, dict) else None
        return found if isinstance(found, dict) else None

    return find


def _named(value: Any) -> Any:
    """Return what stands under one of the usual keys: a list, or an object by index."""
    if not isinstance(value, dict):
        return None
    found = next((value[key] for key in NAMES if key in value), None)
    return found if isinstance(found, list) or _by_index(found) else None


def _categories(value: Any) -> list[Any] | None:
    """Return a list of objects, each with a number and a name."""
    is_list = isinstance(value, list) and value
    return value if is_list and all(isinstance(item, dict) for item in value) else None


def _by_index(value: Any) -> dict[str, Any] | None:
    is_index = isinstance(value, dict) and value and all(_index(key) is not None for key in value)
    return value if is_index else None


def _by_name(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict) or not value:
        return None
    return value if all(_index(index) is not None for index in value.values()) else None


def _index(value: Any) -> int | None:
    """Return a class's number, given as a number or, as JSON's keys are, as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < MOST else None
    text = value if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else None


def _read_list(value: list[Any], source: Source) -> list[str]:
    return [_label(item, number, source) for number, item in enumerate(value)]


def _read_named(value: Any, source: Source) -> list[str]:
    return (_read_list if isinstance(value, list) else _read_by_index)(value, source)


def _read_categories(value: list[dict[str, Any]], source: Source) -> list[str]:
    return _in_order([(_index(item.get("id")), item.get("name")) for item in value], source)


def _read_by_index(value: Mapping[str, Any], source: Source) -> list[str]:
    return _in_order([(_index(key), label) for key, label in value.items()], source)


def _read_by_name(value: Mapping[str, Any], source: Source) -> list[str]:
    return _in_order([(_index(index), label) for label, index in value.items()], source)


def _in_order(pairs: list[tuple[int | None, Any]], source: Source) -> list[str]:
    """Return the labels by their classes, which must be 0 to n-1, each once."""
    found: dict[int, Any] = {}
    for index, label in pairs:
        if index is None:
            raise source.error(f"has a class without a number; write {EXAMPLE}")
        if index in found:
            raise source.error(f"names class {index} twice; give each class one label")
        found[index] = label
    missing = next((number for number in range(len(found)) if number not in found), None)
    if missing is not None:
        raise source.error(
            f"has no label for class {missing}, but for class {max(found)}; classes are numbered "
            "from 0 without gaps"
        )
    return [_label(found[number], number, source) for number in range(len(found))]


def _label(value: Any, number: int, source: Source) -> str:
    """Return one name; of a list, as ["n01440764", "tench"], the last one is for people."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = value[-1]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise source.error(f"has no text as label {number}; write {EXAMPLE}")
    return " ".join(value.split())


# The shapes of JSON in which hubs and training scripts keep labels, most telling first.
SHAPES: tuple[tuple[Callable[[Any], Any], Callable[[Any, Source], list[str]]], ...] = (
    (_categories, _read_categories),
    (_list, _read_list),
    (_under(BY_INDEX), _read_by_index),
    (_under(BY_NAME), _read_by_name),
    (_under(ALSO_BY_NAME), _read_by_name),
    (_named, _read_named),
    (_by_index, _read_by_index),
    (_by_name, _read_by_name),
)
