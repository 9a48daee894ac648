"""Publishing and fetching back: what a Job calls its origin, and what a pod refuses to load."""

from __future__ import annotations

import hashlib
import os
import platform
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.loopback import nginx
from tests.support.loopback.webserver import piece, serving, status, unused_address, whole
from tests.support.patience import patient
from tests.unit.resnet_jobs.conftest import FakeTime
from tests.unit.resnet_jobs.stores import Kind

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace, write_json
from resnet_jobs.commands.download import copy_from_claim, download
from resnet_jobs.commands.publish import publish
from resnet_jobs.driver.message import fit_message
from resnet_jobs.driver.outcome import content_key, host_part
from resnet_jobs.store.base import Manifest
from resnet_jobs.store.shared_claim import SharedClaimStore
from resnet_jobs.store.sweep import parse_keep

Order = Callable[..., JobSpec]
CONTENT = {"recipe": 1, "model": "m", "chip": "c", "options": []}
PREPARED = {
    "ok": True,
    "opset": 13,
    "inputs": [{"name": "input", "dataType": "FP32", "dims": [3, 8, 8]}],
    "outputs": [{"name": "scores", "dataType": "FP32", "dims": [5]}],
    "batchSizes": [1, 2],
    "notes": [],
    "contentInputs": CONTENT,
}
BUILD: dict[str, Any] = {
    "ok": True,
    "compiler": "ATC 8.2.RC1",
    "contentKey": "0" * 64,  # nobody believes it
    "hit": False,
    "durationSeconds": 1.5,
    "arch": "x86_64",
    "argv": ["nobody", "believes this"],
}
ARGV = ["atc", "--framework=5"]
KEY = content_key({**CONTENT, **host_part(None, platform.machine())}, BUILD["compiler"])
OM = b"an OM"
SHA256 = hashlib.sha256(OM).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> SharedClaimStore:
    (tmp_path / "store").mkdir()
    return SharedClaimStore(tmp_path / "store")


@pytest.fixture
def converted(workspace: Workspace) -> Workspace:
    write_json(workspace.prepared, PREPARED)
    write_json(workspace.convert_plan, {"argv": ARGV})
    write_json(workspace.convert_result, BUILD)
    workspace.compiled_model.write_bytes(OM)
    return workspace


def test_a_new_artifact(order: Order, converted: Workspace, store: SharedClaimStore) -> None:
    result = publish(order(), converted, store=store)
    assert result == {
        "ok": True,
        "contentKey": KEY,
        "sha256": SHA256,
        "sizeBytes": 5,
        "file": "model.om",
        "origin": "Converted",
    }
    found = store.find(KEY)
    assert found is not None
    document = dict(found.document)
    assert document.pop("created").endswith("+00:00")
    assert document == {
        **{key: result[key] for key in ("contentKey", "sha256", "sizeBytes", "file")},
        "chip": "Ascend310P3",
        "compiler": "ATC 8.2.RC1",
        "argv": ARGV,
        "model": "m",
        "arch": "x86_64",
        "opset": 13,
        "inputs": PREPARED["inputs"],
        "outputs": PREPARED["outputs"],
        "batchSizes": [1, 2],
    }


def test_someone_published_it_meanwhile(
    order: Order, converted: Workspace, store: SharedClaimStore
) -> None:
    publish(order(), converted, store=store)
    converted.compiled_model.write_bytes(b"another build of the same")
    result = publish(order(), converted, store=store)
    assert (result["origin"], result["sha256"]) == ("Reused", SHA256)


