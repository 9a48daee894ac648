"""The termination message: always whole JSON, always within the kubelet's share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.apiserver import ROOT

from resnet_jobs.base.errors import JobError, Reason, clip
from resnet_jobs.base.report import check_fits
from resnet_jobs.driver.message import fit_message, write_message

SENTENCE = "ATC E10016: the input is not in the model"

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a small message stays as it is", {"ok": True, "sha256": "ab"}, {"ok": True, "sha256": "ab"}),
    (
        "the log gives way before the sentence, its end stays",
        {"message": SENTENCE, "detail": "start\n" + "x" * 5000 + "\nend"},
        {"message": SENTENCE},
    ),
    (
        "quotes and newlines count as the two bytes they become",
        {"message": SENTENCE, "detail": '"\n' * 4000},
        {"message": SENTENCE},
    ),
    (
        "Chinese letters count as three bytes",
        {"message": SENTENCE, "detail": "错误" * 3000},
        {"message": SENTENCE},
    ),
    (
        "notes give way before the rest",
        {"ok": True, "notes": ["n" * 100] * 40, "inputs": [{"name": "input"}]},
        {"ok": True, "inputs": [{"name": "input"}]},
    ),
    (
        "a command line too long keeps its beginning",
        {"contentKey": "c" * 64, "argv": ["atc", "--framework=5", "x" * 1600]},
        {"contentKey": "c" * 64, "argv": ["atc", "--framework=5"]},
    ),
    ("a broken surrogate is replaced", {"message": "\udc80"}, {"message": "?"}),
]


@pytest.mark.parametrize(("reason", "payload", "kept"), CASES, ids=[c[0] for c in CASES])
def test_fits(reason: str, payload: dict[str, Any], kept: dict[str, Any]) -> None:
    text = fit_message(payload)
    assert len(text.encode()) <= 1500, reason
    message = json.loads(text)
    assert {key: message[key] for key in kept} == kept
    if len(payload.get("detail", "")) > 1500:
        assert payload["detail"].endswith(message["detail"])
        assert len(text.encode()) > 1480, "the room is used"


def test_what_cannot_give_way_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        fit_message({"sha256": "x" * 2000})


def test_a_model_with_too_many_outputs_is_refused() -> None:
    outputs = [{"name": f"output_{index}", "dataType": "FP32", "dims": [1]} for index in range(60)]
    with pytest.raises(JobError) as caught:
        check_fits({"ok": True, "inputs": [], "outputs": outputs})
    assert caught.value.reason == Reason.UNSUPPORTED_MODEL
    assert "60 inputs and outputs" in caught.value.message


def test_a_message_that_cannot_be_written_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_message({"ok": True}, str(tmp_path / "missing" / "log"))
    assert '{"ok":true}' in capsys.readouterr().out


def test_the_failure_form() -> None:
    error = JobError(Reason.STORE_FULL, "no\n  room " + "x" * 400, detail="tail")
    assert error.payload() == {
        "ok": False,
        "reason": "StoreFull",
        "message": clip("no room " + "x" * 400),
        "detail": "tail",
        "code": None,
    }
    assert len(error.payload()["message"]) == 300  # type: ignore[arg-type]


LONG = [
    (
        "short enough",
        "the file is empty: put it there again",
        "the file is empty: put it there again",
    ),
    ("what is said gives way", "a" * 400 + "; write b", "a" * 290 + "…; write b"),
    ("the last of several", "a" * 400 + "; c; write b", "a" * 290 + "…; write b"),
    ("no advice of its own", "a" * 400, "a" * 299 + "…"),
    ("an advice that is a page", "a; " + "b" * 400, "a; " + "b" * 296 + "…"),
]


@pytest.mark.parametrize(("reason", "text", "want"), LONG, ids=[row[0] for row in LONG])
def test_what_to_do_is_kept(reason: str, text: str, want: str) -> None:
    assert JobError(Reason.INVALID_SPEC, text).payload()["message"] == want, reason


WRITES_AND_GETS_NOTHING_THROUGH = """
import resource, sys
from resnet_jobs.driver.message import write_message
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
write_message({"ok": True, "pictures": 2}, sys.argv[1])
"""


def test_what_was_said_before_stays_until_the_next_is_there(tmp_path: Path) -> None:
    """A preempted batch says how far it is after each part, and is killed in the midst of that."""
    log = tmp_path / "log"
    write_message({"ok": False, "pictures": 1}, str(log))
    subprocess.run(
        [sys.executable, "-c", WRITES_AND_GETS_NOTHING_THROUGH, str(log)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "operator")},
        check=True,
        capture_output=True,  # the limit is one of files, which pipes are not
    )
    assert json.loads(log.read_text()) == {"ok": False, "pictures": 1}


def test_a_shorter_message_leaves_nothing_of_the_one_before_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_message({"ok": False, "message": "x" * 300}, str(log))
    write_message({"ok": True}, str(log))
    assert json.loads(log.read_text()) == {"ok": True}
