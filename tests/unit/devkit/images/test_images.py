"""The table of images: complete, in order, and keyed by all that goes into an image."""

from __future__ import annotations

import fcntl
import io
import json
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from devkit.images import build, builder
from devkit.images.bundle import bundle
from devkit.images.targets import IMAGES, MAIN, Image
from devkit.images.tools import BuildError, digest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("image", IMAGES.values(), ids=lambda image: image.name)
def test_everything_named_exists(image: Image) -> None:
    paths = (image.dockerfile, *image.inputs, *([image.lock] if image.lock else []))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_bases_come_first() -> None:
    seen: set[str] = set()
    for image in IMAGES.values():
        assert set(image.bases.values()) <= seen
        seen.add(image.name)


def test_inputs_are_what_the_dockerfile_copies() -> None:
    """A file that is copied but no input would leave an old image in use."""
    text = (ROOT / MAIN).read_text()
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    copied: dict[str, set[str]] = {}
    for stage in stages:
        name = stage.split("\n")[0].split(" AS ")[1]
        sources = re.findall(r"^COPY (?!--from)(\S+) ", stage, re.MULTILINE)
        parents = [*re.findall(r"--from=(\S+)", stage), stage.split()[0]]
        copied[name] = set(sources).union(*(copied.get(parent, set()) for parent in parents))
    for image in IMAGES.values():
        if image.dockerfile == MAIN:
            assert set(image.inputs) - {".dockerignore"} == copied[str(image.stage)]


def test_bundle_holds_shared_layers_once(tmp_path: Path) -> None:
    def archive(name: str, *layers: str) -> Path:
        path = tmp_path / name
        entry = [{"Config": f"{name}.json", "RepoTags": [name], "Layers": list(layers)}]
        with tarfile.open(path, "w") as tar:
            for member in (f"{name}.json", *layers, "repositories", "manifest.json"):
                text = json.dumps(entry) if member == "manifest.json" else f"text of {member}"
                info = tarfile.TarInfo(member)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
        return path

    out = io.BytesIO()
    bundle([archive("a", "base.tar", "a.tar"), archive("b", "base.tar", "b.tar")], out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        names = tar.getnames()
        assert names == ["a.json", "base.tar", "a.tar", "b.json", "b.tar", "manifest.json"]
        for name in names[:-1]:
            member = tar.extractfile(name)
            assert member is not None
            assert member.read() == f"text of {name}".encode()
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        assert [image["RepoTags"] for image in json.load(manifest)] == [["a"], ["b"]]


def test_operator_is_the_default_target() -> None:
    assert re.findall(r" AS (\S+)$", (ROOT / MAIN).read_text(), re.MULTILINE)[-1] == "operator"


@pytest.fixture
def make_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], builder.Builder]:
    """Makes builders over a small repository, without buildah and without the network."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("a = 1\n")
    monkeypatch.setattr(builder, "ROOT", tmp_path)
    monkeypatch.setattr(builder, "Buildah", lambda _storage: None)
    monkeypatch.setattr(builder, "IMAGES", {"below": BELOW, "above": ABOVE})
    return lambda: builder.Builder(tmp_path / "cache")


BELOW = Image("below", "below", "Dockerfile", inputs=("src",))
ABOVE = Image("above", "above", "Dockerfile", bases={"BASE": "below"})

CHANGES = [
    ("src/a.py", "a = 2\n", True, "another text in a source"),
    ("src/b.py", "", True, "a new source"),
    ("Dockerfile", "FROM y\n", True, "another recipe"),
    ("README.md", "hello", False, "a file that no image copies"),
    ("src/__pycache__/a.pyc", "x", False, "what Python leaves behind"),
]


@pytest.mark.parametrize(("path", "text", "changes", "reason"), CHANGES)
def test_key_follows_the_inputs(
    make_builder: Callable[[], builder.Builder],
    tmp_path: Path,
    path: str,
    text: str,
    changes: bool,
    reason: str,
) -> None:
    def keys() -> tuple[str, str]:
        builder = make_builder()
        return builder.key(BELOW), builder.key(ABOVE)

    before = keys()
    assert keys() == before
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(text)
    after = keys()
    assert (before[0] != after[0], before[1] != after[1]) == (changes, changes), reason


def test_a_missing_input_is_named(make_builder: Callable[[], builder.Builder]) -> None:
    with pytest.raises(BuildError, match="gone is missing"):
        make_builder().key(Image("x", "x", "Dockerfile", inputs=("gone",)))


def test_who_has_all_images_waits_for_nobody(
    make_builder: Callable[[], builder.Builder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process builds other images: the lock is held."""
    flock = fcntl.flock  # waiting would be for ever: let it fail
    monkeypatch.setattr(fcntl, "flock", lambda file, how: flock(file, how | fcntl.LOCK_NB))
    monkeypatch.setattr(build, "IMAGES", {"below": BELOW, "above": ABOVE})
    one = make_builder()
    for image in (BELOW, ABOVE):
        one.tar(image).parent.mkdir(parents=True, exist_ok=True)
        one.tar(image).touch()
    with (one.cache / ".lock").open("w") as other:
        flock(other, fcntl.LOCK_EX)
        assert build.make(["below", "above"], one) == [one.tar(BELOW), one.tar(ABOVE)]


def test_digest_sees_the_borders() -> None:
    assert digest("ab", "c") != digest("a", "bc")


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build.main(["--only", "operater"])
    assert "no such image: operater" in capsys.readouterr().err
