"""What leaves the store, and above all what never does. Each kind on its real server."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.resnet_jobs.stores import Kind, artifact, manifest, publish

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.files import Digest
from resnet_jobs.store.base import Manifest, Store
from resnet_jobs.store.known import index, inputs_digest
from resnet_jobs.store.sweep import DAY, Keep, parse_keep, sweep, tidy

OLD, MINE = "a" * 64, "b" * 64
MARGIN = DAY + 3600


def keep(*, keys: tuple[str, ...] = (), blobs: tuple[str, ...] = (), days: float = 7) -> Keep:
    text = {"days": days, "keys": [k[:12] for k in keys], "blobs": [b[:12] for b in blobs]}
    found = parse_keep(json.dumps(text))
    assert found is not None
    return found


def age(kind: Kind, place: str, days: float) -> None:
    moment = time.time() - days * DAY
    os.utime(kind.folder / place, (moment, moment))


class Shelf:
    """A store with an artifact that was last used some days ago, and one that is used now."""

    def __init__(self, kind: Kind, tmp_path: Path, *, days: float) -> None:
        self.kind, self.store = kind, kind.connect()
        self.old = self.put(tmp_path / "old.om", b"old", key=OLD)
        self.mine = self.put(tmp_path / "mine.om", b"mine", key=MINE)
        for place in (f"artifacts/{OLD}.json", f"blobs/sha256/{self.old.sha256}", f"used/{OLD}"):
            age(kind, place, days)

    def put(self, path: Path, content: bytes, *, key: str) -> Manifest:
        found = publish(self.store, *artifact(path, content), key=key)
        self.store.touch(key)
        return found

    def sweep(self, kept: Keep | None = None) -> None:
        sweep(self.store, kept or keep(), margin=MARGIN)

    def has_blob(self, found: Manifest) -> bool:
        return self.store.size(f"blobs/sha256/{found.sha256}") is not None

    def age_note(self, found: Manifest, days: float) -> None:
        age(self.kind, f"unused/{found.sha256}", days)


def test_what_nobody_uses_goes_in_two_steps(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=8)
    shelf.sweep()
    assert shelf.store.find(OLD) is None, "no Job finds it from now on"
    assert shelf.has_blob(shelf.old), "but one that has found it a moment ago can still use it"
    shelf.sweep()
    assert shelf.has_blob(shelf.old), "it is not noted for long yet"
    shelf.age_note(shelf.old, 2)
    shelf.sweep()
    assert not shelf.has_blob(shelf.old)
    assert shelf.store.entries("unused") == []
    assert [entry.name for entry in shelf.store.entries("used")] == [MINE]
    assert shelf.store.find(MINE) == shelf.mine
    assert kind.uploads() == []


def test_what_was_measured_stays(kind: Kind, tmp_path: Path) -> None:
    """A status names it, also that of an artifact that is made again; and it is small."""
    shelf = Shelf(kind, tmp_path, days=8)
    shelf.store.put_result("ab12", b"{}")
    age(kind, "results/ab12.json", 400)
    shelf.sweep()
    assert shelf.store.find(OLD) is None
    assert shelf.store.get_result("ab12") == b"{}"


KEPT: list[tuple[str, float, Callable[[Shelf], Keep]]] = [
    ("it was used a week ago, not longer", 6.9, lambda _: keep()),
    ("a record names its content key", 100, lambda _: keep(keys=(OLD,))),
    ("thirty days are asked for", 8, lambda _: keep(days=30)),
]


@pytest.mark.parametrize(("reason", "days", "kept"), KEPT, ids=[k[0] for k in KEPT])
def test_what_stays(
    reason: str, days: float, kept: Callable[[Shelf], Keep], kind: Kind, tmp_path: Path
) -> None:
    shelf = Shelf(kind, tmp_path, days=days)
    shelf.sweep(kept(shelf))
    assert shelf.store.find(OLD) == shelf.old, reason
    assert shelf.store.entries("unused") == []


def test_a_file_that_a_revision_names_stays_without_its_manifest(
    kind: Kind, tmp_path: Path
) -> None:
    """Another build took its content key, or the record is gone: pods may still start from it."""
    shelf = Shelf(kind, tmp_path, days=100)
    shelf.sweep()
    shelf.age_note(shelf.old, 50)
    shelf.sweep(keep(blobs=(shelf.old.sha256,)))
    assert shelf.has_blob(shelf.old)
    assert shelf.store.entries("unused") == [], "and begins from the first step again"


def test_a_use_while_the_sweep_looks_around_saves_the_manifest(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=100)
    store, read = shelf.store, shelf.store.read

    def someone_comes(place: str) -> bytes | None:
        kind.connect().touch(OLD)
        return read(place)

    store.read = someone_comes  # type: ignore[method-assign]
    shelf.sweep()
    assert kind.connect().find(OLD) == shelf.old


def test_a_file_taken_again_while_the_sweep_looks_around_stays(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=100)
    shelf.sweep()
    shelf.age_note(shelf.old, 50)
    store, entries = shelf.store, shelf.store.entries

    def another_job(folder: str) -> Any:
        found = entries(folder)
        if folder == "blobs/sha256":  # after all lists were made
            other = kind.connect()
            other.put_blob(tmp_path / "old.om", shelf.old.digest)
            other.commit(manifest(shelf.old.digest, key=OLD))
        return found

    store.entries = another_job  # type: ignore[method-assign]
    shelf.sweep()
    assert kind.connect().find(OLD) == shelf.old


def test_an_upload_without_its_manifest_yet_is_left_alone(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=1)
    path, digest = artifact(tmp_path / "new.om", b"new")
    shelf.store.put_blob(path, digest)
    shelf.sweep()
    shelf.store.commit(manifest(digest, key="c" * 64))
    shelf.sweep()
    assert shelf.store.entries("unused") == [], "the note is taken back"
    assert shelf.store.find("c" * 64) is not None


def test_a_file_uploaded_anew_after_its_note_is_not_old(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=100)
    shelf.sweep()
    shelf.store.remove(f"blobs/sha256/{shelf.old.sha256}")
    shelf.age_note(shelf.old, 50)
    shelf.store.put_blob(tmp_path / "old.om", shelf.old.digest)
    shelf.sweep()
    assert shelf.has_blob(shelf.old)


def test_left_overs_of_uploads_go(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=0)
    under_way = "b" * 32
    for name, days in (("a" * 32, 2.0), (under_way, 0.5)):
        shelf.store.write(f"uploads/{name}", b"half a file")
        age(kind, f"uploads/{name}", days)
    shelf.sweep()
    assert kind.uploads() == [under_way]


def test_a_damaged_manifest_protects_nothing(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=1)
    (kind.folder / f"artifacts/{OLD}.json").write_text("{")
    shelf.sweep()
    assert [entry.name for entry in shelf.store.entries("unused")] == [shelf.old.sha256]


def test_the_clock_of_this_machine_does_not_count(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(kind, tmp_path, days=6)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    shelf.sweep()
    assert shelf.store.find(OLD) == shelf.old


def test_an_empty_store_is_no_fault(kind: Kind) -> None:
    kind.folder.mkdir(parents=True, exist_ok=True)
    sweep(kind.connect(), keep(), margin=MARGIN)


def test_a_store_forgets_the_inputs_of_what_is_gone(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=100)
    for key in (OLD, MINE):
        index({"model": key}, key, store=shelf.store)
    names = {f"{inputs_digest({'model': key})}.{key}" for key in (OLD, MINE)}
    found = {entry.name for entry in shelf.store.entries("inputs")}
    assert found == names
    for name in found:
        age(kind, f"inputs/{name}", 50)
    shelf.sweep()
    left = {entry.name for entry in shelf.store.entries("inputs")}
    assert left == {name for name in found if name.endswith(MINE)}


# When it is swept.


def test_it_is_swept_once_a_day(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=100)
    shelf.store.write("swept/last", b"")
    tidy(shelf.store, keep(), job_seconds=60)
    assert shelf.store.find(OLD) is not None
    age(kind, "swept/last", 1.1)
    tidy(shelf.store, keep(), job_seconds=60)
    assert shelf.store.find(OLD) is None
    assert len(shelf.store.entries("swept")) == 1


def test_without_a_list_nothing_goes(kind: Kind, tmp_path: Path) -> None:
    shelf = Shelf(kind, tmp_path, days=1000)
    tidy(shelf.store, None, job_seconds=60, urgent=True)
    assert shelf.store.find(OLD) is not None


class Broken(Store):
    """A store that answers nothing."""

    def _fail(self, *_: object, **__: object) -> Any:
        raise JobError(Reason.STORE_UNAVAILABLE, "gone for lunch")

    read = size = checksum = write = upload = entries = remove = _fail


def test_a_sweep_that_fails_fails_no_job(capsys: pytest.CaptureFixture[str]) -> None:
    tidy(Broken(), keep(), job_seconds=60)
    assert "gone for lunch" in capsys.readouterr().out


LISTS: list[tuple[str, str | None]] = [
    ("there is none", None),
    ("it is empty", ""),
    ("it is no JSON", "{"),
    ("it is another thing", "[]"),
    ("the blobs are missing", '{"days": 7, "keys": []}'),
    ("a prefix is too short to mean anything", '{"days": 7, "keys": ["ab"], "blobs": []}'),
    ("a text instead of a list", '{"days": 7, "keys": "abababababab", "blobs": []}'),
    ("no days", '{"days": 0, "keys": [], "blobs": []}'),
    ("days of another kind", '{"days": null, "keys": [], "blobs": []}'),
]


@pytest.mark.parametrize(("reason", "text"), LISTS, ids=[x[0] for x in LISTS])
def test_lists_that_cannot_be_relied_upon(reason: str, text: str | None) -> None:
    assert parse_keep(text) is None, reason


def test_digests_are_compared_by_their_beginnings() -> None:
    kept = keep(keys=(OLD,), blobs=(Digest("cd" * 32, 1).sha256,))
    assert kept.has_key("a" * 12 + "f" * 52)
    assert kept.has_blob("cd" * 32)
    assert not kept.has_key(MINE)
