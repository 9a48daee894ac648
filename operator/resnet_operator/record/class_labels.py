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
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from resnet_operator.errors import InvalidSpec
from resnet_operator.record.artifact import Artifact, TensorInfo
from resnet_operator.record.label_files import LabelsError, Source, structured
from resnet_operator.record.label_lines import in_columns, refuse_binary, refuse_other_texts

__all__ = [
    "LabelsError",
    "Source",
    "count_labels",
    "labelled_name",
    "labelled_output",
    "labels_of",
    "normalise",
    "output_of_classes",
]

# A revision's ConfigMap, of 1 MiB at most, holds the labels beside the pod template.
MAX_BYTES = 900_000
MAX_CHARACTERS = 1_000  # of one label: it stands in every answer
# Longest first: UTF-32's mark begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARK = "\ufeff"
# Seen by nobody and kept by Triton: blanks without width, and what turns the text around.
UNSEEN = "\u200b\u200e\u200f\u2060\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def labels_of(config_map: Mapping[str, Any], source: Source) -> str:
    """Return one label a line out of a ConfigMap's key; raises LabelsError."""
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    if source.key in data:
        return normalise(str(data[source.key]), source)
    if source.key in binary:
        return normalise(_decode(str(binary[source.key]), source), source)
    has = ", ".join(sorted([*data, *binary])[:5]) or "nothing"
    raise LabelsError(
        f'ConfigMap "{source.name}" has no key "{source.key}", only {has}; '
        "correct model.classLabels or add the key"
    )


def normalise(text: str, source: Source) -> str:
    """Return the text as Triton is to read it; raises LabelsError."""
    text = text.removeprefix(MARK)
    refuse_other_texts(text, source)
    found = structured(text, source)
    if found is None:
        found = in_columns(text.replace("\r", "\n").split("\n"))
    if found is not None:
        return _checked(found, source)
    if _is_clean(text):
        return _bounded(text, source)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _checked(lines, source)


def count_labels(text: str) -> int:
    """Return how many labels Triton reads; empty lines at the end are none."""
    stripped = text.rstrip()
    return stripped.count("\n") + 1 if stripped else 0


def labelled_output(artifact: Artifact, labels: str, *, wanted: str | None) -> TensorInfo:
    """Return the output whose classes are named: the one asked for, else the one that fits.

    Raises InvalidSpec where none fits, or several do and the first is not among them.
    """
    first = labels.partition("\n")[0]
    return output_of_classes(artifact, count_labels(labels), wanted=wanted, first=first)


def output_of_classes(
    artifact: Artifact, count: int, *, wanted: str | None, first: str = ""
) -> TensorInfo:
    """Return the output with so many classes, as `labelled_output` does."""
    if wanted is not None:
        output = next((o for o in artifact.outputs if o.name == wanted), None)
        if output is None:
            known = ", ".join(output.name for output in artifact.outputs)
            raise InvalidSpec(
                f'model.classLabels.output names "{wanted}"; the model\'s outputs are: {known}'
            )
        if _classes(output) != count:
            raise _misfit(count, (output,), first)
        return output
    fitting = [output for output in artifact.outputs if output.dims and _classes(output) == count]
    if not fitting:
        raise _misfit(count, artifact.outputs, first)
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


def _misfit(count: int, outputs: tuple[TensorInfo, ...], first: str) -> InvalidSpec:
    if all(_classes(output) <= 1 for output in outputs):
        return InvalidSpec(
            f"remove model.classLabels; the model's output {outputs[0].name} is one number, "
            "and not one for each class"
        )
    numbers = ", ".join(f"{output.name} has {_classes(output)}" for output in outputs)
    which = "the model's output" if len(outputs) == 1 else "of the model's outputs"
    return InvalidSpec(
        f"model.classLabels has {count} label{'s' * (count != 1)}, {which} {numbers} "
        f"classes; {_hint(count, {_classes(output) for output in outputs}, first)}"
    )


def _hint(count: int, classes: set[int], first: str) -> str:
    """What the usual misfits are, and what to do about them."""
    if count - 1 in classes:
        return f'remove the first, "{_clipped(first)}", if it is a heading or no class of the model'
    if count + 1 in classes:
        return 'add "background" as the first line if it is class 0, as in TensorFlow\'s models'
    if count == 1 and first.count(",") + 1 in classes:
        return "write one label a line"
    return "correct the ConfigMap"


def _clipped(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:29]}…"


def _classes(output: TensorInfo) -> int:
    return math.prod(output.dims)


def _decode(encoded: str, source: Source) -> str:
    """Return text from a ConfigMap's binaryData, where kubectl puts all that is not UTF-8."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise source.error("is not valid base64; create the ConfigMap again") from error
    refuse_binary(raw, source)
    is_wide = b"\0" in raw and not raw.startswith(tuple(mark for mark, _ in MARKS))
    if is_wide:
        raise source.error("is binary, or UTF-16 without a byte order mark; save it as UTF-8 text")
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
    return char == MARK or char in UNSEEN or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}


def _stripped(line: str) -> str:
    return line.strip().strip(UNSEEN).strip()


def _checked(found: list[str], source: Source) -> str:
    labels = [_stripped(label) for label in found]
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
    for number, line in enumerate(text.split("\n")):
        if len(line) > MAX_CHARACTERS:
            raise source.error(
                f"has {len(line):,} characters as label {number}, more than {MAX_CHARACTERS:,}; "
                "write one label a line"
            )
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise source.error(
            f"holds {size:,} bytes of labels, more than the {MAX_BYTES:,} that a revision can "
            "hold; shorten them, for example to the first name of each class"
        )
    return text
