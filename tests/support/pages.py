"""The commands of a documentation page, so that a test runs what its readers run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(r"^```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,4} +(?P<title>.+?) *$", re.MULTILINE)
SHELL = {"sh", "console"}


def blocks(page: Path, kind: str) -> list[str]:
    """Return the texts of the fenced blocks of one kind, in their order."""
    text = page.read_text(encoding="utf-8")
    return [match["text"] for match in BLOCK.finditer(text) if match["kind"] == kind]


def commands(page: Path) -> dict[str, str]:
    """Return what a reader types, by heading. Of a console's block only lines after `$`."""
    found: dict[str, str] = {}
    title = ""
    text = page.read_text(encoding="utf-8")
    steps = [*HEADING.finditer(BLOCK.sub(lambda m: "\n" * m[0].count("\n"), text))]
    lines = {text.count("\n", 0, m.start()): m for m in BLOCK.finditer(text)}
    plain = BLOCK.sub(lambda m: "\n" * m[0].count("\n"), text)
    heads = {plain.count("\n", 0, m.start()): m["title"] for m in steps}
    for line in sorted({*lines, *heads}):
        title = heads.get(line, title)
        match = lines.get(line)
        if match and match["kind"] in SHELL:
            found[title] = found.get(title, "") + _typed(match["kind"], match["text"])
    return found


def _typed(kind: str, text: str) -> str:
    if kind == "sh":
        return text
    return "".join(line[2:] + "\n" for line in text.splitlines() if line.startswith("$ "))
