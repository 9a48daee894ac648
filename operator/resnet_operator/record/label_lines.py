"""Lines that hold more than a name each: numbers before or behind it, quotes, a heading.

Tables and training scripts write `0,cat`; Triton would answer with the number in the name, and with
the wrong name where the lines are in another order. Only what is certain is read: every line has a
number, and the numbers are those of the classes. Also names the files that are no labels at all.
Called by `class_labels`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from resnet_contract.foreign.kinds import HEAD_BYTES, kind_of
from resnet_operator.record.label_files import Source

# No digit follows a sign: "0.5 mg" and "0-10 km" are names.
LEADING = re.compile(r"\[?(\d{1,6})\]?(?:\s*[:=|;,.)-]\s*(?![\d\s])|\s+)(\S.*)")
TRAILING = re.compile(r"(.*[^\s:=|;,])(?:\s*[:=|;,]\s*|\s+)(\d{1,6})")
QUOTED = re.compile(r"\"(?:[^\"]|\"\")*\"|'[^']*'")
HEADINGS = frozenset((
    "", "category", "class", "class id", "class index", "class name", "classid", "classname", "id",
    "idx", "index", "label", "label id", "labels", "name", "names", "no", "number",
))  # fmt: skip
# (how the text begins, what it is, what to do)
STARTS: tuple[tuple[str, str, str], ...] = (
    (r"version https://git-lfs", "is a Git LFS pointer", "fetch the file with `git lfs pull`"),
    (r"<!doctype|<html|<!--", "is a web page", "put the text of the file itself there"),
    (r"<\?xml|<(\w+)[ >](?s:.*)</\2>\s*\Z", "is an XML document", "write one label a line"),
    (r"<{7} ", "has the marks of a merge conflict", "resolve it"),
    (r"item\s*\{", "is a label map in protobuf's text form", "write one label a line"),
)
BINARY = (
    "a gzip archive",
    "a ZIP archive",
    "a NumPy array",
    "a Python pickle",
    "a bzip2 archive",
    "an xz archive",
    "a Zstandard archive",
    "a PNG picture",
    "a JPEG picture",
    "a spreadsheet of old Office",
    "a PDF document",
)


def refuse_binary(raw: bytes, source: Source) -> None:
    """Raise LabelsError for a file that is certainly no text."""
    kind = kind_of(raw[:HEAD_BYTES], BINARY)
    if kind:
        table = " or a spreadsheet" if kind.name == "a ZIP archive" else ""
        raise source.error(f"is {kind.name}{table}; put plain text there, one label a line")


def refuse_other_texts(text: str, source: Source) -> None:
    """Raise LabelsError for text that certainly is no list of labels."""
    for pattern, kind, advice in STARTS:
        if re.match(rf"\s*({pattern})", text, re.IGNORECASE):
            raise source.error(f"{kind}; {advice}")


def in_columns(lines: Sequence[str]) -> list[str] | None:
    """Return the labels of numbered or quoted lines in the order of the classes, else None."""
    kept = [line.strip() for line in lines if line.strip()]
    found = _numbered(kept)
    if found is None and len(kept) > 2 and _is_heading(kept[0]):
        found = _numbered(kept[1:])
    if found is not None:
        return found
    if len(kept) > 1 and all(QUOTED.fullmatch(line) for line in kept):
        return [_bare(line) for line in kept]
    return None


def _numbered(lines: Sequence[str]) -> list[str] | None:
    """Return the labels of lines that all have numbers, the classes', each once."""
    for pattern, number, name in ((LEADING, 1, 2), (TRAILING, 2, 1)):
        if len(lines) < 2 or not pattern.fullmatch(lines[-1]):
            continue
        found = [one for line in lines if (one := pattern.fullmatch(line))]
        pairs = {int(one[number]): _bare(one[name]) for one in found}
        if pairs.keys() != set(range(len(lines))):
            continue
        # "0 years" and "1 years" are names, of which the number is the point.
        if len(set(pairs.values())) * 2 > len(pairs):
            return [pairs[index] for index in range(len(pairs))]
    return None


def _is_heading(line: str) -> bool:
    """Tell whether a line names the columns of a table."""
    columns = re.split(r"[,;|\t]", line.lower().replace("_", " ").replace('"', ""))
    return len(columns) > 1 and all(column.strip() in HEADINGS for column in columns)


def _bare(text: str) -> str:
    """Return a name without the quotes of a table."""
    text = text.strip().rstrip(",;").strip()
    if not QUOTED.fullmatch(text):
        return text
    return text[1:-1].replace('""', '"') if text[0] == '"' else text[1:-1]
