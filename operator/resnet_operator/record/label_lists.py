"""A list of names as Python, YAML and TOML write it. Called by `label_files`. Pure."""

from __future__ import annotations

import re

# Under which training scripts keep them, as a list or by index.
NAMES = ("names", "labels", "classes", "class_names", "label_names", "idx_to_class", "CLASSES")
# A list as Python, YAML and TOML write it, by itself or as a setting.
OPENING = re.compile(
    rf"^(?:(?:{'|'.join(NAMES)})\s*[:=]\s*|(?:\w+\s*=\s*)?(?=[\[(]\s*['\"]))[\[(]", re.MULTILINE
)
BARE = r"[^'\"\[\](){},#\s]"
ITEM = re.compile(
    r"\s*(?:'((?:[^'\\\n]|\\['\"\\])*)'|\"((?:[^\"\\\n]|\\['\"\\])*)\"|"
    rf"({BARE}(?:(?:{BARE}|[ \t])*{BARE})?))\s*(?:,|(?=[\])]))"
)
SETTING = re.compile(r"\s*(?:#.*|[A-Za-z_]\w*\s*[:=].*|---|\[\w+\])?")


def listed(text: str) -> list[str] | None:
    """Return the items of a list, with nothing but settings around it; None for anything else."""
    opened = OPENING.search(text)
    if opened is None:
        return None
    items: list[str] = []
    at = opened.end()
    while found := ITEM.match(text, at):
        written = next(part for part in found.groups() if part is not None)
        items.append(" ".join(re.sub(r"\\(.)", r"\1", written).split()))
        at = found.end()
    rest = text[at:].lstrip()
    others = f"{text[: opened.start()]}\n{rest[1:].lstrip(' ;,')}".split("\n")
    is_closed = bool(items) and rest[:1] in {"]", ")"}
    return items if is_closed and all(SETTING.fullmatch(line.rstrip()) for line in others) else None
