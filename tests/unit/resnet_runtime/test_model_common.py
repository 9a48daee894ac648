"""model_common.py: the termination message, PYTHONPATH, unexpected failures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.resnet_runtime.stub import TritonModelException

from resnet_runtime.model_common import reported_load, use_pythonpath
from resnet_runtime.settings import LoadError
from resnet_runtime.termination import write_termination

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Message = Callable[[], dict[str, Any]]


def test_the_first_message_stays(left_behind: Message) -> None:
    write_termination("ChipMismatch", "the cause")
    write_termination("ModelLoadFailed", "what followed")
    assert left_behind() == {"reason": "ChipMismatch", "message": "the cause", "code": None}


@pytest.mark.parametrize("detail", ["x" * 20_000, '"\\' * 5_000, "芯片" * 5_000])
def test_a_long_detail_is_cut_not_the_json(
    termination_log: Path, left_behind: Message, detail: str
) -> None:
    write_termination("ModelLoadFailed", "芯" * 1000, code="545001", detail=detail)
    assert termination_log.stat().st_size <= 1500
    assert len(left_behind()["message"]) == 300
    assert left_behind()["code"] == "545001"
    assert detail.startswith(left_behind()["detail"])
    assert left_behind()["detail"]


def test_no_termination_log_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESNET_TERMINATION_LOG", str(tmp_path / "none" / "log"))
    write_termination("ModelLoadFailed", "why")
    assert "'message': 'why'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (LoadError("no", reason="ChipMismatch"), "ChipMismatch", "no"),
        (MemoryError(), "OutOfMemory", "raise serving.resources"),
        (KeyError("input"), "ModelLoadFailed", "KeyError: 'input'"),
    ],
)
def test_every_failure_of_a_load_is_reported(
    left_behind: Message, error: Exception, reason: str, words: str
) -> None:
    with pytest.raises((TritonModelException, KeyError)), reported_load():
        raise error
    assert left_behind()["reason"] == reason
    assert words in left_behind()["message"]


def test_pythonpath_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/model", "/known"])
    monkeypatch.setenv("PYTHONPATH", "/cann/python:/known::/cann/more")
    use_pythonpath()
    assert sys.path == ["/cann/python", "/cann/more", "/model", "/known"]
