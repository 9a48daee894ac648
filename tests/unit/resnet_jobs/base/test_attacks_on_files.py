"""What an attacker lays into the store or leaves in the Job's pod, and that nothing comes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.resnet_jobs.store.test_sweep import keep
from tests.unit.resnet_jobs.stores import KEY, Kind, artifact, manifest, publish

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.left_files import check_folder, is_regular, read_bounded
from resnet_jobs.base.workspace import Workspace, read_json
from resnet_jobs.store.base import parse_manifest
from resnet_jobs.store.server import listed
from resnet_jobs.store.sweep import tidy

ROOT = Path(__file__).parents[4]
GOOD: dict[str, Any] = {"contentKey": KEY, "sha256": "0" * 64, "sizeBytes": 1, "file": "model.om"}

FORGED: list[tuple[str, dict[str, Any]]] = [
    ("a path to where Python looks", {"file": "../tmp/home/.local/lib/usercustomize.py"}),
    ("an absolute path", {"file": "/models/resnet50/1/model.py"}),
    ("a name that only looks like one of ours", {"file": "model.om\n"}),
    ("another name in the folder", {"file": "config.pbtxt"}),
    ("a list", {"file": ["model.om"]}),
    ("no name", {"file": None}),
    ("a digest that is a path", {"sha256": "../../artifacts/x"}),
    ("a digest in upper case", {"sha256": "A" * 64}),
    ("a digest with an end of line", {"sha256": "0" * 64 + "\n"}),
    ("a number for a digest", {"sha256": 0}),
    ("a text for a size", {"sizeBytes": "1"}),
    ("a truth for a size", {"sizeBytes": True}),
    ("a size below nothing", {"sizeBytes": -1}),
    ("a size without end", {"sizeBytes": 1e999}),
]


@pytest.mark.parametrize(("why", "change"), FORGED, ids=[row[0] for row in FORGED])
def test_a_forged_manifest_is_none(why: str, change: dict[str, Any]) -> None:
    assert parse_manifest(json.dumps(GOOD).encode(), KEY) is not None
    assert parse_manifest(json.dumps(GOOD | change).encode(), KEY) is None, why


def test_deep_json_is_no_manifest() -> None:
    assert parse_manifest(b"[" * 100_000, KEY) is None


# --- the store's housekeeping ---------------------------------------------------------------------

ODD = [b"\xff", b"%ff", b"..%2f..", b"a\nb", b'"]', b"x" * 200, "\U0001f600".encode(), b"last.json"]


@pytest.mark.parametrize(
    "folder", ["used", "unused", "artifacts", "uploads", "blobs/sha256", "swept"]
)
def test_odd_names_end_neither_a_publish_nor_the_sweep(
    folder: str, kind: Kind, tmp_path: Path
) -> None:
    store = kind.connect()
    old = publish(store, *artifact(tmp_path / "old.om", b"old"), key="a" * 64)
    path, digest = artifact(tmp_path / "new.om", b"new")
    store.put_blob(path, digest)
    place = kind.folder / folder
    place.mkdir(parents=True, exist_ok=True)
    for name in ODD:
        (Path(os.fsdecode(os.fsencode(place) + b"/" + name))).write_bytes(b"x")
    said: list[str] = []
    tidy(store, keep(keys=(old.content_key,)), job_seconds=0, urgent=True)
    store.commit(manifest(digest))
    assert store.find(KEY) is not None
    notes = [entry.name for entry in store.entries("unused")]
    assert digest.sha256 in notes, f"the sweep came to its end: {said}"


def test_a_list_that_cannot_be_read_in_part_is_read_in_part() -> None:
    when = "Mon, 30 Nov 2026 04:19:45 GMT"
    rows = [
        {"name": "good", "type": "file", "mtime": when},
        {"name": "no time", "type": "file", "mtime": "yesterday"},
        {"type": "file"},
        "text",
        {"name": "a folder", "type": "directory", "mtime": when},
    ]
    assert [entry.name for entry in listed(json.dumps(rows).encode())] == ["good"]


def test_a_failure_that_nobody_foresaw_keeps_no_job_from_its_end(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "of course")

    store = kind.connect()
    publish(store, *artifact(tmp_path / "a.om", b"a"))
    monkeypatch.setattr(store, "entries", fail)
    tidy(store, keep(), job_seconds=0, urgent=True)


# --- what a foreign container leaves --------------------------------------------------------------

LEFT: list[tuple[str, Callable[[Path, Path], object]]] = [
    ("a link to what only ours can see", lambda path, secret: path.symlink_to(secret)),
    ("a pipe that nobody writes to", lambda path, _: os.mkfifo(path)),
    ("a folder", lambda path, _: path.mkdir()),
    ("a link to nothing", lambda path, _: path.symlink_to("nothing")),
]


@pytest.mark.parametrize(("why", "leave"), LEFT, ids=[row[0] for row in LEFT])
def test_what_is_no_file_is_not_read(
    why: str, leave: Callable[[Path, Path], object], tmp_path: Path
) -> None:
    secret = tmp_path / "key"
    secret.write_text('{"the": "key"}')
    path = tmp_path / "out" / "convert.json"
    path.parent.mkdir()
    leave(path, secret)
    assert not is_regular(path), why
    with pytest.raises(JobError) as caught:
        read_json(path)
    assert caught.value.reason == Reason.RESULT_LOST
    assert "the key" not in str(caught.value.payload())


@pytest.mark.parametrize(("why", "leave"), [LEFT[0], LEFT[1], LEFT[3]])
def test_a_folder_with_anything_but_files_is_refused(
    why: str, leave: Callable[[Path, Path], object], tmp_path: Path
) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/model.onnx").write_bytes(b"x")
    check_folder(tmp_path / "in", container="export")
    leave(tmp_path / "in/deep/weights", tmp_path / "key")
    with pytest.raises(JobError) as caught:
        check_folder(tmp_path / "in", container="export")
    assert caught.value.reason == Reason.CONVERSION_FAILED, why


def test_a_text_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "convert.json"
    with path.open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(ValueError, match="larger than"):
        read_bounded(path)


def test_deep_json_is_a_lost_result(tmp_path: Path) -> None:
    (tmp_path / "convert.json").write_text("[" * 100_000)
    with pytest.raises(JobError) as caught:
        read_json(tmp_path / "convert.json")
    assert caught.value.reason == Reason.RESULT_LOST


# --- our Python -----------------------------------------------------------------------------------

TRAPS = (
    "json.py",
    "argparse.py",
    "resnet_jobs/__init__.py",
    "usercustomize.py",
    "sitecustomize.py",
)


def test_our_python_takes_nothing_from_the_working_folder_or_from_home(tmp_path: Path) -> None:
    """The words of the templates, started where a foreign container has laid traps."""
    home, trap = tmp_path / "home", 'open(__file__ + ".sprung", "w").close()\n'
    site = home / f".local/lib/python3.{sys.version_info.minor}/site-packages"
    for folder in (tmp_path / "cwd", site):
        for name in TRAPS:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(trap)
    flags = _flags()
    assert flags
    done = subprocess.run(
        [sys.executable, *flags, "-m", "resnet_jobs", "--help"],
        cwd=tmp_path / "cwd",
        env={"PYTHONPATH": str(ROOT / "operator"), "HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*.sprung")) == []


def _flags() -> list[str]:
    """The flags of every command of ours, which must be the same in all templates."""
    found = set()
    for path in (ROOT / "templates").glob("*.j2"):
        for line in path.read_text().splitlines():
            if "-m, resnet_jobs" in line:
                words = line.partition("[")[2].partition(", -m,")[0].split(", ")
                found.add(tuple(words[1:]))
    (flags,) = found
    return list(flags)


def test_fetch_makes_every_folder_that_others_mount(
    order: Callable[..., JobSpec], workspace: Workspace
) -> None:
    from resnet_jobs.base.workspace import install_driver
    from resnet_operator.render.pods.local_disk import FOREIGN_FOLDERS

    install_driver(workspace)
    named = {name for folders in FOREIGN_FOLDERS.values() for name, _ in folders}
    assert named <= {path.name for path in workspace.scratch.iterdir()}
