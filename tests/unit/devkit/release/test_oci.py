"""The same content gives the same image, whatever the build left in times, owners and order."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from devkit.release.oci import Image, Layout, Variant, node_name
from tests.unit.devkit.release.archives import EPOCH, Entry, diff_id, docker_archive, layer

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = [Entry("opt/"), Entry("opt/a", b"a"), Entry("opt/b", b"b")]


def bytecode(*, by_hash: bool, time: int = EPOCH + 50) -> bytes:
    """Return the head of a .pyc: magic number, flags, time or hash of the source, its size."""
    return b"\xa7\r\r\n" + int(by_hash).to_bytes(4, "little") + time.to_bytes(4, "little") + b"1234"


RUN = {"Entrypoint": ["/bin/true"], "Env": ["A=b"]}
OWN = "opt/resnet-operator/operator"


class Added:
    """An image in a layout of its own."""

    def __init__(self, folder: Path, layers: list[bytes], **options: Any) -> None:
        folder.mkdir()
        self.layout = Layout(folder / "layout", EPOCH)
        limits = options.pop("limits", {})
        archive = docker_archive(folder / "image.tar", layers, options)
        self.variant: Variant = self.layout.add(archive, limits=limits)
        self.image: Image = self.layout.publish("resnet-x:1", [self.variant])
        self.layout.finish([self.image])

    def blob(self, digest: str) -> bytes:
        return self.layout.blob(digest).read_bytes()

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads(self.blob(self.variant.manifest.digest)))

    @property
    def config(self) -> dict[str, Any]:
        return dict(json.loads(self.blob(self.manifest["config"]["digest"])))

    def layer(self, number: int = 0) -> bytes:
        return gzip.decompress(self.blob(self.manifest["layers"][number]["digest"]))

    def members(self, number: int = 0) -> list[tarfile.TarInfo]:
        with tarfile.open(fileobj=io.BytesIO(self.layer(number))) as tar:
            return tar.getmembers()


SAME = [
    # entries of another build, configuration of another build, what differs
    (PLAIN, {}, "nothing"),
    ([Entry(e.name, e.content, time=EPOCH + 900) for e in PLAIN], {}, "the hour"),
    ([Entry(e.name, e.content, time=EPOCH - 900) for e in PLAIN], {}, "a clock that is behind"),
    ([PLAIN[0], PLAIN[2], PLAIN[1]], {}, "the order in which a folder was read"),
    ([Entry(e.name, e.content, user="builder") for e in PLAIN], {}, "the names of owners"),
    (
        [Entry(e.name, e.content, headers={"mtime": "1700000050.25"}) for e in PLAIN],
        {},
        "parts of a second",
    ),
    (PLAIN, {"created": "2031-01-01T00:00:00Z"}, "when the image was made"),
    (PLAIN, {"container": "abc", "docker_version": "1"}, "the builder's own notes"),
    (PLAIN, {"config": RUN | {"Hostname": "9b750477daf3"}}, "the name of the builder's container"),
    (PLAIN, {"config": RUN | {"Labels": {"io.buildah.version": "1.99"}}}, "the builder's version"),
    (PLAIN, {"config": RUN | {"Labels": {}, "Volumes": {}, "Tty": False}}, "what says nothing"),
    (
        PLAIN,
        {"history": [{"created": "2031-01-01T00:00:00Z", "created_by": "RUN x"}]},
        "when a step was made",
    ),
    (
        PLAIN,
        {"history": [{"created_by": "RUN x", "comment": "FROM 9299219cd05c"}]},
        "the builder's name of the step before",
    ),
    (
        [*PLAIN, Entry("var/cache/ldconfig/aux-cache", b"inodes")],
        {},
        "ldconfig's notes of the machine",
    ),
    (
        [*PLAIN, Entry("opt/__pycache__/a.cpython-311.pyc", bytecode(by_hash=False))],
        {},
        "bytecode of somebody who ran it there before, by a time that is changed",
    ),
]


@pytest.mark.parametrize(("entries", "config", "what"), SAME, ids=[s[2] for s in SAME])
def test_another_build(
    tmp_path: Path, entries: list[Entry], config: dict[str, Any], what: str
) -> None:
    first = Added(tmp_path / "a", [layer(PLAIN)])
    second = Added(tmp_path / "b", [layer(entries)], **config)
    assert second.image.index == first.image.index, what


def test_the_hash_of_copied_files_is_no_content(tmp_path: Path) -> None:
    """buildah's hash in the history is over the times of the files in the checkout."""
    digests = []
    for number in "12":
        step = {"created_by": f"/bin/sh -c #(nop) COPY dir:{number * 64} in /opt/x"}
        added = Added(tmp_path / number, [layer(PLAIN)], history=[step])
        digests.append(added.variant.manifest.digest)
        assert added.config["history"][0]["created_by"].endswith("COPY dir in /opt/x")
    assert len(set(digests)) == 1


def test_what_differs_is_another_image(tmp_path: Path) -> None:
    same = Added(tmp_path / "a", [layer(PLAIN)]).variant.manifest.digest
    changed = [*PLAIN[:2], Entry("opt/b", b"c")]
    assert Added(tmp_path / "b", [layer(changed)]).variant.manifest.digest != same
    executable = [*PLAIN[:2], Entry("opt/b", b"b", mode=0o755)]
    assert Added(tmp_path / "c", [layer(executable)]).variant.manifest.digest != same
    configs: list[dict[str, Any]] = [
        {"Entrypoint": ["/bin/false"]}, {"User": "1000"}, {"Labels": {"a": "b"}}, {"Cmd": ["x"]},
    ]  # fmt: skip
    for number, config in enumerate(configs):
        other = Added(tmp_path / f"config-{number}", [layer(PLAIN)], config=RUN | config)
        assert other.variant.manifest.digest != same, config


