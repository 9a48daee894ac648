"""What people see, at 80 and at 140 columns and in a pipe; `--update-golden` rewrites it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.causes import CAUSES
from tests.unit.resnet_cli.recorded import NAME, NAMESPACE, NOW, Recorded

from resnet_cli.commands.get import get_services
from resnet_cli.commands.why import why
from resnet_cli.exits import Exit
from resnet_cli.show import PIPE_WIDTH, Output, Screen

FOLDER = Path(__file__).parent / "snapshots"
WIDTHS = {"80": 80, "140": 140, "pipe": PIPE_WIDTH}
Command = Callable[[Screen], object]


def why_of(cause: str) -> Command:
    found = next(one for one in CAUSES if one.name == cause)
    cluster = Recorded(found.objects, found.logs)
    return lambda screen: why(
        cluster, screen, namespace=NAMESPACE, name=NAME, now=NOW, output=Output.TEXT
    )


def several() -> Recorded:
    """One object of each phase that people see most."""
    revisions = {"revisions": {"serving": c.REVISION}, "artifact": {"origin": "Reused"}}
    found = [
        c.service(
            "Ready", "serving revision fe12dc34ba", phase="Ready", ready="True", status=revisions
        ),
        c.service(
            "Fetching",
            "the model is being fetched",
            phase="Fetching",
            status={"progress": {"stage": "fetch", "percent": 49}},
        ),
        c.service(
            "Unschedulable",
            "0/1 nodes have 1 free huawei.com/Ascend310P; free a chip, replace an unhealthy one or "
            "add a node",
            status={"artifact": {"origin": "Converted"}},
        ),
        c.service(
            "InvalidSpec", "remove conversion.insertOps; an OM is served as it is", phase="Failed"
        ),
    ]
    for name, body in zip(
        ("digits", "resnet50-imagenet-int8", "flowers", "broken"), found, strict=True
    ):
        body["metadata"]["name"] = name
    return Recorded(found)


def get_of(namespace: str | None) -> Command:
    return lambda screen: get_services(
        several(),
        screen,
        namespace=namespace,
        name="",
        clock=lambda: NOW,
        output=Output.TEXT,
        watch=False,
    )


COMMANDS: dict[str, Command] = {
    "get": get_of(NAMESPACE),
    "get-all": get_of(None),
    "why-no-free-chip": why_of("no-free-chip"),
    "why-conversion-failed": why_of("conversion-failed"),
    "why-crash-loop": why_of("crash-loop"),
    "why-quota": why_of("quota"),
}


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
    if width != "pipe":
        lines = [line for line in text.splitlines() if not line.startswith("→")]
        assert max(map(len, lines)) <= WIDTHS[width]


def test_every_snapshot_is_of_a_command() -> None:
    wanted = {f"{name}.{width}.txt" for name in COMMANDS for width in WIDTHS}
    assert {path.name for path in FOLDER.iterdir()} == wanted


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
