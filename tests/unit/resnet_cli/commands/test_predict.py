"""`predict`: what is printed of the answers; the client itself has tests of its own."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.apiserver import ROOT
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAME, Recorded

import resnet_client
from resnet_cli.asking.how import How
from resnet_cli.commands.predict import predict
from resnet_cli.exits import CliError, Exit
from resnet_cli.show import Output, Screen
from resnet_client.client import Label

PICTURES = sorted((ROOT / "samples" / "digits" / "pictures").glob("*.png"))[:2]


class Answering:
    """Stands for the client: one place for each label, and what it was made with."""

    made: dict[str, Any]

    def __init__(self, url: str, model: str, **options: Any) -> None:
        Answering.made = {"url": url, "model": model, **options}

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None: ...

    contract = None

    def classify(self, pictures: list[Path], *, top: int) -> list[list[Label]]:
        if pictures[0].name == "broken.png":
            raise resnet_client.ClientError("the server refused the request: no")
        names = ("seven", "one", "four")[:top]
        return [[Label(name, 9.5 - at, at) for at, name in enumerate(names)] for _ in pictures]


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet_client, "Client", Answering)


HOW = How("npu.example:8000")


def printed(
    output: Output,
    pictures: list[Path] | None = None,
    *,
    how: How = HOW,
    preset: str | None = None,
) -> str:
    out = io.StringIO()
    ticks = iter(range(100))
    cluster = Recorded([c.service("Ready", "serving", ready="True")])
    code = predict(
        cluster,
        Screen(file=out, width=80),
        name=NAME,
        pictures=pictures or PICTURES,
        top=2,
        how=how,
        preset=preset,
        output=output,
        clock=lambda: next(ticks) / 100,
    )
    assert code is Exit.DONE
    return out.getvalue()


def test_labels_and_times() -> None:
    lines = printed(Output.TEXT).splitlines()
    assert len(lines) == 1 + 2 * len(PICTURES)
    assert lines[1].split()[-5:] == ["1", "seven", "9.500", "10.0", "ms"]
    assert lines[2].split() == ["2", "one", "8.500"]


def test_json() -> None:
    found = json.loads(printed(Output.JSON))
    assert [row["picture"] for row in found] == [str(path) for path in PICTURES]
    assert found[0]["labels"][0] == {"label": "seven", "score": 9.5, "class": 0}


def test_how_the_client_is_made() -> None:
    how = How("npu.example:8000", grpc=True, ca="ca.pem")
    printed(Output.JSON, how=how, preset="digits")
    made = Answering.made
    assert (made["url"], made["model"], made["protocol"]) == ("npu.example:8000", NAME, "grpc")
    assert made["tls"].ca == "ca.pem"


def test_a_refusal_is_a_sentence_and_a_code(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    with pytest.raises(CliError, match="the server refused the request") as caught:
        printed(Output.TEXT, [broken])
    assert caught.value.exit_code is Exit.NO_ANSWER


def test_a_picture_that_is_not_there() -> None:
    with pytest.raises(CliError, match="there is no such file") as caught:
        printed(Output.TEXT, [Path("nowhere.png")])
    assert caught.value.exit_code is Exit.BAD_FILE
