"""Calibration sets and datasets: from every kind of place into one folder."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.support.loopback.hubs import hub_serving
from tests.support.loopback.webserver import serving, whole
from tests.support.servers import registry_server, s3_server
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_contract.address import parse_source
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.sources.access import Access
from resnet_jobs.sources.file_sets import SetOrder, fetch_set
from resnet_jobs.sources.one_file import Order, source_policy

FIELD = "spec.conversion.quantization.calibration"
FILES = {"n01/a.png": b"a" * 3000, "b.png": b"b"}
Fetch = Callable[..., dict[str, bytes]]


def packed(files: Mapping[str, bytes] = FILES, *, mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


PACKED = packed()


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def bring(
    tmp_path: Path, volume: Path, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> Fetch:
    """Fetches a set and returns its files; `digest` then tells its digest."""

    def run(uri: str, *, sha256: str | None = None, **settings: str) -> dict[str, bytes]:
        for key, value in settings.items():
            monkeypatch.setenv(key, value)
        order = Order(
            source=parse_source(uri, field=f"{FIELD}.uri"),
            mount=volume,
            suffixes=(".tar", ".tar.gz", ".tgz", ".zip"),
            policy=source_policy(60, fake_time.clock),
        )
        folder = tmp_path / "set"
        access = Access.from_environment(os.environ)
        try:
            found = fetch_set(SetOrder(order, sha256, FIELD), folder, access=access)
        finally:
            access.web.close()
        (tmp_path / "digest").write_text(found.sha256)
        entries = [entry for entry in folder.rglob("*") if entry.is_file()]
        return {str(entry.relative_to(folder)): entry.read_bytes() for entry in entries}

    return run


def digest(tmp_path: Path) -> str:
    return (tmp_path / "digest").read_text()


# --- claims -------------------------------------------------------------------------------------


def test_a_folder_of_a_claim(bring: Fetch, volume: Path, tmp_path: Path) -> None:
    for name, data in FILES.items():
        path = volume / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (volume / "pictures/.hidden").write_bytes(b"x")
    assert bring("pvc://data/pictures") == FILES
    lines = "".join(
        f"{hashlib.sha256(FILES[name]).hexdigest()}  {name}\n" for name in sorted(FILES)
    )
    whole_set = hashlib.sha256(lines.encode()).hexdigest()
    assert digest(tmp_path) == whole_set, "what sha256sum prints for its files"
    assert bring("pvc://data/pictures", sha256=whole_set) == FILES
    with pytest.raises(JobError) as caught:
        bring("pvc://data/pictures", sha256="0" * 64)
    assert caught.value.reason == Reason.CHECKSUM_MISMATCH
    assert "made of the list of its files" in caught.value.message


def test_an_archive_of_a_claim_is_read_where_it_lies(bring: Fetch, volume: Path) -> None:
    (volume / "set.tar.gz").write_bytes(PACKED)
    sha256 = hashlib.sha256(PACKED).hexdigest()
    assert bring("pvc://data/set.tar.gz") == FILES
    with pytest.raises(JobError) as caught:
        bring("pvc://data/set.tar.gz", sha256=sha256[::-1])
    assert caught.value.reason == Reason.CHECKSUM_MISMATCH


def test_a_single_file(bring: Fetch, volume: Path) -> None:
    (volume / "calibration.npy").write_bytes(b"numbers")
    assert bring("pvc://data/calibration.npy") == {"calibration.npy": b"numbers"}


def test_links(bring: Fetch, volume: Path, tmp_path: Path) -> None:
    """Inside the volume they are followed, a circle ends, and nothing leads out."""
    (tmp_path / "secret").write_bytes(b"s")
    (volume / "real").mkdir()
    (volume / "real/a.png").write_bytes(b"a")
    (volume / "real/again").symlink_to(volume / "real")
    (volume / "set").mkdir()
    (volume / "set/n01").symlink_to("../real")
    assert bring("pvc://data/set") == {"n01/a.png": b"a"}
    (volume / "set/out").symlink_to(tmp_path / "secret")
    with pytest.raises(JobError) as caught:
        bring("pvc://data/set")
    assert caught.value.reason == Reason.INVALID_SPEC
    assert "out, a link that leads out of the volume" in caught.value.message


def test_an_empty_folder(bring: Fetch, volume: Path) -> None:
    (volume / "set").mkdir()
    with pytest.raises(JobError) as caught:
        bring("pvc://data/set")
    assert caught.value.reason == Reason.MODEL_NOT_FOUND
    assert "holds no files" in caught.value.message


# --- servers ------------------------------------------------------------------------------------


def test_by_https(bring: Fetch, tmp_path: Path) -> None:
    with serving(whole(PACKED)) as (address, _):
        assert bring(f"{address}/a/set.tar.gz?signature=1") == FILES
        assert digest(tmp_path) == hashlib.sha256(PACKED).hexdigest()
        with pytest.raises(JobError) as caught:
            bring(f"{address}/a/set.tgz", sha256="0" * 64)
        assert caught.value.reason == Reason.CHECKSUM_MISMATCH
        assert bring(f"{address}/set.npy") == {"set.npy": PACKED}, "by its name no archive"
        assert bring(f"{address}/") == {"file": PACKED}


def test_from_a_bucket(bring: Fetch, tmp_path: Path) -> None:
    (tmp_path / "set.tar").write_bytes(packed(mode="w"))
    with s3_server(tmp_path / "server") as server:
        server.put("data", "sets/cifar.tar", tmp_path / "set.tar")
        server.make_public("data")
        uri = "s3://data/sets/cifar.tar"
        assert bring(uri, AWS_ENDPOINT_URL=server.url) == FILES


def test_from_a_hub(bring: Fetch) -> None:
    with hub_serving(lambda hub: hub.hugging_face) as hub:
        hub.files["datasets/org/set", "data/pictures.tar.gz"] = packed(mode="w")
        uri = "hf://datasets/org/set/data/pictures.tar.gz@v1"
        assert bring(uri, HF_ENDPOINT=hub.url) == FILES


ARTIFACTS: list[tuple[str, str, str, dict[str, str], dict[str, bytes]]] = [
    (
        "an archive by its title",
        "set.tar.gz",
        "application/octet-stream",
        {},
        FILES,
    ),
    (
        "`oras push <folder>`",
        "pictures",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        {"io.deis.oras.content.unpack": "true"},
        FILES,
    ),
    ("an archive by its type", "", "application/vnd.test.set.v1.tar+gzip", {}, FILES),
    ("a file", "set.npy", "application/octet-stream", {}, {"set.npy": PACKED}),
    ("a title is a name, not a place", "../..", "text/plain", {}, {"file": PACKED}),
    ("nor is this", "a/\0", "text/plain", {}, {"file": PACKED}),
]


@pytest.mark.parametrize(
    ("why", "title", "media_type", "annotations", "want"), ARTIFACTS, ids=[a[0] for a in ARTIFACTS]
)
def test_from_a_registry(
    why: str,
    title: str,
    media_type: str,
    annotations: dict[str, str],
    want: dict[str, bytes],
    bring: Fetch,
    tmp_path: Path,
) -> None:
    data = PACKED
    with registry_server(tmp_path / "server") as registry:
        registry.push("data/set", "base", {"x": data})
        titled = {"org.opencontainers.image.title": title} if title else {}
        empty = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": empty,
                "size": 2,
            },
            "layers": [
                {
                    "mediaType": media_type,
                    "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
                    "size": len(data),
                    "annotations": {**titled, **annotations},
                }
            ],
        }
        registry.put_manifest("data/set", "v1", manifest)
        uri = f"oci://{registry.name}/data/set:v1"
        assert bring(uri, RESNET_PLAIN_HTTP_REGISTRIES=registry.name) == want, why


def test_what_lay_there_before_goes(bring: Fetch, tmp_path: Path) -> None:
    """A container that starts again begins again."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set/old.png").write_bytes(b"x")
    with serving(whole(PACKED)) as (address, _):
        assert bring(f"{address}/set.tar.gz") == FILES
    left = {entry.name for entry in tmp_path.iterdir()}
    assert ".set.arrived" not in left
