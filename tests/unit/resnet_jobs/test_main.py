"""The commands as the kubelet starts them: exit status, termination message, the files between."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.patience import patient
from tests.unit.resnet_jobs import models
from tests.unit.resnet_jobs.conftest import ORDER

from resnet_jobs import __main__ as program
from resnet_jobs.base.errors import EXIT_CODES, Reason

SOURCE_ROOT = str(Path(program.__file__).parents[1])


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    (tmp_path / "source").mkdir()
    (tmp_path / "store").mkdir()
    order = {**ORDER, "store": {"type": "SharedClaim", "path": str(tmp_path / "store")}}
    values = {
        "RESNET_JOB": json.dumps(order),
        "RESNET_SCRATCH": str(tmp_path / "scratch"),
        "RESNET_SOURCE": str(tmp_path / "source"),
        "RESNET_TERMINATION_LOG": str(tmp_path / "termination-log"),
        "HOME": str(tmp_path / "scratch/home"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return values


def run(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    code = program.main(arguments)
    text = (tmp_path / "termination-log").read_text(encoding="utf-8")
    assert len(text.encode()) <= 1500
    return code, json.loads(text)


def install_atc(folder: Path, body: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "atc").write_text(f"#!{sys.executable} -S\nimport sys\n{body}\n")
    (folder / "atc").chmod(0o755)


def test_from_a_claim_to_a_pod(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All containers of a Job, then the pod's; twice, the second time without a conversion."""
    (tmp_path / "source/resnet.onnx").write_bytes(models.classifier(batch=1).SerializeToString())
    install_atc(
        tmp_path / "bin",
        'out = next(a for a in sys.argv if a.startswith("--output=")).split("=")[1]\n'
        'open(out + ".om", "w").write("OM of " + sys.argv[-2])',
    )
    origins = []
    for _ in range(2):
        code, fetched = run(tmp_path, "fetch")
        assert (code, fetched["ok"]) == (0, True)
        code, prepared = run(tmp_path, "prepare")
        assert (code, prepared["batchSizes"]) == (0, [1, 2, 4, 8])
        ended = subprocess.run(
            [sys.executable, "-I", str(tmp_path / "scratch/driver/convert.py")],
            env={**environment, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
            capture_output=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        code, published = run(tmp_path, "publish")
        assert code == 0
        origins.append(published["origin"])
        for leftover in ("out", "in", "conf", "driver"):
            shutil.rmtree(tmp_path / "scratch" / leftover)
    assert origins == ["Converted", "Reused"]
    sha256 = published["sha256"]
    assert sha256 == hashlib.sha256(b"OM of --soc_version=Ascend310P3").hexdigest()
    monkeypatch.setenv("RESNET_ARTIFACT", str(tmp_path))
    place = ("download", "--claim", str(tmp_path / "store"), "--file", "model.om")
    assert run(tmp_path, *place, "--sha256", sha256)[0] == 0
    assert (tmp_path / "model.om").read_bytes() == b"OM of --soc_version=Ascend310P3"
    names = b"cat\ndog\n"
    digest = hashlib.sha256(names).hexdigest()
    (tmp_path / "store/blobs/sha256" / digest).write_bytes(names)
    assert run(tmp_path, *place, "--sha256", sha256, "--labels", digest)[0] == 0
    assert (tmp_path / "labels.txt").read_bytes() == names
    assert run(tmp_path, *place, "--sha256", sha256, "--labels", "0" * 64)[0] == 86
    code, message = run(tmp_path, *place, "--sha256", "0" * 64)
    assert (code, message["reason"]) == (86, "ArtifactMissing")


FAILURES: list[tuple[str, dict[str, Any], list[str], int, str]] = [
    ("a bad order", {"chip": "Tesla"}, ["fetch"], 64, "InvalidSpec"),
    ("nothing on the claim", {}, ["fetch"], 66, "ModelNotFound"),
    ("nothing was fetched", {}, ["prepare"], 87, "ResultLost"),
    ("nothing was prepared", {}, ["publish"], 87, "ResultLost"),
]


@pytest.mark.parametrize(
    ("why", "changes", "arguments", "exit_code", "reason"), FAILURES, ids=[f[0] for f in FAILURES]
)
def test_failures(
    why: str,
    changes: dict[str, Any],
    arguments: list[str],
    exit_code: int,
    reason: str,
    tmp_path: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(
        "RESNET_JOB", json.dumps({**json.loads(environment["RESNET_JOB"]), **changes})
    )
    code, message = run(tmp_path, *arguments)
    assert (code, message["reason"], message["ok"]) == (exit_code, reason, False), why
    assert f"{reason}: {message['message']}" in capsys.readouterr().out


@pytest.mark.usefixtures("environment")
def test_a_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("resnet_jobs.commands.prepare.prepare", exhaust)
    code, message = run(tmp_path, "prepare")
    assert (code, message["reason"]) == (85, "OutOfMemory")


@pytest.mark.usefixtures("environment")
def test_a_bug_is_reported_with_its_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of course")

    monkeypatch.setattr("resnet_jobs.commands.fetch.fetch", fail)
    code, message = run(tmp_path, "fetch")
    assert (code, message["reason"]) == (90, "DownloadFailed")
    assert message["message"] == "unexpected ZeroDivisionError in fetch: of course"
    assert "of course" in message["detail"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["convert"],
        ["download", "--url", "http://x", "--file", "model.om", "--sha256", "z"],
        ["download", "--url", "http://x", "--file", "../model.om", "--sha256", "0" * 64],
        ["download", "--url", "http://x", "--output", "/tmp/x", "--sha256", "0" * 64],
    ],
)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(arguments)
    assert caught.value.code == 2
    assert "usage: python3 -m resnet_jobs" in capsys.readouterr().err


def test_a_deleted_pod_ends_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    """PID 1 ignores SIGTERM unless it says otherwise, and a pod would hang for its grace period."""
    code = (
        "import os, sys, resnet_jobs.sources.one_file as s; from resnet_jobs import __main__ as m\n"
        "def wait(*a, **k): print('waiting', flush=True); import time; time.sleep(600)\n"
        "import resnet_jobs.commands.fetch as f; f.fetch_file = wait\n"
        "sys.exit(m.main(['fetch']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": SOURCE_ROOT, "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(line == "waiting\n" for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        assert process.wait(patient(10)) == 143


def test_exit_codes_keep_their_halves() -> None:
    """podFailurePolicy reads them: 64-79 the user must act, 80-99 a retry can help."""
    permanent = {
        Reason.INVALID_SPEC,
        Reason.UNSUPPORTED_MODEL,
        Reason.MODEL_NOT_FOUND,
        Reason.CHECKSUM_MISMATCH,
        Reason.ACCESS_DENIED,
        Reason.CONVERSION_FAILED,
        Reason.QUANTIZATION_FAILED,
    }
    assert set(EXIT_CODES) == set(Reason)
    for reason, code in EXIT_CODES.items():
        assert 64 <= code < 80 if reason in permanent else 80 <= code < 100, reason
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