def test_the_loser_of_a_race_takes_the_winners(
    order: Order, converted: Workspace, store: SharedClaimStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(order(), converted, store=store)
    converted.compiled_model.write_bytes(b"another build of the same")
    first_look = iter([None])
    really = store.find
    monkeypatch.setattr(store, "find", lambda key: next(first_look, ...) and really(key))
    result = publish(order(), converted, store=store)
    assert (result["origin"], result["sha256"]) == ("Reused", SHA256)


def test_two_jobs_that_race_end_in_one_artifact(order: Order, kind: Kind, tmp_path: Path) -> None:
    """The same model at two places, converted at the same time: both pods serve the same file."""
    for turn in range(5):
        barrier = threading.Barrier(2)
        compiler = f"ATC {turn}"

        def run(
            name: str, *, barrier: threading.Barrier = barrier, compiler: str = compiler
        ) -> dict[str, Any]:
            place = Workspace(scratch=tmp_path / compiler / name, source=tmp_path)
            place.compiled_model.parent.mkdir(parents=True)
            write_json(place.prepared, PREPARED)
            write_json(place.convert_plan, {"argv": ARGV})
            write_json(place.convert_result, {**BUILD, "compiler": compiler})
            place.compiled_model.write_bytes(name.encode() * 1000)
            store = kind.connect()
            barrier.wait(patient(10))
            return publish(order(), place, store=store, keep=None)

        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(run, ("a", "b"))
        assert one["sha256"] == other["sha256"]
        assert {one["origin"], other["origin"]} == {"Converted", "Reused"}
        found = kind.connect().find(one["contentKey"])
        assert found is not None
        assert found.sha256 == one["sha256"]
    assert kind.uploads() == []


def hit(order: Order, place: Workspace, store: SharedClaimStore) -> Manifest:
    """The driver found what another Job had published, and so ran no compiler."""
    publish(order(), place, store=store)
    found = store.find(KEY)
    assert found is not None
    write_json(place.conf / "known.json", {KEY: dict(found.document)})
    write_json(place.convert_result, {**BUILD, "hit": True})
    place.compiled_model.unlink()
    return found


def test_a_hit_of_the_driver_uploads_nothing(
    order: Order, converted: Workspace, store: SharedClaimStore
) -> None:
    there = hit(order, converted, store)
    result = publish(order(), converted, store=store)
    assert (result["origin"], result["sha256"]) == ("Reused", there.sha256)


def test_a_manifest_that_was_swept_after_the_hit_is_written_again(
    order: Order, converted: Workspace, store: SharedClaimStore
) -> None:
    there = hit(order, converted, store)
    store.remove(f"artifacts/{KEY}.json")
    assert publish(order(), converted, store=store)["origin"] == "Reused"
    assert store.find(KEY) == there


def test_a_blob_that_was_lost_after_the_hit_has_to_be_made_again(
    order: Order, converted: Workspace, store: SharedClaimStore
) -> None:
    there = hit(order, converted, store)
    store.remove(f"blobs/sha256/{there.sha256}")
    with pytest.raises(JobError) as caught:
        publish(order(), converted, store=store)
    assert caught.value.reason == Reason.RESULT_LOST


def test_each_use_is_noted(order: Order, converted: Workspace, store: SharedClaimStore) -> None:
    assert publish(order(), converted, store=store)["origin"] == "Converted"
    (first,) = store.entries("used")
    assert first.name == KEY
    store.remove(f"used/{first.name}")
    assert publish(order(), converted, store=store)["origin"] == "Reused"
    assert [entry.name for entry in store.entries("used")] == [first.name]


def test_a_note_that_cannot_be_made_fails_no_job(
    order: Order,
    converted: Workspace,
    store: SharedClaimStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(_: str) -> None:
        raise JobError(Reason.STORE_FULL, "no room at all")

    monkeypatch.setattr(store, "touch", full)
    assert publish(order(), converted, store=store)["ok"] is True
    assert "no room at all" in capsys.readouterr().out


def test_the_cpu_gets_a_copy_of_the_model(
    order: Order, workspace: Workspace, store: SharedClaimStore
) -> None:
    write_json(workspace.prepared, PREPARED)
    workspace.model.write_bytes(b"ONNX")
    results = [publish(order(chip="CPU"), workspace, store=store) for _ in range(2)]
    assert [result["origin"] for result in results] == ["Copied", "Reused"]
    assert results[0]["contentKey"] == content_key(CONTENT, "none")
    assert results[0]["file"] == "model.onnx"


def test_an_om_is_stored_as_it_came(
    order: Order, workspace: Workspace, store: SharedClaimStore
) -> None:
    told = {name: PREPARED[name] for name in ("ok", "inputs", "outputs", "batchSizes")}
    write_json(workspace.prepared, {"contentInputs": CONTENT})
    write_json(workspace.convert_result, {**told, "arch": "aarch64"})
    workspace.fetched.write_bytes(OM)
    results = [publish(order(format="OM"), workspace, store=store) for _ in range(2)]
    assert [result["origin"] for result in results] == ["Copied", "Reused"]
    assert (results[0]["file"], results[0]["sha256"]) == ("model.om", SHA256)
    found = store.find(results[0]["contentKey"])
    assert found is not None
    assert found.document["arch"] == "aarch64"
    assert found.document["batchSizes"] == [1, 2]
    assert "opset" not in found.document


LOST: list[tuple[str, Callable[[Workspace], Path]]] = [
    ("nothing was prepared", lambda place: place.prepared),
    ("nothing was converted", lambda place: place.convert_result),
    ("the model is gone", lambda place: place.compiled_model),
]


@pytest.mark.parametrize(("why", "which"), LOST, ids=[x[0] for x in LOST])
def test_a_lost_result(
    why: str,
    which: Callable[[Workspace], Path],
    order: Order,
    converted: Workspace,
    store: SharedClaimStore,
) -> None:
    which(converted).unlink()
    with pytest.raises(JobError) as caught:
        publish(order(), converted, store=store)
    assert caught.value.reason == Reason.RESULT_LOST, why


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_result_cut_off(
    text: str, order: Order, converted: Workspace, store: SharedClaimStore
) -> None:
    converted.prepared.write_text(text)
    with pytest.raises(JobError) as caught:
        publish(order(), converted, store=store)
    assert caught.value.reason == Reason.RESULT_LOST


def test_the_manifest_is_written_last(
    order: Order, converted: Workspace, store: SharedClaimStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    really = store.commit

    def commit(manifest: Manifest) -> Manifest:
        calls.extend(path.name for path in (converted.scratch.parent / "store").rglob("*"))
        return really(manifest)

    monkeypatch.setattr(store, "commit", commit)
    publish(order(), converted, store=store)
    assert SHA256 in calls
    assert f"{KEY}.json" not in calls


# --- a store that is full -----------------------------------------------------------------------

BIG = 600_000


def crowded(folder: Path) -> SharedClaimStore:
    """A volume of 1 MiB with a file of which it was noted long ago that nobody uses it."""
    store, old = SharedClaimStore(folder), time.time() - 3 * 86_400
    sha256 = hashlib.sha256(b"x").hexdigest()
    for place, size in ((f"blobs/sha256/{sha256}", BIG), (f"unused/{sha256}", 0)):
        store.write(place, b"x" * size)
        os.utime(folder / place, (old, old))
    return store


@pytest.mark.parametrize("told", [True, False], ids=["told what is in use", "not told"])
def test_a_full_store_is_swept_before_it_is_called_full(
    told: bool, order: Order, converted: Workspace, tmp_path: Path
) -> None:
    converted.compiled_model.write_bytes(b"y" * BIG)
    kept = parse_keep('{"days": 7, "keys": [], "blobs": []}') if told else None
    with nginx.small_volume(tmp_path / "small") as mounted:
        if not mounted:
            pytest.skip("needs the right to mount a small file system")
        store = crowded(tmp_path / "small")
        if told:
            assert publish(order(), converted, store=store, keep=kept)["origin"] == "Converted"
            assert len(store.entries("blobs/sha256")) == 1
            return
        with pytest.raises(JobError) as caught:
            publish(order(), converted, store=store, keep=kept)
        assert caught.value.reason == Reason.STORE_FULL


# --- download ------------------------------------------------------------------------


def fetched(address: str, output: Path, fake_time: FakeTime, **more: Any) -> dict[str, Any]:
    return download(
        f"{address}/", SHA256, output, wait_seconds=more.get("wait", 20), clock=fake_time.clock
    )


def test_an_artifact_is_downloaded_once(tmp_path: Path, fake_time: FakeTime) -> None:
    output = tmp_path / "model.om"
    with serving(whole(OM)) as (address, seen):
        first = fetched(address, output, fake_time)
        again = fetched(address, output, fake_time)
    assert first == again == {"ok": True, "sha256": SHA256, "sizeBytes": 5}
    assert [request for request, _ in seen] == [f"GET /blobs/sha256/{SHA256}"]
    assert output.read_bytes() == OM


def test_half_a_file_from_before_is_replaced(tmp_path: Path, fake_time: FakeTime) -> None:
    output = tmp_path / "model.om"
    output.write_bytes(b"an")
    with serving(whole(OM)) as (address, _):
        fetched(address, output, fake_time)
    assert output.read_bytes() == OM


def test_the_store_is_waited_for(tmp_path: Path, fake_time: FakeTime) -> None:
    script = [status(503), piece(200, OM[:2], 5), whole(OM)]
    with serving(*script) as (address, _):
        fetched(address, tmp_path / "model.om", fake_time)
    assert fake_time.naps == [1.0, 2.0]


REFUSED: list[tuple[str, Any, Reason, int]] = [
    ("removed from the store", status(404), Reason.ARTIFACT_MISSING, 86),
    ("another content", whole(b"other"), Reason.ARTIFACT_MISSING, 86),
    ("a store that forbids", status(403), Reason.STORE_UNAVAILABLE, 81),
    ("a store that stays down", status(503), Reason.STORE_UNAVAILABLE, 81),
]


@pytest.mark.parametrize(("why", "answer", "reason", "code"), REFUSED, ids=[r[0] for r in REFUSED])
def test_downloads_refused(
    why: str, answer: Any, reason: Reason, code: int, tmp_path: Path, fake_time: FakeTime
) -> None:
    with serving(answer) as (address, _), pytest.raises(JobError) as caught:
        fetched(address, tmp_path / "out/model.om", fake_time)
    assert (caught.value.reason, caught.value.exit_code) == (reason, code), why
    assert list((tmp_path / "out").iterdir()) == [], "nothing that could be loaded by mistake"


def test_a_store_that_is_away(tmp_path: Path, fake_time: FakeTime) -> None:
    with pytest.raises(JobError) as caught:
        fetched(unused_address(), tmp_path / "model.om", fake_time)
    assert caught.value.reason == Reason.STORE_UNAVAILABLE
    assert sum(fake_time.naps) == 20


def blob_on_claim(tmp_path: Path) -> Path:
    path = tmp_path / "claim/blobs/sha256" / SHA256
    path.parent.mkdir(parents=True)
    return path


def test_an_artifact_on_a_claim_is_copied_before_it_is_checked(tmp_path: Path) -> None:
    blob, output = blob_on_claim(tmp_path), tmp_path / "model.om"
    blob.write_bytes(OM)
    found = copy_from_claim(tmp_path / "claim", SHA256, output)
    assert found == {"ok": True, "sha256": SHA256, "sizeBytes": 5}
    blob.write_bytes(b"swapped after the check")
    assert output.read_bytes() == OM


ON_CLAIM: list[tuple[str, Callable[[Path], object]]] = [
    ("nothing there", lambda path: None),
    ("a folder", lambda path: path.mkdir()),
    ("another content", lambda path: path.write_bytes(b"x")),
    ("a link to a file that only the container sees", lambda path: path.symlink_to(__file__)),
    ("a link to itself", lambda path: path.symlink_to(path)),
    ("a pipe that nobody writes to", os.mkfifo),
]


@pytest.mark.parametrize(("why", "make"), ON_CLAIM, ids=[m[0] for m in ON_CLAIM])
def test_blobs_on_a_claim_refused(why: str, make: Callable[[Path], object], tmp_path: Path) -> None:
    make(blob_on_claim(tmp_path))
    with pytest.raises(JobError) as caught:
        copy_from_claim(tmp_path / "claim", SHA256, tmp_path / "model.om")
    assert caught.value.reason == Reason.ARTIFACT_MISSING, why
    assert not (tmp_path / "model.om").exists()


def facts_of(workspace: Workspace, **said: Any) -> None:
    write_json(workspace.publisher, {"facts": {"source": "config.json", **said}, "notes": []})


FIVE = ["tench", "goldfish", "shark", "cock", "hen"]


def test_labels_of_the_publisher_go_into_the_store(
    order: Order, converted: Workspace, store: SharedClaimStore, tmp_path: Path
) -> None:
    facts_of(converted, labels=FIVE, mean=[123.675, 116.28, 103.53], std=[58.4, 57.1, 57.4])
    said = publish(order(), converted, store=store)["publisher"]
    text = b"tench\ngoldfish\nshark\ncock\nhen\n"
    digest = hashlib.sha256(text).hexdigest()
    assert said == {
        "source": "config.json",
        "labels": {"count": 5, "sha256": digest, "sizeBytes": len(text)},
        "mean": [123.675, 116.28, 103.53],
        "std": [58.4, 57.1, 57.4],
    }
    target = converted.scratch / "labels.txt"
    copy_from_claim(tmp_path / "store", digest, target)
    assert target.read_bytes() == text


def test_other_labels_of_the_same_weights_are_not_mixed_up(
    order: Order, converted: Workspace, store: SharedClaimStore
) -> None:
    """The first one to publish an artifact wins; the names of its classes are another matter."""
    digests = []
    for labels in (FIVE, FIVE[::-1], FIVE):
        facts_of(converted, labels=labels)
        told = publish(order(), converted, store=store)
        digests.append(told["publisher"]["labels"]["sha256"])
    assert told["origin"] == "Reused"
    assert digests[0] == digests[2] != digests[1]


def test_labels_that_fit_no_output_are_noted(
    order: Order, converted: Workspace, store: SharedClaimStore
) -> None:
    facts_of(converted, labels=["cat", "dog"])
    told = publish(order(), converted, store=store)
    assert "publisher" not in told
    assert told["notes"] == ["2 labels of the publisher fit no output: ignored"]


def test_what_the_message_holds_is_bounded(
    order: Order, converted: Workspace, store: SharedClaimStore
) -> None:
    long = {"source": "x" * 5000, "labels": FIVE, "inputSize": [224, 224], "cropPct": 0.875}
    notes = [f"{'y' * 1000} {n}" for n in range(50)]
    write_json(converted.publisher, {"facts": long, "notes": notes})
    assert len(fit_message(publish(order(), converted, store=store))) < 1500


MEMORY: tuple[tuple[str, Any, int | None], ...] = (
    ("what ATC says", 29293568, 29293568),
    ("nothing is said", None, None),
    ("no size", 0, None),
    ("a debt", -1, None),
    ("more than any chip has", 2**44 + 1, None),
    ("a text", "29293568", None),
    ("a truth", True, None),
)


@pytest.mark.parametrize(("reason", "said", "kept"), MEMORY)
def test_the_manifest_has_what_the_model_takes_of_a_chip(
    order: Order, converted: Workspace, store: SharedClaimStore, reason: str, said: Any, kept: Any
) -> None:
    """The next Job that finds the artifact runs no ATC, and tells it from here."""
    write_json(converted.convert_result, BUILD | {"memoryBytes": said})
    publish(order(), converted, store=store)
    found = store.find(KEY)
    assert found is not None
    assert found.document.get("memoryBytes") == kept, reason
