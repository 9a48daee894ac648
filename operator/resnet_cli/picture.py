"""What commands print, before anything is printed: trees, tables and lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from resnet_contract.foreign.harmless import harmless


class Tone(Enum):
    """How a line is meant: its mark, and its style where there are colours."""

    GOOD = ("✓", "green")
    BAD = ("✗", "red")
    WAITS = ("…", "yellow")
    PLAIN = ("", "")


@dataclass(frozen=True)
class Node:
    text: str
    tone: Tone = Tone.PLAIN
    children: tuple[Node, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        found: dict[str, Any] = {"text": self.text}
        if self.tone is not Tone.PLAIN:
            found["state"] = self.tone.name.lower()
        if self.children:
            found["children"] = [child.plain() for child in self.children]
        return found


@dataclass(frozen=True)
class Column:
    """`rank` says which columns a narrow terminal does without: the highest goes first."""

    title: str
    rank: int = 0
    grows: bool = False


@dataclass(frozen=True)
class Cell:
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Table:
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    def harmless(self) -> Table:
        rows = [[replace(cell, text=harmless(cell.text)) for cell in row] for row in self.rows]
        return Table(self.columns, rows)


LEAST_GROWING = 20
GAP = 2


def fitting(table: Table, width: int) -> list[tuple[int, int]]:
    """Return the columns that fit into `width` and how wide each is."""
    natural = [
        max([len(column.title), *(len(row[at].text) for row in table.rows)])
        for at, column in enumerate(table.columns)
    ]
    kept = list(range(len(table.columns)))
    while True:
        least = sum(
            min(natural[at], LEAST_GROWING) if table.columns[at].grows else natural[at]
            for at in kept
        )
        least += GAP * (len(kept) - 1)
        droppable = [at for at in kept if table.columns[at].rank]
        if least <= width or not droppable:
            break
        kept.remove(max(droppable, key=lambda at: (table.columns[at].rank, at)))
    growing = [at for at in kept if table.columns[at].grows]
    fixed = sum(natural[at] for at in kept if at not in growing) + GAP * (len(kept) - 1)
    room = max((width - fixed) // len(growing), LEAST_GROWING) if growing else 0
    return [(at, min(natural[at], room) if at in growing else natural[at]) for at in kept]
