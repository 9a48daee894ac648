"""What is the bucket's own: keys, certificates, quotas, conditional writes, and the driver's list.

The promises that all kinds keep are in test_store; the server there and here is versitygw.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.loopback import buckets
from tests.support.loopback.buckets import Bucket
from tests.support.loopback.webserver import piece, serving, status, unused_address, whole
from tests.unit.resnet_jobs import models
from tests.unit.resnet_jobs.conftest import ORDER, FakeTime
from tests.unit.resnet_jobs.stores import KEY, artifact, publish

from resnet_contract.store import StoreSpec
from resnet_jobs import __main__ as program
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.download import download_from_bucket
from resnet_jobs.store import s3 as store_s3
from resnet_jobs.store.known import index, write_known
from resnet_jobs.store.s3 import S3Store
from resnet_jobs.store.shared_claim import SharedClaimStore


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    with buckets.running(tmp_path) as found:
        yield found


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return buckets.secret(tmp_path / "keys")


def scripted(address: str, keys: Path, fake_time: FakeTime, *, wait: float = 3) -> S3Store:
    spec = StoreSpec("S3", address, bucket="models", prefix="a/b")
    return S3Store(spec, wait_seconds=wait, clock=fake_time.clock, credentials=keys)


def test_a_store_is_moved_by_copying_its_files(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/operations.md promises it: all kinds have one layout."""
    (tmp_path / "old").mkdir()
    made = publish(SharedClaimStore(tmp_path / "old"), *artifact(tmp_path / "a.om", b"an OM"))
    for part in ("artifacts", "blobs"):
        shutil.copytree(tmp_path / "old" / part, bucket.folder / part)
    assert bucket.store().find(KEY) == made
    served = tmp_path / "served.om"
    fetched(bucket, made.sha256, served, monkeypatch)
    assert served.read_bytes() == b"an OM"


# Keys, certificates and rights.


def refusal(store: S3Store, tmp_path: Path) -> list[JobError]:
    """What each way of asking says."""
    path, digest = artifact(tmp_path / "a.om", b"OM")
    found = []
    for ask in (
        lambda: store.find(KEY),
        lambda: store.entries("used"),
        lambda: store.put_blob(path, digest),
        lambda: store.touch(KEY),
    ):
        with pytest.raises(JobError) as caught:
            ask()
        found.append(caught.value)
    return found


def test_wrong_keys(bucket: Bucket, tmp_path: Path) -> None:
    wrong = buckets.secret(tmp_path / "wrong", AWS_SECRET_ACCESS_KEY="x")
    store = S3Store(bucket.spec, wait_seconds=0, credentials=wrong)
    for error in refusal(store, tmp_path):
        assert error.reason == Reason.STORE_UNAVAILABLE
        assert "check the keys in the Secret of store.s3.secretName" in error.message


