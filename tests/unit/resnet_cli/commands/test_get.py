"""`get --watch`: a pipe gets news, a terminal one table; the end of a watch does not end it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import datetime

from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAMESPACE, NOW, Body, Recorded

from resnet_cli.commands.get import TICK_SECONDS, get_services
from resnet_cli.exits import Exit
from resnet_cli.show import Output, Screen


def fetching(message: str = "the model is being fetched") -> Body:
    progress = {"progress": {"stage": "fetch"}, "artifact": {"job": c.JOB}}
    return c.service("Fetching", message, phase="Fetching", status=progress)


READY = c.service("Ready", "serving revision fe12dc34ba", phase="Ready", ready="True")


def told(kind: str, body: Body) -> str:
    return json.dumps({"type": kind, "object": body})


@dataclass
class Rounds:
    """So many watches; between them the world is another one."""

    it: Recorded
    worlds: list[list[Body]]
    paused: list[float] = field(default_factory=list)

    def __call__(self) -> bool:
        if not self.worlds:
            return False
        self.it.objects = self.worlds.pop(0)
        return True


def watched(
    it: Recorded, *worlds: list[Body], output: Output = Output.TEXT, file: io.StringIO | None = None
) -> tuple[str, Rounds]:
    rounds = Rounds(it, list(worlds))
    out = file or io.StringIO()

    def clock() -> datetime:
        return NOW

    code = get_services(
        it,
        Screen(file=out, width=140),
        namespace=NAMESPACE,
        name="",
        clock=clock,
        output=output,
        watch=True,
        goes_on=rounds,
        pause=rounds.paused.append,
    )
    assert code is Exit.DONE
    return out.getvalue(), rounds


def test_a_pipe_gets_a_line_for_each_change_and_titles_once() -> None:
    same = fetching()
    it = Recorded([same], watched=[told("MODIFIED", same), told("MODIFIED", READY)])
    text, _ = watched(it, [READY])
    lines = text.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["NAME", "PHASE"],
        ["digits", "Fetching"],
        ["digits", "Ready"],
    ]


def test_the_end_of_a_watch_is_not_the_end() -> None:
    """What happened between two watches is in the list, and told."""
    it = Recorded([fetching()], watched=[])
    text, rounds = watched(it, [fetching("half of it")], [READY])
    assert [line.split()[1] for line in text.splitlines()[1:]] == ["Fetching", "Fetching", "Ready"]
    assert rounds.paused == [TICK_SECONDS] * 2, "a server that ends watches at once is spared"


def test_what_is_deleted_is_gone_and_may_come_again() -> None:
    it = Recorded([READY], watched=[told("DELETED", READY), told("ADDED", fetching())])
    text, _ = watched(it, [fetching()])
    assert [line.split()[1] for line in text.splitlines()[1:]] == ["Ready", "Fetching"]


def test_nothing_there_yet() -> None:
    text, _ = watched(Recorded([]), [READY])
    assert text.splitlines()[0] == "no ResNetServices here"
    assert "digits" in text


def test_programs_read_what_has_changed() -> None:
    it = Recorded([fetching()], watched=[told("MODIFIED", READY)])
    text, _ = watched(it, [READY], output=Output.JSON)
    decoder, found = json.JSONDecoder(), []
    while text.strip():
        value, end = decoder.raw_decode(text.lstrip())
        found.append(value)
        text = text.lstrip()[end:]
    assert [[row["phase"] for row in rows] for rows in found] == [["Fetching"], ["Ready"]]


def test_a_terminal_has_one_table() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    it = Recorded([fetching()], watched=[told("MODIFIED", READY)])
    text, _ = watched(it, [READY], file=Terminal())
    assert "\x1b[2K" in text, "the line before is wiped out"
    assert text.rstrip("\n").rindex("Ready") > text.rindex("Fetching")
