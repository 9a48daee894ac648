"""`get --watch`: a pipe gets news, a terminal one table; the end of a watch does not end it."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAMESPACE, NOW, Body, Recorded

from resnet_cli.commands.get import TICK_SECONDS, get_objects
from resnet_cli.exits import CliError, Exit
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
    """Watch services alone: each kind has a watch of its own, and the rounds are of one."""
    it.forbidden = frozenset({"ResNetBatch"})
    rounds = Rounds(it, list(worlds))
    out = file or io.StringIO()

    def clock() -> datetime:
        return NOW

    code = get_objects(
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
    assert text.splitlines()[0] == "no ResNetServices and no ResNetBatches here"
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


BATCH = c.batch(
    "Running",
    "pictures are being classified",
    phase="Running",
    pictures={"done": 3000, "total": 10_000, "failed": 2},
    picturesPerSecond=51.2,
    estimatedCompletionTime=c.at(minutes=-3),
)


def shown(it: Recorded, name: str = "", output: Output = Output.TEXT) -> str:
    out = io.StringIO()
    get_objects(
        it,
        Screen(file=out, width=140),
        namespace=NAMESPACE,
        name=name,
        clock=lambda: NOW,
        output=output,
        watch=False,
    )
    return out.getvalue()


def test_batches_stand_below_the_services_in_columns_of_their_own() -> None:
    services, batches = shown(Recorded([READY, BATCH])).split("\n\n")
    assert services.splitlines()[1].split()[:2] == ["digits", "Ready"]
    titles, line = batches.splitlines()
    assert titles.split() == [
        *("NAME", "SERVICE", "PHASE", "DONE", "TOTAL", "RATE", "ETA", "AGE", "MESSAGE")
    ]
    assert line.split()[:8] == [
        *("archive", "digits", "Running", "3000", "10000", "51.2", "3m", "10m")
    ]


@pytest.mark.parametrize("name", ["batch/archive", "rnb/archive", "ResNetBatches/archive"])
def test_one_batch_is_named_as_kubectl_names_it(name: str) -> None:
    assert "archive" in shown(Recorded([READY, BATCH]), name)
    with pytest.raises(CliError) as caught:
        shown(Recorded([READY]), name)
    assert caught.value.exit_code is Exit.NOT_FOUND


def test_a_name_alone_is_a_services_before_it_is_a_batchs() -> None:
    both = Recorded([READY, BATCH | {"metadata": c.meta(c.NAME)}])
    assert "serving revision" in shown(both, c.NAME)
    assert "pictures are being" in shown(Recorded([BATCH]), c.BATCH)
    with pytest.raises(CliError, match='resnetservices "nothing" not found'):
        shown(both, "nothing")


@pytest.mark.parametrize("name", ["pod/archive", "batch/", "a/b/c"])
def test_another_kind_is_not_shown(name: str) -> None:
    with pytest.raises(CliError, match="write NAME, or batch/NAME") as caught:
        shown(Recorded([]), name)
    assert caught.value.exit_code is Exit.USAGE


@pytest.mark.parametrize(
    ("objects", "kinds"),
    [
        ([READY], ["ResNetService"]),
        ([BATCH], ["ResNetBatch"]),
        ([BATCH, READY], ["ResNetService", "ResNetBatch"]),
        ([BATCH, READY | {"metadata": c.meta(c.BATCH)}], ["ResNetService", "ResNetBatch"]),
    ],
)
def test_a_program_sees_which_kind_a_row_is_of(objects: list[Body], kinds: list[str]) -> None:
    rows = json.loads(shown(Recorded(objects), output=Output.JSON))
    assert [row["kind"] for row in rows] == kinds
    assert all(
        len({"namespace", "name", "phase", "age", "message"} & row.keys()) == 5 for row in rows
    )


def test_where_batches_may_not_be_read_services_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = shown(Recorded([READY, BATCH], forbidden=frozenset({"ResNetBatch"})))
    assert "archive" not in text
    assert "digits" in text
    assert "not readable with these rights: ResNetBatch" in capsys.readouterr().err


def test_both_kinds_are_watched() -> None:
    it = Recorded([READY, BATCH], watched=[told("MODIFIED", fetching())])
    both, begun = threading.Barrier(2), set[int]()

    def goes_on() -> bool:
        """Let each kind be watched once, and neither end before the other has begun."""
        if threading.get_ident() in begun:
            return False
        begun.add(threading.get_ident())
        both.wait()
        return True

    out = io.StringIO()
    get_objects(
        it,
        Screen(file=out, width=140),
        namespace=NAMESPACE,
        name="",
        clock=lambda: NOW,
        output=Output.TEXT,
        watch=True,
        goes_on=goes_on,
        pause=lambda _: None,
    )
    watches = {line.partition("?")[0].rpartition("/")[2] for line in it.asked if "watch" in line}
    assert watches == {"resnetservices", "resnetbatches"}
    assert "Fetching" in out.getvalue()
