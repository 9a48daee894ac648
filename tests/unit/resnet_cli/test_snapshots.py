"""What people see, at 80 and at 140 columns and in a pipe; `--update-golden` rewrites it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.unit.resnet_cli.shown import COMMANDS, WHOLE

from resnet_cli import app
from resnet_cli.exits import Exit
from resnet_cli.lines.change import rollout
from resnet_cli.show import PIPE_WIDTH, Screen

FOLDER = Path(__file__).parent / "snapshots"
WIDTHS = {"80": 80, "140": 140, "pipe": PIPE_WIDTH}


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_snapshot(name: str, width: str, update: bool) -> None:
    out = io.StringIO()
    COMMANDS[name](Screen(file=out, width=WIDTHS[width]))
    text, path = out.getvalue(), FOLDER / f"{name}.{width}.txt"
    if update:
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), "run: pytest tests/unit/resnet_cli --update-golden"
    assert "\x1b" not in text, "no colours where it is no terminal"
    if width != "pipe" and name not in WHOLE:
        lines = [line for line in text.splitlines() if not line.startswith("→")]
        assert max(map(len, lines)) <= WIDTHS[width]


def test_every_snapshot_is_of_a_command() -> None:
    wanted = {f"{name}.{width}.txt" for name in COMMANDS for width in WIDTHS}
    assert {path.name for path in FOLDER.iterdir()} == wanted


def test_every_command_has_a_snapshot() -> None:
    below = {f"rollout-{one.name}" for one in rollout.registered_commands}
    shown = {name if name in below else name.partition("-")[0] for name in COMMANDS}
    assert shown == {*app.COMMANDS, *below}


def test_a_terminal_has_colours() -> None:
    out = io.StringIO()
    COMMANDS["get"](Screen(file=out, width=140, colours=True))
    assert "\x1b[32m" in out.getvalue()


def test_marks_are_plain_where_the_terminal_knows_no_others() -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    out = Ascii()
    COMMANDS["why-quota"](Screen(file=out, width=140))
    assert out.getvalue().isascii()


def test_a_pipe_breaks_no_line() -> None:
    out = io.StringIO()
    assert COMMANDS["why-no-free-chip"](Screen(file=out)) is Exit.NOT_WELL
    last = out.getvalue().splitlines()[-1]
    assert last.startswith("→ free a chip")
    assert last.endswith("(1 huawei.com/Ascend310P held by robots/yolo-7f)")
