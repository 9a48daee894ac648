"""What the Job's tests share: an order, a scratch volume, a clock that costs no time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from devkit.progress import cache_root
from tests.support import shared
from tests.support.loopback import nginx
from tests.support.needs import SYSTEM_PYTHON, need_torch
from tests.unit.resnet_jobs.stores import SEAL, kind  # noqa: F401 - a fixture

from resnet_contract.order import JobSpec, parse_job
from resnet_jobs import driver
from resnet_jobs.base.clock import Clock
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.store.base import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TORCH_FILES = Path(__file__).with_name("torch_files.py")
ORDER: dict[str, Any] = {
    "uri": "pvc://models/resnet.onnx",
    "sha256": None,
    "format": "ONNX",
    "chip": "Ascend310P3",
    "batchSizes": [1, 2, 4, 8],
    "inputShapes": {},
    "precisionMode": None,
    "opSelectImplMode": None,
    "timeoutSeconds": 3600,
    "store": {"type": "Server", "url": "http://resnet-store.test.svc:8080"},
}


@dataclass
class FakeTime:
    """A clock whose sleep only moves the hands; `naps` is what was slept."""

    now: float = 0.0
    naps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self.sleep)


@pytest.fixture(scope="session")
def common_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Secret of the namespace as the kubelet mounts it: nobody changes it."""
    folder = tmp_path_factory.mktemp("store-key")
    (folder / "key").write_bytes(SEAL.key)
    (folder / "password").write_text(nginx.PASSWORD)
    return folder


@pytest.fixture(autouse=True)
def store_key(common_key: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every store of a test has the Secret."""
    monkeypatch.setenv("RESNET_STORE_KEY", str(common_key))
    monkeypatch.setattr(Store, "seal", SEAL)
    return common_key


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of these tests are on this machine, which a download may not reach otherwise;
    and no proxy of this machine's user may come between.
    """
    monkeypatch.setenv("RESNET_ALLOWED_ADDRESSES", "127.0.0.0/8")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def order() -> Callable[..., JobSpec]:
    """`order(chip="CPU")` is the usual order with that field changed."""

    def build(**changes: Any) -> JobSpec:
        return parse_job(json.dumps({**ORDER, **changes}))

    return build


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    place = Workspace(scratch=tmp_path / "scratch", source=tmp_path / "source")
    place.source.mkdir()
    place.model.parent.mkdir(parents=True)
    return place


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Mounts a Secret of these keys, as the kubelet does."""

    def write(values: Mapping[str, str]) -> None:
        folder = tmp_path / "credentials"
        folder.mkdir(exist_ok=True)
        for key, value in values.items():
            (folder / key).write_text(f"{value}\n")
        monkeypatch.setenv("RESNET_CREDENTIALS", str(folder))

    return write


@pytest.fixture(scope="session")
def files() -> tuple[Path, dict[str, Any]]:
    """(folder with the files of torch_files.py, what it found out about the networks).

    They take torch ten seconds and are the same every time, so they are kept in the cache. To ask
    whether torch can be imported takes a second.
    """
    folder = torch_folder()
    with shared.lock("torch-files"):
        if not folder.is_dir():
            need_torch()
            make_torch_files(folder)
    return folder, json.loads((folder / "networks.json").read_text())


def torch_folder() -> Path:
    """Return where the files lie, named after all that they are made of."""
    sources = sorted(Path(driver.__file__).parent.rglob("*.py"))
    parts = [path.read_bytes() for path in (TORCH_FILES, *sources)]
    told = subprocess.run(["dpkg-query", "-W", "python3-torch"], capture_output=True)
    key = hashlib.sha256(b"\0".join([*parts, told.stdout])).hexdigest()[:16]
    return cache_root() / "tests" / f"torch-files-{key}"


def make_torch_files(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as work:
        made = Path(work) / "made"
        made.mkdir()
        library = Path(driver.__file__).parents[1]
        done = subprocess.run(
            [SYSTEM_PYTHON, "-B", TORCH_FILES, made, library, folder],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        made.rename(folder)
