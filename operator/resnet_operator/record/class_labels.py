"""Names of classes: from whatever people keep them in to the lines that Triton reads.

Triton splits `labels.txt` at line feeds and keeps everything else, so a carriage return or a byte
order mark would end up in every answer. The text is therefore normalised once, here, before
anything else sees it. Text that Triton reads rightly is kept to the letter: the revision's name
covers it. Called by `observe`, `plan.contract` and `render`.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resnet_operator.errors import InvalidSpec
from resnet_operator.record.artifact import Artifact, TensorInfo

# A revision's ConfigMap, of 1 MiB at most, holds the labels beside the pod template.
MAX_BYTES = 900_000
# Longest first: UTF-32's mark begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARK = "\ufeff"
JSON_START = re.compile(r"\s*(\{|\[\s*[\[{\"\]])")
# Keys under which hubs keep the names in config.json, and which way round.
BY_INDEX, BY_NAME = "id2label", "label2id"
EXAMPLE = '["cat", "dog"] or {"0": "cat", "1": "dog"}'


class LabelsError(ValueError):
    """The labels cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """The ConfigMap's name and key, for messages."""

    name: str
    key: str

    def error(self, what: str) -> LabelsError:
        return LabelsError(f'key "{self.key}" of ConfigMap "{self.name}" {what}')


def labels_of(config_map: Mapping[str, Any], source: Source) -> str:
    """Return one label a line out of a ConfigMap's key; raises LabelsError."""
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    if source.key in data:
        return normalise(str(data[source.key]), source)
    if source.key in binary:
        return normalise(_decode(str(binary[source.key]), source), source)
    has = ", ".join(sorted([*data, *binary])[:5]) or "nothing"
    raise LabelsError(f'ConfigMap "{source.name}" has no key "{source.key}"; it has {has}')


def normalise(text: str, source: Source) -> str:
    """Return the text as Triton is to read it; raises LabelsError."""
    text = text.removeprefix(MARK)
    if JSON_START.match(text):
        return _checked(_from_json(text, source), source)
    if _is_clean(text):
        return _bounded(text, source)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _checked([line.strip() for line in lines], source)


def count_labels(text: str) -> int:
    """Return how many labels Triton reads; empty lines at the end are none."""
    stripped = text.rstrip()
    return stripped.count("\n") + 1 if stripped else 0


def labelled_output(artifact: Artifact, labels: str, *, wanted: str | None) -> TensorInfo:
    """Return the output whose classes are named: the one asked for, else the one that fits.

    Raises InvalidSpec where none fits, or several do and the first is not among them.
    """
    return output_of_classes(artifact, count_labels(labels), wanted=wanted)


def output_of_classes(artifact: Artifact, count: int, *, wanted: str | None) -> TensorInfo:
    """Return the output with so many classes, as `labelled_output` does."""
    if wanted is not None:
        output = next((o for o in artifact.outputs if o.name == wanted), None)
        if output is None:
            known = ", ".join(output.name for output in artifact.outputs)
            raise InvalidSpec(
                f'model.classLabels.output names "{wanted}"; the model\'s outputs are: {known}'
            )
        if _classes(output) != count:
            raise _misfit(count, (output,))
        return output
    fitting = [output for output in artifact.outputs if output.dims and _classes(output) == count]
    if not fitting:
        raise _misfit(count, artifact.outputs)
    if len(fitting) > 1 and fitting[0] is not artifact.outputs[0]:
        named = ", ".join(output.name for output in fitting)
        raise InvalidSpec(
            f"write model.classLabels.output: the model has several outputs with {count} classes "
            f"({named})"
        )
    return fitting[0]


def labelled_name(artifact: Artifact, labels: str | None, *, wanted: str | None) -> str | None:
    """Return that output's name for a config.pbtxt; `plan` has refused labels that do not fit."""
    if labels is None:
        return None
    try:
        return labelled_output(artifact, labels, wanted=wanted).name
    except InvalidSpec:
        return artifact.outputs[0].name


def _misfit(count: int, outputs: tuple[TensorInfo, ...]) -> InvalidSpec:
    if all(_classes(output) <= 1 for output in outputs):
        return InvalidSpec(
            f"remove model.classLabels; the model's output {outputs[0].name} is one number, "
            "and not one for each class"
        )
    numbers = ", ".join(f"{output.name} has {_classes(output)}" for output in outputs)
    which = "the model's output" if len(outputs) == 1 else "of the model's outputs"
    return InvalidSpec(
        f"model.classLabels has {count} label{'s' * (count != 1)}, {which} {numbers} "
        "classes; correct the ConfigMap"
    )


def _classes(output: TensorInfo) -> int:
    return math.prod(output.dims)


def _decode(encoded: str, source: Source) -> str:
    """Return text from a ConfigMap's binaryData, where kubectl puts all that is not UTF-8."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise source.error("is not valid base64; create the ConfigMap again") from error
    encoding = next((name for mark, name in MARKS if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise source.error(
            f"is not UTF-8 text (line {line}); convert it, for example by "
            "iconv -f LATIN1 -t UTF-8, and create the ConfigMap again"
        ) from error


def _is_clean(text: str) -> bool:
    """Tell whether Triton reads the labels rightly as they are."""
    if any(_is_control(char) for char in text if char != "\n"):
        return False
    return all(line == line.strip() for line in text.rstrip().split("\n"))


def _is_control(char: str) -> bool:
    """Tell whether a character would end a line in some reader, or hide in an answer."""
    return char == MARK or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}


def _checked(labels: list[str], source: Source) -> str:
    while labels and not labels[-1]:
        labels.pop()
    for number, label in enumerate(labels):
        odd = next((char for char in label if _is_control(char) and char != "\t"), None)
        if odd is not None:
            raise source.error(
                f"has the control character U+{ord(odd):04X} in label {number}; remove it"
            )
    return _bounded("".join(f"{label}\n" for label in labels), source)


def _bounded(text: str, source: Source) -> str:
    if not text.strip():
        raise source.error("holds no labels; write one label a line, the first being class 0")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise source.error(
            f"holds {size:,} bytes of labels, more than the {MAX_BYTES:,} that a revision can "
            "hold; shorten them, for example to the first name of each class"
        )
    return text


def _from_json(text: str, source: Source) -> list[str]:
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
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
        return value if 0 <= value < MAX_BYTES else None
    text = value if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else None


def _read_list(value: list[Any], source: Source) -> list[str]:
    return [_label(item, number, source) for number, item in enumerate(value)]


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
    (_list, _read_list),
    (_under(BY_INDEX), _read_by_index),
    (_under(BY_NAME), _read_by_name),
    (_by_index, _read_by_index),
    (_by_name, _read_by_name),
)
