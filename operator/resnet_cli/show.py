"""Prints pictures: with colours for people, plainly into pipes, or as JSON and YAML."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from textwrap import wrap
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from resnet_cli.picture import GAP, Node, Table, Tone, fitting
from resnet_contract.foreign.harmless import CONTROLS, harmless

# A line in a pipe is not broken: whoever reads it looks for words.
PIPE_WIDTH = 10_000
GUIDES = ("├── ", "│   ", "└── ")
PLAIN_GUIDES = ("|-- ", "|   ", "`-- ")
OBEYED = re.compile(f"[{''.join(map(chr, CONTROLS))}]")
PLAIN_MARKS = {"✓": "+", "✗": "x", "…": "-"}


class Output(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


class Screen:
    """Standard output; `width` is that of the terminal unless a test says it."""

    def __init__(
        self, *, file: TextIO | None = None, width: int | None = None, colours: bool | None = None
    ) -> None:
        to = file or sys.stdout
        is_terminal = to.isatty()
        self.console = Console(
            file=to,
            width=width or (None if is_terminal else PIPE_WIDTH),
            force_terminal=colours,
            highlight=False,
            emoji=False,
            markup=False,
        )
        self.speaks_unicode = _can_write(to, "✓✗…└→")

    @property
    def width(self) -> int:
        return self.console.width

    def line(
        self, text: str, tone: Tone = Tone.PLAIN, *, bold: bool = False, whole: bool = False
    ) -> None:
        """Print a line; one that is to be kept `whole` is left to the terminal to break."""
        style = f"{tone.value[1]}{' bold' if bold else ''}".strip()
        soft_wrap = whole or self.width >= PIPE_WIDTH
        self.console.print(Text(harmless(text), style=style), soft_wrap=soft_wrap)

    def tree(self, node: Node) -> None:
        self._branch(node, first="", rest="")

    def _branch(self, node: Node, *, first: str, rest: str) -> None:
        mark, style = node.tone.value
        mark = mark if self.speaks_unicode else PLAIN_MARKS.get(mark, mark)
        body = harmless(" ".join(node.text.split()))
        guides = GUIDES if self.speaks_unicode else PLAIN_GUIDES
        lines = wrap(f"{mark} {body}".strip(), self.width - len(rest) - len(guides[1])) or [""]
        for at, line in enumerate(lines):
            text = Text(first if at == 0 else rest + (guides[1] if node.children else ""), "dim")
            if at == 0 and mark:
                text.append(mark, style=style)
            text.append(line.removeprefix(mark) if at == 0 else line)
            self.console.print(text, no_wrap=True, overflow="ignore", crop=False)
        for place, child in enumerate(node.children):
            is_last = place + 1 == len(node.children)
            self._branch(
                child,
                first=rest + (guides[2] if is_last else guides[0]),
                rest=rest + ("    " if is_last else guides[1]),
            )

    def note(self, text: str) -> None:
        """Say something beside the answer; it is not in the way of what reads that."""
        sys.stderr.write(f"{harmless(text)}\n")

    def raw(self, text: str) -> None:
        """Print text of others as it is; a terminal obeys none of it."""
        self.console.file.write(harmless(text) if self.console.is_terminal else text)
        self.console.file.flush()

    def table(self, table: Table, *, titles: bool = True) -> None:
        for line in self._lines(table, titles=titles):
            self.console.print(line, no_wrap=True, overflow="ignore", crop=False)

    @contextmanager
    def replaced(self) -> Iterator[Callable[[Sequence[Table]], None]]:
        """Give how to print tables over those before; of a terminal alone."""

        def lines(tables: Sequence[Table]) -> Iterator[Text]:
            for at, table in enumerate(tables):
                yield from [Text("")] if at else []
                yield from self._lines(table)

        with Live(console=self.console, auto_refresh=False) as live:
            yield lambda tables: live.update(Group(*lines(tables)), refresh=True)

    def _lines(self, table: Table, *, titles: bool = True) -> Iterator[Text]:
        table = table.harmless()
        columns = fitting(table, self.width)
        if titles:
            shown = (table.columns[at].title.ljust(size) for at, size in columns)
            yield Text((" " * GAP).join(shown).rstrip(), style="bold")
        for row in table.rows:
            line = Text(no_wrap=True, overflow="ellipsis")
            for place, (at, size) in enumerate(columns):
                text = row[at].text
                cut = text if len(text) <= size else f"{text[: size - 1]}…"
                line.append(cut.ljust(size), style=row[at].tone.value[1])
                if place + 1 < len(columns):
                    line.append(" " * GAP)
            line.rstrip()
            yield line

    def result(self, text: str, value: Any, output: Output, *, tone: Tone = Tone.PLAIN) -> None:
        """Print what was done: a line for people, the same as data for programs."""
        if output is Output.TEXT:
            self.line(text, tone)
        else:
            self.data(value, output)

    def data(self, value: Any, output: Output) -> None:
        """Print what a program reads; never wrapped, never coloured."""
        if output is Output.JSON:
            text = json.dumps(value, indent=2, ensure_ascii=False)
            text = OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        else:
            import yaml

            dump = partial(yaml.safe_dump, value, sort_keys=False, width=100)
            text = str(dump(allow_unicode=True)).rstrip()
            if OBEYED.search(text):
                text = str(dump(allow_unicode=False)).rstrip()
        self.console.file.write(text + "\n")


def _can_write(to: TextIO, text: str) -> bool:
    try:
        text.encode(to.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