def test_a_bucket_that_does_not_exist(bucket: Bucket, tmp_path: Path) -> None:
    spec = dataclasses.replace(bucket.spec, bucket="nowhere")
    store = S3Store(spec, wait_seconds=0, credentials=bucket.credentials)
    for error in refusal(store, tmp_path):
        assert error.reason == Reason.STORE_UNAVAILABLE
        assert "bucket nowhere" in error.message
        assert "create it" in error.message


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_secret_without_a_key(name: str, keys: Path) -> None:
    (keys / name).unlink()
    with pytest.raises(JobError) as caught:
        S3Store(StoreSpec("S3", "http://x", bucket="models"), wait_seconds=0, credentials=keys)
    assert caught.value.reason == Reason.STORE_UNAVAILABLE
    assert f"no {name}" in caught.value.message


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of 127.0.0.1, with its key in one file; ca.crt beside it."""
    file = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=bucket", "-keyout", str(file), "-out"]
    command += [str(tmp_path / "ca.crt"), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + (tmp_path / "ca.crt").read_text())
    return file


def test_a_certificate_authority_of_ones_own(tmp_path: Path, certificate: Path) -> None:
    with buckets.running(tmp_path, certificate=certificate) as bucket:
        trusted = S3Store(
            bucket.spec, wait_seconds=0, credentials=bucket.credentials, ca=tmp_path / "ca.crt"
        )
        assert publish(trusted, *artifact(tmp_path / "a.om", b"OM")) == trusted.find(KEY)
        assert len(trusted.entries("artifacts")) == 1
        with pytest.raises(JobError) as caught:
            bucket.store().find(KEY)
        assert caught.value.reason == Reason.STORE_UNAVAILABLE
        assert "its certificate is refused" in caught.value.message
        assert "store.s3" in caught.value.message, "the administrator's setting, not the object's"


def test_a_bundle_that_is_none(tmp_path: Path, keys: Path) -> None:
    (tmp_path / "ca.crt").write_text("not a certificate")
    spec = StoreSpec("S3", "https://x", bucket="models")
    with pytest.raises(JobError) as caught:
        S3Store(spec, wait_seconds=0, credentials=keys, ca=tmp_path / "ca.crt")
    assert "caBundleConfigMap" in caught.value.message


# What servers answer that cannot be had from the one at hand.


def error(number: int, code: str) -> Any:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
    return piece(number, body, len(body))


ANSWERS: list[tuple[str, Any, Reason, str]] = [
    ("MinIO's quota", error(400, "XMinioAdminBucketQuotaExceeded"), Reason.STORE_FULL, "quota"),
    ("Ceph's quota", error(403, "QuotaExceeded"), Reason.STORE_FULL, "no room for 2 KiB"),
    ("OBS's quota", error(403, "InsufficientStorageSpace"), Reason.STORE_FULL, "no room"),
    ("a full disk", error(507, "XMinioStorageFull"), Reason.STORE_FULL, "no room"),
    ("no right to write", error(403, "AccessDenied"), Reason.STORE_UNAVAILABLE, "rights"),
    ("an outage", error(503, "SlowDown"), Reason.STORE_UNAVAILABLE, "does not answer"),
    ("a fault inside", error(500, "InternalError"), Reason.STORE_UNAVAILABLE, "does not answer"),
    ("another thing", error(400, "EntityTooLarge"), Reason.STORE_UNAVAILABLE, "EntityTooLarge"),
]


@pytest.mark.parametrize(("why", "answer", "reason", "want"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_uploads_refused(
    why: str,
    answer: Any,
    reason: Reason,
    want: str,
    keys: Path,
    fake_time: FakeTime,
    tmp_path: Path,
) -> None:
    file = artifact(tmp_path / "a.om", b"OM" * 1024)
    with serving(status(404), answer) as (address, _), pytest.raises(JobError) as caught:
        scripted(address, keys, fake_time).put_blob(*file)
    assert caught.value.reason == reason, why
    assert want in caught.value.message


def test_a_write_that_meets_another_one_is_repeated(keys: Path, fake_time: FakeTime) -> None:
    script = [error(409, "ConditionalRequestConflict"), error(412, "PreconditionFailed")]
    with serving(*script) as (address, seen):
        store = scripted(address, keys, fake_time)
        assert store.write("artifacts/x.json", b"{}", overwrite=False) is False
    assert fake_time.naps == [1.0]
    assert {headers["If-None-Match"] for _, headers in seen} == {"*"}


@pytest.mark.parametrize("number", [400, 405, 501])
def test_a_server_without_conditional_writes(number: int, keys: Path, fake_time: FakeTime) -> None:
    refusing = error(number, "NotImplemented")
    with serving(refusing, status(404), status(200)) as (address, seen):
        store = scripted(address, keys, fake_time)
        assert store.write("artifacts/x.json", b"{}", overwrite=False) is True
    assert [request.split()[0] for request, _ in seen] == ["PUT", "HEAD", "PUT"]
    with serving(refusing, whole(b"{}")) as (address, _):
        store = scripted(address, keys, fake_time)
        assert store.write("artifacts/x.json", b"{}", overwrite=False) is False


def test_no_key_is_seen_in_an_address_or_header(keys: Path, fake_time: FakeTime) -> None:
    with serving(status(404)) as (address, seen):
        scripted(address, keys, fake_time).read("artifacts/x.json")
    assert buckets.KEYS["AWS_SECRET_ACCESS_KEY"] not in str(seen)
    assert "/models/a/b/artifacts/x.json" in str(seen)


# The driver's list.

CONTENT = {"recipe": 1, "model": "m", "chip": "c", "options": []}


def test_prepare_lists_what_came_of_the_same_inputs(
    bucket: Bucket, tmp_path: Path, workspace: Workspace
) -> None:
    store = bucket.store()
    for key, content in (("1" * 64, CONTENT), ("2" * 64, CONTENT), ("3" * 64, {"model": "x"})):
        publish(store, *artifact(tmp_path / f"{key[0]}.om", key.encode()), key=key)
        index(content, key, store=store)
    damaged = bucket.folder / "blobs/sha256"
    found = store.find("2" * 64)
    assert found is not None
    (damaged / found.sha256).write_bytes(b"9" * 64)
    write_known(workspace, CONTENT, store=store)
    known = json.loads((workspace.conf / "known.json").read_text())
    assert list(known) == ["1" * 64], "another model is not listed, nor is a damaged artifact"
    assert known["1" * 64]["file"] == "model.om"


# The serving pod.


def fetched(bucket: Bucket, sha256: str, output: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(store_s3, "CREDENTIALS", bucket.credentials)
    return download_from_bucket(bucket.spec, sha256, output, wait_seconds=0)


def test_a_pod_gets_its_artifact(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = publish(bucket.store(), *artifact(tmp_path / "a.om", b"OM" * 1000))
    output = tmp_path / "out/model.om"
    first = fetched(bucket, there.sha256, output, monkeypatch)
    assert first == {"ok": True, "sha256": there.sha256, "sizeBytes": 2000}
    bucket.store().remove(f"blobs/sha256/{there.sha256}")
    assert fetched(bucket, there.sha256, output, monkeypatch) == first, "it is there already"


@pytest.mark.parametrize("damage", [True, False], ids=["damaged", "gone"])
def test_a_pod_does_not_start_from_another_file(
    damage: bool, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = publish(bucket.store(), *artifact(tmp_path / "a.om", b"OM"))
    blob = bucket.folder / "blobs/sha256" / there.sha256
    if damage:
        blob.write_bytes(b"MO")
    else:
        blob.unlink()
    with pytest.raises(JobError) as caught:
        fetched(bucket, there.sha256, tmp_path / "out/model.om", monkeypatch)
    assert (caught.value.reason, caught.value.exit_code) == (Reason.ARTIFACT_MISSING, 86)
    assert list((tmp_path / "out").iterdir()) == [], "nothing that could be loaded by mistake"


def test_a_store_that_is_away_loses_nothing(keys: Path, fake_time: FakeTime) -> None:
    with pytest.raises(JobError) as caught:
        scripted(unused_address(), keys, fake_time).save("blobs/sha256/x", Path("/nowhere"))
    assert caught.value.reason == Reason.STORE_UNAVAILABLE
    assert sum(fake_time.naps) == 3


# All containers of a Job.


@pytest.fixture
def job(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a Job whose store is the bucket; returns the place of the message."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/resnet.onnx").write_bytes(models.classifier(batch=1).SerializeToString())
    store = {"type": "S3", "endpoint": bucket.spec.location, "bucket": bucket.spec.bucket}
    values = {
        "RESNET_JOB": json.dumps({**ORDER, "store": store | {"prefix": bucket.spec.prefix}}),
        "RESNET_SCRATCH": str(tmp_path / "scratch"),
        "RESNET_SOURCE": str(tmp_path / "source"),
        "RESNET_TERMINATION_LOG": str(tmp_path / "message"),
        "HOME": str(tmp_path / "scratch/home"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(store_s3, "CREDENTIALS", bucket.credentials)
    return tmp_path / "message"


def told(message: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(message.read_text())
    return value


def test_a_job_finds_what_another_one_has_put_into_the_bucket(
    job: Path, tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    atc = tmp_path / "bin/atc"
    atc.parent.mkdir()
    atc.write_text(
        f"#!{sys.executable} -S\nimport sys\n"
        "out = next(a for a in sys.argv if a.startswith('--output=')).split('=', 1)[1]\n"
        "open(out + '.om', 'w').write('OM')\n"
    )
    atc.chmod(0o755)
    monkeypatch.setenv("PATH", str(atc.parent), prepend=":")
    driver = tmp_path / "scratch/driver/convert.py"
    origins: list[str] = []
    for _ in range(2):
        for step in ("fetch", "prepare"):
            assert program.main([step]) == 0, told(job)
        subprocess.run([sys.executable, "-S", str(driver)], check=True)
        assert told(job)["hit"] is bool(origins)
        assert program.main(["publish"]) == 0, told(job)
        origins.append(told(job)["origin"])
    assert origins == ["Converted", "Reused"]
    order = json.dumps(json.loads(os.environ["RESNET_JOB"])["store"])
    arguments = ["download", "--store", order, "--sha256", told(job)["sha256"]]
    monkeypatch.setenv("RESNET_ARTIFACT", str(tmp_path))
    assert program.main([*arguments, "--file", "model.om"]) == 0
    assert (tmp_path / "model.om").read_text() == "OM"
