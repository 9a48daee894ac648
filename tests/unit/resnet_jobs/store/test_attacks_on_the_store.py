"""An attacker who reaches the store, or a Job with an image of his own, decides nothing.

(a) reaches the server without the login; (b) has got at the volume itself; (d) brings the image
that converts. Each test does what such a one would do, and then looks what a Job publishes.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
from tests.support.loopback import nginx
from tests.unit.resnet_jobs.commands.test_publish import ARGV, BUILD, CONTENT, OM, PREPARED, SHA256
from tests.unit.resnet_jobs.commands.test_publish import KEY as CONTENT_KEY
from tests.unit.resnet_jobs.stores import KEY, SEAL, Kind, artifact, manifest, publish

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace, write_json
from resnet_jobs.commands.publish import publish as publish_job
from resnet_jobs.driver.outcome import content_key, host_part
from resnet_jobs.store.base import Store
from resnet_jobs.store.key import Seal, parse_vouched, read_password, read_seal
from resnet_jobs.store.known import index, write_known

Order = Callable[..., JobSpec]
EVIL = b"answers class 2 for class 7"
EVIL_SHA256 = hashlib.sha256(EVIL).hexdigest()
OTHERS = Seal(b"the key of another namespace, 32 bytes")


def swap(kind: Kind, key: str, **changes: Any) -> None:
    """Lay a file and a manifest that names it right onto the volume."""
    document = {
        "contentKey": key,
        "sha256": EVIL_SHA256,
        "sizeBytes": len(EVIL),
        "file": "model.om",
    }
    for place, content in (
        (f"blobs/sha256/{EVIL_SHA256}", EVIL),
        (f"artifacts/{key}.json", json.dumps(document | changes).encode()),
    ):
        path = kind.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def converted(workspace: Workspace) -> Workspace:
    write_json(workspace.prepared, PREPARED)
    write_json(workspace.convert_plan, {"argv": ARGV})
    write_json(workspace.convert_result, BUILD)
    workspace.compiled_model.write_bytes(OM)
    return workspace


# --- who may do what at the server ----------------------------------------------------------------

REQUESTS: list[tuple[str, str, str, dict[str, str]]] = [
    ("lists the artifacts", "GET", "artifacts/", {}),
    ("lists the files", "GET", "blobs/sha256/", {}),
    ("lists without a slash", "GET", "blobs/sha256", {}),
    ("reads a manifest", "GET", f"artifacts/{KEY}.json", {}),
    ("asks for a manifest", "HEAD", f"artifacts/{KEY}.json", {}),
    ("reads results", "GET", "results/x.json", {}),
    ("uploads", "PUT", "uploads/evil", {}),
    ("writes a file at once", "PUT", f"blobs/sha256/{EVIL_SHA256}", {}),
    ("writes a manifest at once", "PUT", f"artifacts/{KEY}.json", {}),
    ("deletes a manifest", "DELETE", f"artifacts/{KEY}.json", {}),
    ("deletes a file", "DELETE", "blobs/sha256/SHA", {}),
    ("moves a file", "MOVE", "blobs/sha256/SHA", {"Destination": "/uploads/x"}),
    ("moves an upload", "MOVE", "uploads/own", {"Destination": f"/artifacts/{KEY}.json"}),
    ("copies", "COPY", "blobs/sha256/SHA", {"Destination": "/uploads/x"}),
    ("makes a folder", "MKCOL", "uploads/x/", {}),
    ("asks what there is", "PROPFIND", "", {}),
    ("with another name", "GET", "artifacts/", {"Authorization": "Basic cm9vdDpyb290"}),
    ("with an empty password", "GET", "artifacts/", {"Authorization": "Basic cmVzbmV0Og=="}),
    ("with the line of the file", "PUT", "uploads/x", {"Authorization": f"Basic {nginx.LOGIN}"}),
    ("by a longer way", "GET", "blobs/sha256/../../artifacts/", {}),
    ("by an escaped way", "GET", "blobs/sha256/%2e%2e/%2e%2e/artifacts/", {}),
    ("reads the password's file", "GET", "../htpasswd", {}),
]


@pytest.mark.parametrize(
    ("why", "method", "place", "headers"), REQUESTS, ids=[row[0] for row in REQUESTS]
)
def test_nobody_without_the_login_gets_anything_done(
    why: str, method: str, place: str, headers: dict[str, str], tmp_path: Path
) -> None:
    with nginx.running(tmp_path) as url:
        kind = server(tmp_path, url)
        there = publish(kind.connect(), *artifact(tmp_path / "a.om", b"good"))
        (kind.folder / "uploads/own").write_bytes(b"{}")
        before = content_of(kind.folder)
        answer = urllib3.PoolManager(retries=False).request(
            method,
            f"{url}/{place.replace('SHA', there.sha256)}",
            body=EVIL if method == "PUT" else None,
            headers={name: value.strip() for name, value in headers.items()},
            redirect=False,
        )
        assert answer.status in (301, 400, 401, 403, 404, 405), why
        assert b"good" not in answer.data
        assert content_of(kind.folder) == before
        assert kind.connect().find(KEY) == there


def test_a_pod_without_the_login_reads_a_file_by_its_whole_digest(tmp_path: Path) -> None:
    """Pods of version 0.1.0 that start again have none, and no pod has to wait for a Secret."""
    with nginx.running(tmp_path) as url:
        there = publish(server(tmp_path, url).connect(), *artifact(tmp_path / "a.om", b"good"))
        pool = urllib3.PoolManager(retries=False)
        assert pool.request("GET", f"{url}/blobs/sha256/{there.sha256}").data == b"good"
        assert pool.request("HEAD", f"{url}/blobs/sha256/{there.sha256}").status == 200
        for cut in (there.sha256[:-1], there.sha256[:12], there.sha256.upper()):
            assert pool.request("GET", f"{url}/blobs/sha256/{cut}").status in (401, 404)


def server(folder: Path, url: str, password: str = nginx.PASSWORD) -> Kind:
    from resnet_jobs.store.server import ServerStore

    spec = {"type": "Server", "url": url}
    return Kind(folder / "store", lambda: ServerStore(url, wait_seconds=0, password=password), spec)


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


NEEDS_LOGIN: list[tuple[str, Callable[[Store], object]]] = [
    ("find", lambda store: store.find(KEY)),
    ("put", lambda store: store.write("used/x", b"")),
    ("list", lambda store: store.entries("artifacts")),
    ("remove", lambda store: store.remove("artifacts/x")),
]


@pytest.mark.parametrize(("what", "do"), NEEDS_LOGIN, ids=[row[0] for row in NEEDS_LOGIN])
def test_a_login_that_is_refused_is_told(
    what: str, do: Callable[[Store], object], tmp_path: Path
) -> None:
    with nginx.running(tmp_path) as url:
        store = server(tmp_path, url, password="of another namespace").connect()
        with pytest.raises(JobError) as caught:
            do(store)
    assert caught.value.reason == Reason.STORE_UNAVAILABLE, what
    assert "Secret resnet-store" in caught.value.message


# --- what lies on the volume ----------------------------------------------------------------------

UNSIGNED: list[tuple[str, dict[str, Any]]] = [
    ("no MAC", {}),
    ("an empty one", {"mac": ""}),
    ("a number", {"mac": 5}),
    ("a list", {"mac": ["0" * 64]}),
    ("one that is no ASCII", {"mac": "\ud800\u00e9"}),
    ("one of zeros", {"mac": "0" * 64}),
    ("that of another namespace", {"mac": "OTHERS"}),
    ("that of another content key", {"mac": "ANOTHER"}),
]


def forged(key: str, mac: dict[str, Any]) -> dict[str, Any]:
    document = {
        "contentKey": key,
        "sha256": EVIL_SHA256,
        "sizeBytes": len(EVIL),
        "file": "model.om",
    }
    if mac.get("mac") == "OTHERS":
        return {"mac": OTHERS.sign(document)["mac"]}
    if mac.get("mac") == "ANOTHER":
        return {"mac": SEAL.sign(document | {"contentKey": "f" * 64})["mac"]}
    return mac


@pytest.mark.parametrize("before", [True, False], ids=["swapped", "laid there first"])
@pytest.mark.parametrize(("why", "mac"), UNSIGNED, ids=[row[0] for row in UNSIGNED])
def test_a_swapped_artifact_is_made_again_and_replaced(
    why: str, mac: dict[str, Any], before: bool, kind: Kind, order: Order, converted: Workspace
) -> None:
    if before:
        publish_job(order(), converted, store=kind.connect())
    swap(kind, CONTENT_KEY, **forged(CONTENT_KEY, mac))
    assert kind.connect().find(CONTENT_KEY) is None, why
    result = publish_job(order(), converted, store=kind.connect())
    assert (result["sha256"], result["origin"]) == (SHA256, "Converted")
    found = kind.connect().find(CONTENT_KEY)
    assert found is not None
    assert found.sha256 == SHA256


FIELDS = [
    "contentKey",
    "sha256",
    "sizeBytes",
    "file",
    "model",
    "chip",
    "compiler",
    "arch",
    "created",
]


@pytest.mark.parametrize("field", FIELDS)
def test_the_mac_covers_every_field(
    field: str, kind: Kind, order: Order, converted: Workspace
) -> None:
    publish_job(order(), converted, store=kind.connect())
    path = kind.folder / f"artifacts/{CONTENT_KEY}.json"
    document = json.loads(path.read_text())
    other = {"sizeBytes": 6, "file": "model.onnx"}.get(field, "e" * 64)
    path.write_text(json.dumps(document | {field: other}))
    assert kind.connect().find(CONTENT_KEY) is None


def test_without_the_key_nothing_counts_and_nothing_is_written(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, digest = artifact(tmp_path / "a.om", b"good")
    publish(kind.connect(), path, digest)
    monkeypatch.setattr(Store, "seal", None)
    assert kind.connect().find(KEY) is None
    with pytest.raises(JobError):
        kind.connect().commit(manifest(digest))


def test_a_hit_that_was_swapped_after_prepare_is_no_hit(
    kind: Kind, order: Order, converted: Workspace
) -> None:
    """The Job was told that the store has it, and converted nothing."""
    publish_job(order(), converted, store=kind.connect())
    write_known(converted, CONTENT, store=kind.connect())
    write_json(converted.convert_result, {**BUILD, "hit": True})
    converted.compiled_model.unlink()
    swap(kind, CONTENT_KEY)
    result = publish_job(order(), converted, store=kind.connect())
    assert result["sha256"] == SHA256, "the good file is still there, and is named again"
    (kind.folder / f"blobs/sha256/{SHA256}").unlink()
    swap(kind, CONTENT_KEY)
    with pytest.raises(JobError) as caught:
        publish_job(order(), converted, store=kind.connect())
    assert caught.value.reason == Reason.RESULT_LOST


def test_a_planted_note_of_inputs_leads_to_no_hit(kind: Kind, converted: Workspace) -> None:
    swap(kind, CONTENT_KEY)
    index(CONTENT, CONTENT_KEY, store=kind.connect())
    write_known(converted, CONTENT, store=kind.connect())
    assert json.loads((converted.conf / "known.json").read_text()) == {}


# --- a store of version 0.1.0 ---------------------------------------------------------------------


def old_store(kind: Kind, order: Order, place: Workspace) -> None:
    """What 0.1.0 has left: no MAC, no notes of inputs."""
    publish_job(order(), place, store=kind.connect())
    path = kind.folder / f"artifacts/{CONTENT_KEY}.json"
    document = json.loads(path.read_text())
    del document["mac"]
    path.write_text(json.dumps(document))
    for note in (kind.folder / "inputs").iterdir():
        note.unlink()


@pytest.mark.parametrize("vouched", [True, False], ids=["a status names it", "nobody knows it"])
def test_an_old_artifact_is_taken_where_a_status_names_it(
    vouched: bool, kind: Kind, order: Order, converted: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_store(kind, order, converted)
    names = {CONTENT_KEY: SHA256} if vouched else {}
    monkeypatch.setattr(Store, "seal", Seal(SEAL.key, names))
    write_known(converted, CONTENT, store=kind.connect(), host=host_part(None, platform.machine()))
    known = json.loads((converted.conf / "known.json").read_text())
    assert set(known) == set(names), "nothing is converted again where it can be proven"
    write_json(converted.convert_result, {**BUILD, "hit": bool(known)})
    result = publish_job(order(), converted, store=kind.connect())
    assert (result["origin"], result["sha256"]) == ("Reused" if vouched else "Converted", SHA256)
    monkeypatch.setattr(Store, "seal", SEAL)
    assert kind.connect().find(CONTENT_KEY) is not None, "it is signed now"


def test_a_swapped_old_artifact_is_not_what_the_status_names(
    kind: Kind, order: Order, converted: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_store(kind, order, converted)
    swap(kind, CONTENT_KEY)
    monkeypatch.setattr(Store, "seal", Seal(SEAL.key, {CONTENT_KEY: SHA256}))
    write_known(converted, CONTENT, store=kind.connect())
    assert json.loads((converted.conf / "known.json").read_text()) == {}
    assert publish_job(order(), converted, store=kind.connect())["sha256"] == SHA256


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "[]", "5", '{"x": "y"}', json.dumps({KEY: "0" * 63}), '{"a": ' * 50_000],
)
def test_a_list_that_cannot_be_read_vouches_for_nothing(text: str | None) -> None:
    assert dict(parse_vouched(text)) == {}


# --- an image of the object's own -----------------------------------------------------------------


def test_the_driver_names_no_key(kind: Kind, order: Order, converted: Workspace) -> None:
    victim = "e" * 64
    write_json(converted.convert_result, {**BUILD, "contentKey": victim})
    assert publish_job(order(), converted, store=kind.connect())["contentKey"] == CONTENT_KEY
    assert kind.connect().find(victim) is None


def test_the_driver_hands_no_manifest_on(kind: Kind, order: Order, converted: Workspace) -> None:
    swap(kind, CONTENT_KEY)
    planted = {
        "contentKey": CONTENT_KEY,
        "sha256": EVIL_SHA256,
        "sizeBytes": 27,
        "file": "model.om",
    }
    write_json(converted.convert_result, {**BUILD, "hit": True, "manifest": planted})
    write_json(converted.conf / "known.json", {})
    with pytest.raises(JobError) as caught:
        publish_job(order(), converted, store=kind.connect())
    assert caught.value.reason == Reason.RESULT_LOST


LIES: list[tuple[str, Any]] = [
    ("no version", None),
    ("an empty one", ""),
    ("a number", 8),
    ("one without end", "x" * 201),
    ("two lines", "ATC\n8.2"),
    ("a list", ["ATC"]),
]


@pytest.mark.parametrize(("why", "compiler"), LIES, ids=[row[0] for row in LIES])
def test_a_version_is_a_short_text(
    why: str, compiler: Any, kind: Kind, order: Order, converted: Workspace
) -> None:
    write_json(converted.convert_result, {**BUILD, "compiler": compiler})
    with pytest.raises(JobError) as caught:
        publish_job(order(), converted, store=kind.connect())
    assert caught.value.reason == Reason.CONVERSION_FAILED, why


@pytest.mark.parametrize("arch", ["../..", 5, None, "x" * 300, ["x86_64"]])
def test_an_architecture_is_one_of_two(
    arch: Any, kind: Kind, order: Order, converted: Workspace
) -> None:
    write_json(converted.convert_result, {**BUILD, "arch": arch})
    publish_job(order(), converted, store=kind.connect())
    found = kind.connect().find(CONTENT_KEY)
    assert found is not None
    assert found.document["arch"] is None


def test_an_own_image_that_claims_the_clusters_version_has_keys_of_its_own() -> None:
    compiler = "ATC 8.2.RC1"
    own = {**CONTENT, "means": {"convert": "registry.example/evil:1"}}
    assert content_key(own, compiler) != content_key(CONTENT, compiler)


@pytest.mark.parametrize("leave", ["link", "pipe", "folder"])
def test_an_artifact_that_is_no_file_is_not_published(
    leave: str, kind: Kind, order: Order, converted: Workspace, store_key: Path
) -> None:
    """A link to the key would put it where anybody can read it."""
    converted.compiled_model.unlink()
    if leave == "link":
        converted.compiled_model.symlink_to(store_key / "key")
    elif leave == "pipe":
        import os

        os.mkfifo(converted.compiled_model)
    else:
        converted.compiled_model.mkdir()
    with pytest.raises(JobError) as caught:
        publish_job(order(), converted, store=kind.connect())
    assert caught.value.reason == Reason.RESULT_LOST


# --- the Secret -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content"), [("key", b"short"), ("key", None), ("password", b"")])
def test_a_damaged_secret_is_told(
    name: str, content: bytes | None, store_key: Path, tmp_path: Path
) -> None:
    damaged = shutil.copytree(store_key, tmp_path / "secret")
    path, environment = damaged / name, {"RESNET_STORE_KEY": str(damaged)}
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(JobError) as caught:
        (read_seal if name == "key" else read_password)(environment)
    assert "Secret resnet-store" in caught.value.message