def test_a_checkout_with_another_umask(tmp_path: Path) -> None:
    """Modes of what comes from the repository are git's; all others are content."""
    entries = [
        Entry(f"{OWN}/", mode=0o2775),
        Entry(f"{OWN}/a.py", mode=0o664),
        Entry(f"{OWN}/run", mode=0o775),
        Entry("tmp/", mode=0o1777),
        Entry("usr/secret", mode=0o600),
    ]
    found = {m.name: m.mode for m in Added(tmp_path / "a", [layer(entries)]).members()}
    assert found == {
        OWN: 0o755,
        f"{OWN}/a.py": 0o644,
        f"{OWN}/run": 0o755,
        "tmp": 0o1777,
        "usr/secret": 0o600,
    }


def test_content_is_kept(tmp_path: Path) -> None:
    capability = {"SCHILY.xattr.security.capability": "\x01"}
    entries = [
        Entry("a/link", link="z/program"),
        Entry("z/program", b"x" * 100_000, mode=0o755, headers=capability),
    ]
    added = Added(tmp_path / "a", [layer(entries)])
    program, link = added.members()
    assert (program.name, program.size, program.pax_headers) == ("z/program", 100_000, capability)
    assert (link.name, link.linkname, link.islnk()) == ("a/link", "z/program", True)
    assert added.config["config"] == RUN


KEPT_BYTECODE = [
    (bytecode(by_hash=True), "by hash: valid whatever the time is"),
    (bytecode(by_hash=False, time=EPOCH), "by the time that the source has now"),
]


@pytest.mark.parametrize(("head", "why"), KEPT_BYTECODE, ids=[k[1] for k in KEPT_BYTECODE])
def test_bytecode_that_is_valid_is_kept(tmp_path: Path, head: bytes, why: str) -> None:
    name = "opt/__pycache__/a.cpython-311.pyc"
    entries = [Entry("opt/a.py", b"a"), Entry(name, head)]
    found = {member.name for member in Added(tmp_path / "a", [layer(entries)]).members()}
    assert name in found, why


def test_layers_of_a_base(tmp_path: Path) -> None:
    """A registry's layers are not touched; the devkit's keep the times that bytecode names."""
    foreign = layer([Entry("b", time=EPOCH + 7, user="x"), Entry("a", time=5)])
    debian = layer([Entry("old.py", time=100), Entry("new", time=EPOCH + 9)])
    own = layer([Entry("c", time=3)])
    limits = {diff_id(foreign): None, diff_id(debian): 2000}
    added = Added(tmp_path / "a", [foreign, debian, own], limits=limits)
    assert added.layer(0) == foreign
    assert {m.name: m.mtime for m in added.members(1)} == {"old.py": 100, "new": 2000}
    assert [m.mtime for m in added.members(2)] == [EPOCH]


def test_the_layout_is_one_that_others_read(tmp_path: Path) -> None:
    added = Added(tmp_path / "a", [layer(PLAIN), layer([Entry("c")])])
    assert added.config["rootfs"]["diff_ids"] == [
        diff_id(added.layer(number)) for number in range(2)
    ]
    archive = tmp_path / "out.tar"
    added.layout.archive(added.image, archive)
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
        [entry] = json.load(tar.extractfile("index.json") or io.BytesIO())["manifests"]
        layout = json.load(tar.extractfile("oci-layout") or io.BytesIO())
        for name in names:
            if name.startswith("blobs/sha256/"):
                content = tar.extractfile(name)
                assert content
                assert diff_id(content.read()) == f"sha256:{name[13:]}"
    assert layout == {"imageLayoutVersion": "1.0.0"}
    assert entry["size"] == len(added.blob(entry["digest"]))
    [variant] = json.loads(added.blob(entry["digest"]))["manifests"]
    assert variant["platform"] == {"architecture": "amd64", "os": "linux"}
    assert variant["digest"] == added.variant.manifest.digest
    wanted = {d[7:] for d in added.layout.blobs_of(added.image)}
    assert {name[13:] for name in names if name.startswith("blobs/sha256/")} == wanted


def test_shared_layers_are_there_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout", EPOCH)
    shared, alone = layer(PLAIN), layer([Entry("c")])
    for name, layers in (("a:1", [shared]), ("b:1", [shared, alone])):
        variant = layout.add(docker_archive(tmp_path / "x.tar", layers), limits={})
        layout.publish(name, [variant])
    # Two layers, and for each image a configuration, a manifest and an index.
    assert len(list(layout.blobs.iterdir())) == 8


NODE_NAMES = [
    ("resnet-jobs:1", "docker.io/library/resnet-jobs:1"),
    ("team/jobs:1", "docker.io/team/jobs:1"),
    ("quay.io/a/b:1", "quay.io/a/b:1"),
]


@pytest.mark.parametrize(("reference", "expected"), NODE_NAMES)
def test_node_name(reference: str, expected: str) -> None:
    """What `ctr images import` must call an image so that the kubelet finds it."""
    assert node_name(reference) == expected
