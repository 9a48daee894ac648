"""A batch into each place and format that there is: real servers, each picture exactly once."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arro3.core import DataType
from arro3.io import read_parquet
from minio import Minio
from minio.error import S3Error
from tests.support.loopback.webserver import serving, status, unused_address
from tests.support.servers import (
    ACCESS_KEY,
    PASSWORD,
    REGION,
    SECRET_KEY,
    USER,
    RegistryServer,
    S3Server,
    htpasswd,
    registry_server,
    s3_server,
)
from tests.unit.resnet_jobs.batch.bench import Bench, class_of
from tests.unit.resnet_jobs.batch.test_batch import Counting, run
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.batch.parquet import part_table
from resnet_jobs.batch.parts import Output, split
from resnet_jobs.batch.place import Place, open_place
from resnet_jobs.batch.rows import Answer, part_text
from resnet_jobs.batch.setup import set_up

COUNT, IN_PART = 35, 10
FORMATS = ["CSV", "Parquet"]
LOGIN = {"username": USER, "password": PASSWORD}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        client(found).make_bucket("results")
        yield found


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("registry")
    with registry_server(folder, authentication=htpasswd(folder)) as found:
        yield found


def client(s3: S3Server) -> Minio:
    return Minio(s3.host, ACCESS_KEY, SECRET_KEY, secure=False, region=REGION)


@dataclass
class Target:
    """A place as a person would look into it; `uri` is what the object names."""

    bench: Bench
    kind: str
    uri: str
    s3: S3Server
    registry: RegistryServer

    def place(self) -> Place:
        return open_place(self.bench.spec.batch.output, os.environ, FakeTime().clock)  # type: ignore[union-attr]

    def file(self, name: str) -> bytes | None:
        """A file, without our own code wherever that is possible."""
        if self.kind == "claim":
            path = self.bench.output / name
            return path.read_bytes() if path.exists() else None
        if self.kind == "bucket":
            try:
                key = f"{self.uri.removeprefix('s3://results/')}/{name}"
                return client(self.s3).get_object(bucket_name="results", object_name=key).read()
            except S3Error:
                return None
        return self.place().read(name)

    def damage(self, name: str) -> None:
        """Put other bytes in the place of a part's file, whose digest says what it was."""
        if self.kind == "registry":
            place, stem = self.place(), name.rpartition(".")[0]
            seal = place.read(f"{stem}.json")
            assert seal is not None
            place.write(name, b"damaged")
            place.write(f"{stem}.json", seal)
        else:
            self.place().write(name, b"damaged")

    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file("manifest.json") or b"null")
        return found

    def rows(self) -> list[dict[str, Any]]:
        rows = []
        for part in self.manifest()["parts"]:
            data = self.file(part["file"])
            assert data is not None
            assert hashlib.sha256(data).hexdigest() == part["sha256"]
            rows += rows_of(part["file"], data)
        return rows


