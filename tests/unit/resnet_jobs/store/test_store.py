"""Both kinds of store keep the same promises; the server's are proven against a real nginx."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.loopback import buckets, nginx
from tests.support.loopback.webserver import serving, status, unused_address, whole
from tests.support.patience import patient
from tests.unit.resnet_jobs.conftest import FakeTime
from tests.unit.resnet_jobs.stores import KEY, SEAL, Kind, artifact, manifest, publish

from resnet_contract.store import StoreSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.files import Digest
from resnet_jobs.driver import convert as driver
from resnet_jobs.store.base import Manifest, Store
from resnet_jobs.store.open import open_store
from resnet_jobs.store.server import ServerStore
from resnet_jobs.store.shared_claim import SharedClaimStore

SHA256 = hashlib.sha256(b"OM").hexdigest()


def test_what_is_published_is_found(kind: Kind, tmp_path: Path) -> None:
    store = kind.connect()
    assert store.find(KEY) is None
    path, digest = artifact(tmp_path / "model.om", b"OM" * 500_000)
    store.put_blob(path, digest)
    assert store.find(KEY) is None, "a blob without its manifest does not exist"
    mine = manifest(digest, inputs=[{"name": "é"}])
    assert store.commit(mine) == mine
    assert store.find(KEY) == mine
    blob = kind.folder / "blobs/sha256" / digest.sha256
    assert blob.read_bytes() == path.read_bytes()
    assert blob.stat().st_mode & 0o444 == 0o444, "serving pods must be able to read it"
    assert kind.uploads() == []


def test_the_first_commit_wins(kind: Kind, tmp_path: Path) -> None:
    store = kind.connect()
    first = publish(store, *artifact(tmp_path / "a.om", b"first"))
    second = publish(store, *artifact(tmp_path / "b.om", b"second"))
    assert second == first
    assert store.find(KEY) == first
    assert kind.uploads() == []


def test_two_racing_publishers_end_with_one_manifest(kind: Kind, tmp_path: Path) -> None:
    files = [artifact(tmp_path / f"{name}.om", name.encode() * 1000) for name in ("a", "b")]
    for turn in range(20):
        key = f"{turn:064d}"
        barrier = threading.Barrier(2)
        answers: list[Manifest] = []

        def run(
            path: Path, digest: Digest, *, key: str = key, barrier: threading.Barrier = barrier,
            answers: list[Manifest] = answers,
        ) -> None:  # fmt: skip
            store = kind.connect()
            store.put_blob(path, digest)
            barrier.wait(patient(10))
            answers.append(store.commit(manifest(digest, key=key)))

        threads = [threading.Thread(target=run, args=file) for file in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 2
        assert answers[0] == answers[1] == kind.connect().find(key)
    assert kind.uploads() == []


DAMAGE: list[tuple[str, Callable[[Path, str], object]]] = [
    ("the blob is gone", lambda store, sha: (store / "blobs/sha256" / sha).unlink()),
    ("the blob is cut off", lambda store, sha: (store / "blobs/sha256" / sha).write_bytes(b"f")),
    (
        "the blob has its size, but other bytes",
        lambda store, sha: (store / "blobs/sha256" / sha).write_bytes(b"FIRST"),
    ),
    (
        "the manifest is no JSON",
        lambda store, _: (store / f"artifacts/{KEY}.json").write_text("{"),
    ),
    (
        "the manifest is another's",
        lambda store, _: (store / f"artifacts/{KEY}.json").write_text("{}"),
    ),
]


@pytest.mark.parametrize(("reason", "damage"), DAMAGE, ids=[d[0] for d in DAMAGE])
def test_a_damaged_artifact_counts_as_absent_and_is_repaired(
    reason: str, damage: Callable[[Path, str], object], kind: Kind, tmp_path: Path
) -> None:
    store = kind.connect()
    _, digest = artifact(tmp_path / "a.om", b"first")
    publish(store, tmp_path / "a.om", digest)
    damage(kind.folder, digest.sha256)
    assert store.find(KEY) is None, reason
    again = publish(store, *artifact(tmp_path / "b.om", b"second"))
    assert again.sha256 != digest.sha256
    assert store.find(KEY) == again
    assert kind.uploads() == []


def test_the_same_file_is_stored_once(kind: Kind, tmp_path: Path) -> None:
    store = kind.connect()
    path, digest = artifact(tmp_path / "a.om", b"same")
    publish(store, path, digest)
    assert publish(store, path, digest, key="d" * 64).sha256 == digest.sha256
    assert [entry.name for entry in (kind.folder / "blobs/sha256").iterdir()] == [digest.sha256]


def test_a_damaged_copy_of_the_same_file_is_replaced(kind: Kind, tmp_path: Path) -> None:
    """The compiler made the same bytes again: only reading the old ones tells that they differ."""
    store = kind.connect()
    path, digest = artifact(tmp_path / "a.om", b"first")
    publish(store, path, digest)
    blob = kind.folder / "blobs/sha256" / digest.sha256
    blob.write_bytes(b"FIRST")
    assert publish(store, path, digest) == store.find(KEY)
    assert blob.read_bytes() == b"first"


def test_results_are_kept_by_key(kind: Kind) -> None:
    store = kind.connect()
    assert store.get_result("ab12") is None
    for text in (b"{}", b'{"top1": 0.9}'):
        store.put_result("ab12", text)
        assert store.get_result("ab12") == text
    assert (kind.folder / "results/ab12.json").exists()
    assert kind.uploads() == []


# --- a full or broken volume --------------------------------------------------------------------

BIG = 3 * 1024 * 1024
FILL = ["dd", "if=/dev/zero", "of={store}/fill", "bs=4k"]
READ_ONLY = ["mount", "-o", "remount,ro", "{store}"]
VOLUMES: list[tuple[str, int, list[str], Reason, str]] = [
    ("no room for the file", BIG, [], Reason.STORE_FULL, "3 MiB"),
    ("no room at all", 5000, FILL, Reason.STORE_FULL, "delete services"),
    ("read-only", 5, READ_ONLY, Reason.STORE_UNAVAILABLE, ""),
]


@pytest.mark.parametrize("which", ["Server", "SharedClaim", "S3"])
@pytest.mark.parametrize(
    ("why", "size", "command", "reason", "want"), VOLUMES, ids=[v[0] for v in VOLUMES]
)
def test_volumes(
    why: str, size: int, command: list[str], reason: Reason, want: str, which: str, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        folder = tmp_path / "store"
        if not stack.enter_context(nginx.small_volume(folder)):
            pytest.skip("needs the right to mount a small file system")
        if which == "Server":
            url = stack.enter_context(nginx.running(tmp_path))
            store: Store = ServerStore(url, wait_seconds=0, password=nginx.PASSWORD)
        elif which == "S3":
            store = stack.enter_context(buckets.running(tmp_path, data=folder)).store()
        else:
            store = SharedClaimStore(folder)
        if command:
            words = [word.format(store=folder) for word in command]
            subprocess.run(words, capture_output=True, check=False)
        with pytest.raises(JobError) as caught:
            store.put_blob(*artifact(tmp_path / "big.om", b"x" * size))
        assert caught.value.reason == reason, why
        assert want in caught.value.message
        if which != "SharedClaim" and reason == Reason.STORE_FULL and not command:
            small = publish(store, *artifact(tmp_path / "small.om", b"fits"))
            assert store.find(KEY) == small, "what does fit is still taken"


# --- a server that does not answer as it should -------------------------------------------------


def server(address: str, fake_time: FakeTime, *, wait: float = 20) -> ServerStore:
    return ServerStore(address, wait_seconds=wait, clock=fake_time.clock)


def test_the_store_may_take_a_while_to_start(fake_time: FakeTime) -> None:
    with serving(status(503), status(502), status(404)) as (address, _):
        assert server(address, fake_time).find(KEY) is None
    assert fake_time.naps == [1.0, 2.0]


def test_a_store_that_never_answers(fake_time: FakeTime) -> None:
    with pytest.raises(JobError) as caught:
        server(unused_address(), fake_time).find(KEY)
    assert (caught.value.reason, caught.value.exit_code) == (Reason.STORE_UNAVAILABLE, 81)
    assert "Deployment resnet-store" in caught.value.message
    assert sum(fake_time.naps) == 20


ANSWERS: list[tuple[str, list[int], Reason]] = [
    ("507 is what it says", [404, 507], Reason.STORE_FULL),
    ("500, and an empty file goes in: full", [404, 500, 201, 204], Reason.STORE_FULL),
    ("500, and no empty file goes in: broken", [404, 500, 500], Reason.STORE_UNAVAILABLE),
    ("a server without PUT", [404, 405], Reason.STORE_UNAVAILABLE),
    ("a limit on bodies", [404, 413], Reason.STORE_UNAVAILABLE),
    ("no right to move", [404, 201, 403], Reason.STORE_UNAVAILABLE),
    ("full while moving", [404, 201, 500, 201, 204], Reason.STORE_FULL),
    ("no right to look", [403], Reason.STORE_UNAVAILABLE),
]


@pytest.mark.parametrize(("why", "answers", "reason"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_answers(
    why: str, answers: list[int], reason: Reason, fake_time: FakeTime, tmp_path: Path
) -> None:
    with serving(*map(status, answers)) as (address, seen), pytest.raises(JobError) as caught:
        server(address, fake_time).put_blob(*artifact(tmp_path / "a.om", b"OM"))
    assert caught.value.reason == reason, why
    assert len(seen) == len(answers)


def test_a_move_whose_answer_got_lost(fake_time: FakeTime, tmp_path: Path) -> None:
    """The second try finds the upload gone, and the blob in its place."""
    script = [status(404), status(201), status(503), status(404), whole(b"OM")]
    with serving(*script) as (address, seen):
        server(address, fake_time).put_blob(*artifact(tmp_path / "a.om", b"OM"))
    assert [request.split()[0] for request, _ in seen] == ["HEAD", "PUT", "MOVE", "MOVE", "HEAD"]
    assert seen[1][1]["Content-Length"] == "2"
    assert seen[2][1]["Overwrite"] == "T"
    assert seen[2][1]["Destination"].startswith("/blobs/sha256/")


def test_an_interrupted_upload_starts_again(fake_time: FakeTime, tmp_path: Path) -> None:
    def hang_up(handler: Any) -> None:
        handler.rfile.read(10)
        handler.connection.close()
        handler.close_connection = True

    with serving(status(404), hang_up, status(201), status(204)) as (address, seen):
        server(address, fake_time).put_blob(*artifact(tmp_path / "a.om", b"OM" * 1000))
    assert [request.split()[0] for request, _ in seen] == ["HEAD", "PUT", "PUT", "MOVE"]
    assert {headers["Content-Length"] for _, headers in seen[1:3]} == {"2000"}


@pytest.mark.parametrize(
    ("reason", "text", "found"),
    [
        ("prepare has found it", json.dumps({KEY: {"sha256": SHA256}}), {"sha256": SHA256}),
        ("prepare has found another one", json.dumps({"x": {}}), None),
        ("nothing was found", "{}", None),
        ("prepare left nothing", None, None),
        ("the list is damaged", "{", None),
        ("the list is no list", "[]", None),
    ],
)
def test_the_driver_has_a_list_of_what_the_store_holds(
    reason: str,
    text: str | None,
    found: Any,
    tmp_path: Path,
) -> None:
    (tmp_path / "conf").mkdir()
    if text is not None:
        (tmp_path / "conf/known.json").write_text(text)
    assert driver.find_known(str(tmp_path), KEY) == found, reason


def test_the_order_picks_the_kind(tmp_path: Path) -> None:
    server = open_store(StoreSpec("Server", "http://x"), os.environ)
    assert isinstance(server, ServerStore)
    assert server.seal == SEAL
    claim = StoreSpec("SharedClaim", str(tmp_path))
    assert isinstance(open_store(claim, os.environ), SharedClaimStore)


def test_a_claim_that_is_not_mounted(tmp_path: Path) -> None:
    store = SharedClaimStore(tmp_path / "nowhere")
    with pytest.raises(JobError) as caught:
        store.put_blob(*artifact(tmp_path / "a.om", b"OM"))
    assert caught.value.reason == Reason.STORE_UNAVAILABLE
    assert "writable by group 1000" in caught.value.message


def test_a_claim_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    (tmp_path / "store").mkdir()
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store = SharedClaimStore(tmp_path / "store")
    mine = publish(store, *artifact(tmp_path / "a.om", b"OM"))
    assert store.find(KEY) == mine
