"""Progress: the step's number, and how long it took here before; nothing is told of no work."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from devkit.progress import Durations, Steps, announcement, cache_root, spoken

if TYPE_CHECKING:
    from pathlib import Path

SPOKEN = [
    (0.0, "1 s", "nothing takes no time"),
    (0.4, "1 s", "rounded, but not to nothing"),
    (59.4, "59 s", "below a minute"),
    (59.6, "1 min", "rounding goes over the minute"),
    (80.0, "1 min 20 s", "both"),
    (120.0, "2 min", "no zero seconds"),
    (9 * 60 + 59.0, "9 min 59 s", "seconds matter yet"),
    (13 * 60 + 45.0, "13 min", "and then no more"),
]


@pytest.mark.parametrize(("seconds", "text", "reason"), SPOKEN)
def test_durations_are_spoken(seconds: float, text: str, reason: str) -> None:
    assert spoken(seconds) == text, reason


def test_a_step_says_what_is_known_of_it() -> None:
    assert announcement(2, 9, "helm", None) == "[2/9] helm ..."
    assert announcement(2, 9, "helm", 71.0) == "[2/9] helm (took 1 min 11 s here before) ..."


class Clock:
    """Each look is one step of `seconds` later."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def run(folder: Path, *names: str, clock: Clock) -> str:
    out = io.StringIO()
    told = Steps({"a": "the first", "b": "the second"}, Durations(folder), out, clock)
    for name in names:
        with told.step(name):
            pass
    return out.getvalue()


def test_the_second_run_knows_the_first(tmp_path: Path) -> None:
    first = run(tmp_path / "durations", "a", "b", clock=Clock(12))
    assert first.splitlines() == [
        "[1/2] the first ...",
        "      done in 12 s",
        "[2/2] the second ...",
        "      done in 12 s",
    ]
    second = run(tmp_path / "durations", "b", clock=Clock(5))
    assert second.splitlines() == ["[2/2] the second (took 12 s here before) ...",
                                   "      done in 5 s"]  # fmt: skip
    assert Durations(tmp_path / "durations").get("b") == 5


def test_a_step_that_failed_teaches_nothing(tmp_path: Path) -> None:
    told = Steps({"a": "the first"}, Durations(tmp_path), io.StringIO(), Clock(3))
    with pytest.raises(KeyError), told.step("a"):
        raise KeyError
    assert Durations(tmp_path).get("a") is None


@pytest.mark.parametrize("text", ["", "soon", "1,5"])
def test_a_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_text(text)
    assert Durations(tmp_path).get("a") is None


def test_a_cache_that_cannot_be_written_costs_only_the_estimate(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Durations(tmp_path / "file" / "below").put("a", 3)


def test_the_cache_moves_as_its_owner_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "resnet-operator"