def rows_of(name: str, data: bytes) -> list[dict[str, Any]]:
    if name.endswith(".csv"):
        found = csv.DictReader(data.decode().splitlines())
        return [row | {"index": int(row["index"])} for row in found]
    table = read_parquet(io.BytesIO(data)).read_all()
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.fixture(params=["claim", "bucket", "registry"])
def target(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3: S3Server,
    registry: RegistryServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Target:
    name = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
    uri = {
        "claim": "",
        "bucket": f"s3://results/runs/{name}",
        "registry": f"oci://{registry.name}/team/{name}:run-1",
    }[request.param]
    secret = s3.credentials if request.param == "bucket" else LOGIN
    put_secret(tmp_path, monkeypatch, secret)
    monkeypatch.setenv("RESNET_PLAIN_HTTP_REGISTRIES", registry.name)
    bench = Bench(tmp_path / "bench")
    into(bench, uri)
    bench.fill(COUNT)
    return Target(bench, request.param, uri, s3, registry)


def put_secret(folder: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    for key, value in values.items():
        (keys / key).write_text(value)
    monkeypatch.setenv("RESNET_OUTPUT_CREDENTIALS", str(keys))


def into(bench: Bench, uri: str, **more: Any) -> None:
    place = {"place": {"uri": uri}} if uri else {}
    bench.order = {**bench.order, "output": {**bench.order.get("output", {}), **place, **more}}


@pytest.mark.parametrize("written", FORMATS)
def test_every_picture_is_there_once_and_a_second_run_asks_for_none(
    target: Target, written: str
) -> None:
    into(target.bench, target.uri, format=written)
    message = run(target.bench)
    rows = target.rows()
    assert [row["index"] for row in rows] == list(range(COUNT))
    assert [int(row["label1"]) for row in rows] == [class_of(index) for index in range(COUNT)]
    manifest = target.file("manifest.json")
    assert manifest is not None
    assert message["manifestSha256"] == hashlib.sha256(manifest).hexdigest()
    suffix = written.lower()
    assert [part["file"] for part in target.manifest()["parts"]] == [
        f"part-{number:05}.{suffix}" for number in range(4)
    ]
    again = Counting()
    assert run(target.bench, infer=again)["pictures"] == COUNT
    assert again.asked == []
    assert target.file("manifest.json") == manifest


def test_what_a_stopped_pod_has_written_is_taken_over(target: Target) -> None:
    first = Counting()

    class Stopped(BaseException):
        pass

    def until_two(tally: Any) -> None:
        if tally.parts == 2:
            raise Stopped

    with pytest.raises(Stopped):
        run(target.bench, infer=first, told=until_two)
    assert target.file("manifest.json") is None
    second = Counting()
    run(target.bench, infer=second)
    assert sorted(second.asked) == list(range(20, COUNT))
    assert [row["index"] for row in target.rows()] == list(range(COUNT))


def test_a_part_without_its_digest_is_made_again(target: Target) -> None:
    """Stopped between the two writes: the file alone does not count."""
    setup = set_up(target.bench.spec, target.bench.place)
    output = Output(target.place(), setup.key)
    output.claim(setup.about())
    parts = split(COUNT, IN_PART)
    target.place().write(parts[0].file, part_text(0, ["x"], [Answer()], 1))
    assert output.find(parts[0]) is None
    run(target.bench)
    assert [row["index"] for row in target.rows()] == list(range(COUNT))


def test_only_a_damaged_part_is_made_again(target: Target) -> None:
    run(target.bench)
    whole = target.rows()
    target.damage("part-00001.csv")
    again = Counting()
    run(target.bench, infer=again)
    assert sorted(again.asked) == list(range(10, 20))
    assert target.rows() == whole


def test_pods_share_the_parts_and_two_at_one_part_write_one(target: Target) -> None:
    into(target.bench, target.uri)
    target.bench.order["parallelism"] = 2
    assert run(target.bench, shard=1).get("manifestSha256") is None
    assert run(target.bench, shard=0)["manifestSha256"]
    twice = Counting()
    output = Output(target.place(), set_up(target.bench.spec, target.bench.place).key)
    part = split(COUNT, IN_PART)[1]
    before = target.file(part.file)
    assert before is not None
    output.put(part, before, failed=0)
    assert run(target.bench, infer=twice, shard=1)["pictures"] == 15
    assert twice.asked == []
    assert [row["index"] for row in target.rows()] == list(range(COUNT))


def test_another_batch_is_refused_and_changes_nothing(target: Target) -> None:
    run(target.bench)
    before = target.rows(), target.manifest()
    into(target.bench, target.uri, topK=5)
    with pytest.raises(JobError, match="another batch") as caught:
        run(target.bench)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert (target.rows(), target.manifest()) == before


def test_what_is_not_a_batchs_is_not_replaced(target: Target) -> None:
    """A tag that an image of others has, a folder with somebody's manifest.json."""
    if target.kind == "registry":
        repository = target.uri.split("/", 3)[3].rpartition(":")[0]
        target.registry.push(repository, "run-1", {"app": b"an image"}, headers=basic())
    else:
        target.place().write("manifest.json", b"somebody's")
    with pytest.raises(JobError, match="holds something else already") as caught:
        run(target.bench)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert target.place().read("batch.json") is None


def basic() -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}


@pytest.mark.parametrize("target", ["registry"], indirect=True)
def test_the_artifact_has_every_part_as_a_file(target: Target) -> None:
    """What `oras pull` brings: the parts under their names, and the manifest."""
    run(target.bench)
    place: Any = target.place()
    found = place.pusher.manifest("run-1")
    titles = [layer["annotations"]["org.opencontainers.image.title"] for layer in found["layers"]]
    assert titles == [*(f"part-{number:05}.csv" for number in range(4)), "manifest.json"]
    assert found["artifactType"] == "application/vnd.resnet-operator.batch.v1"
    assert [layer["mediaType"] for layer in found["layers"][:1]] == ["text/csv"]
    for layer in found["layers"][:-1]:
        assert (
            place.checksum(layer["annotations"]["org.opencontainers.image.title"]).size
            == (layer["size"])
        )


# What goes wrong: the sentence names the field, and what to do.


def failing(bench: Bench) -> JobError:
    with pytest.raises(JobError) as caught:
        run(bench)
    return caught.value


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    found = Bench(tmp_path / "bench")
    found.fill(1)
    return found


BUCKETS: list[tuple[str, str, dict[str, str], Reason, tuple[str, ...]]] = [
    (
        "no such bucket",
        "s3://missing/run",
        {},
        Reason.STORE_UNAVAILABLE,
        ("missing", "does not exist", "spec.output.uri"),
    ),
    (
        "wrong keys",
        "s3://results/run",
        {"AWS_SECRET_ACCESS_KEY": "wrong"},
        Reason.STORE_UNAVAILABLE,
        ("refuses", "Secret of spec.output.credentialsSecretRef"),
    ),
    (
        "no keys",
        "s3://results/run",
        {"AWS_ACCESS_KEY_ID": ""},
        Reason.STORE_UNAVAILABLE,
        ("spec.output.credentialsSecretRef has no AWS_ACCESS_KEY_ID",),
    ),
    (
        "an endpoint with a path",
        "s3://results/run",
        {"AWS_ENDPOINT_URL": "http://host/path"},
        Reason.INVALID_SPEC,
        ("AWS_ENDPOINT_URL", "spec.output.credentialsSecretRef"),
    ),
    (
        "nobody says which OBS",
        "obs://results/run",
        {"AWS_ENDPOINT_URL": "", "AWS_REGION": ""},
        Reason.INVALID_SPEC,
        ("which OBS", "spec.output.credentialsSecretRef"),
    ),
]


@pytest.mark.parametrize(("case", "uri", "keys", "reason", "words"), BUCKETS)
def test_a_bucket_that_cannot_be_written_is_told_by_its_field(
    case: str,
    uri: str,
    keys: dict[str, str],
    reason: Reason,
    words: tuple[str, ...],
    bench: Bench,
    s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_secret(tmp_path, monkeypatch, s3.credentials | keys)
    into(bench, uri)
    error = failing(bench)
    assert error.reason is reason, case
    for word in words:
        assert word in error.message, case


@pytest.mark.parametrize("server", ["http://169.254.169.254", "http://127.0.0.1:9"])
def test_nothing_is_sent_to_the_node_or_a_metadata_service(
    server: str, bench: Bench, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_ALLOWED_ADDRESSES", "")
    put_secret(tmp_path, monkeypatch, s3.credentials | {"AWS_ENDPOINT_URL": server})
    into(bench, "s3://results/run")
    error = failing(bench)
    assert error.reason is Reason.INVALID_SPEC
    assert "nothing is sent there" in error.message


REGISTRIES: list[tuple[str, dict[str, str], tuple[str, ...]]] = [
    ("no login", {}, ("wants a login", "spec.output.credentialsSecretRef")),
    (
        "a wrong login",
        {"username": USER, "password": "wrong"},
        ("does not accept", "spec.output.credentialsSecretRef", "push"),
    ),
]


@pytest.mark.parametrize(("case", "keys", "words"), REGISTRIES)
def test_a_registry_without_a_login_is_told_by_its_field(
    case: str,
    keys: dict[str, str],
    words: tuple[str, ...],
    bench: Bench,
    registry: RegistryServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESNET_PLAIN_HTTP_REGISTRIES", registry.name)
    put_secret(tmp_path, monkeypatch, keys)
    into(bench, f"oci://{registry.name}/team/refused:run")
    error = failing(bench)
    assert error.reason is Reason.ACCESS_DENIED, case
    for word in words:
        assert word in error.message, case


def test_a_registry_that_fails_or_is_not_there_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_secret(tmp_path, monkeypatch, {})
    nobody = unused_address().removeprefix("http://")
    monkeypatch.setenv("RESNET_PLAIN_HTTP_REGISTRIES", nobody)
    into(bench, f"oci://{nobody}/team/x:run")
    error = failing(bench)
    assert (error.reason, "spec.output.uri" in error.message) == (Reason.STORE_UNAVAILABLE, True)
    with serving(status(503)) as (address, _):
        name = address.removeprefix("http://")
        monkeypatch.setenv("RESNET_PLAIN_HTTP_REGISTRIES", name)
        into(bench, f"oci://{name}/team/x:run")
        error = failing(bench)
    assert (error.reason, "HTTP 503" in error.message) == (Reason.STORE_UNAVAILABLE, True)


# Parquet.


def test_a_table_has_types_and_nulls() -> None:
    answers = [Answer(((3, 0.75), (1, 0.25))), Answer(error="bad"), Answer(((2, 0.5),))]
    data = part_table(7, ["a", "b\udcff", "c"], answers, 2)
    assert rows_of("x.parquet", data) == [
        {
            "index": 7,
            "picture": "a",
            "label1": 3,
            "score1": 0.75,
            "label2": 1,
            "score2": 0.25,
            "error": None,
        },
        {
            "index": 8,
            "picture": "b\\udcff",
            "label1": None,
            "score1": None,
            "label2": None,
            "score2": None,
            "error": "bad",
        },
        {
            "index": 9,
            "picture": "c",
            "label1": 2,
            "score1": 0.5,
            "label2": None,
            "score2": None,
            "error": None,
        },
    ]
    assert part_table(7, ["a", "b\udcff", "c"], answers, 2) == data, "two pods write the same"
    schema = read_parquet(io.BytesIO(data)).read_all().schema
    wanted = [DataType.int64(), DataType.string(), DataType.int32(), DataType.float64()]
    assert [schema.field(name).type for name in schema.names[:4]] == wanted
    assert [schema.field(name).nullable for name in schema.names[:3]] == [False, False, True]


@pytest.mark.thorough
def test_the_formats_say_the_same() -> None:
    answers = [Answer(((index % 5, float(np.float32(0.1 * index))),)) for index in range(50)]
    names = [f"{index}.png" for index in range(50)]
    text = rows_of("x.csv", part_text(0, names, answers, 1))
    table = rows_of("x.parquet", part_table(0, names, answers, 1))
    for row, cell in zip(text, table, strict=True):
        assert (row["index"], row["picture"], int(row["label1"])) == (
            cell["index"],
            cell["picture"],
            cell["label1"],
        )
        assert float(row["score1"]) == pytest.approx(cell["score1"], rel=1e-5)
