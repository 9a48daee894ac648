"""What a stranger wrote is shown, and never obeyed by the terminal of who reads it."""

from __future__ import annotations

import io
import json

import pytest

from resnet_cli.picture import Cell, Column, Node, Table
from resnet_cli.show import Output, Screen

STRANGE = [
    ("an escape that clears the screen", "\x1b[2Jgone"),
    ("an escape that renames the window", "\x1b]0;root\x07"),
    ("the same in one byte", "\x9b2Jgone"),
    ("a step back over what was written", "failed\b\b\b\b\b\bready"),
    ("a line written over", "Failed\rReady "),
    ("the order turned round", "safe\u202etxt.exe"),
    ("a letter deleted", "ok\x7f"),
]
OBEYED = set("\x1b\x07\x9b\b\r\u202e\x7f")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("reason", "text"), STRANGE, ids=[row[0] for row in STRANGE])
@pytest.mark.parametrize("way", ["line", "tree", "table", "raw", "note", "json", "yaml"])
def test_no_way_of_printing_lets_it_through(
    way: str, reason: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Terminal()
    screen = Screen(file=file, width=80, colours=False)
    screen.console._force_terminal = True if way == "raw" else None
    match way:
        case "line":
            screen.line(text)
        case "tree":
            screen.tree(Node(text, children=(Node(text),)))
        case "table":
            screen.table(Table([Column("NAME"), Column("MESSAGE")], [[Cell(text), Cell(text)]]))
        case "raw":
            screen.raw(text)
        case "note":
            screen.note(text)
        case _:
            screen.data({"message": text}, Output(way))
    written = file.getvalue() + capsys.readouterr().err
    assert written.strip(), reason
    assert not OBEYED & set(written), reason


def test_a_pipe_has_the_log_as_it_is() -> None:
    file = io.StringIO()
    Screen(file=file).raw("\x1b[31mred\x1b[0m\n")
    assert file.getvalue() == "\x1b[31mred\x1b[0m\n"


def test_a_program_reads_the_text_that_was_written() -> None:
    file = io.StringIO()
    Screen(file=file).data({"message": "\x1b[2J\x9b"}, Output.JSON)
    assert json.loads(file.getvalue()) == {"message": "\x1b[2J\x9b"}
