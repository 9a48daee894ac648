"""What the Job's tests share: an order, a scratch volume, a clock that costs no time."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.needs import SYSTEM_PYTHON, need_torch
from tests.unit.jobs import nginx
from tests.unit.jobs.stores import SEAL, kind  # noqa: F401 - a fixture

from resnet_jobs import driver
from resnet_jobs.clock import Clock
from resnet_jobs.spec import JobSpec, parse_job
from resnet_jobs.store import Store
from resnet_jobs.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


@pytest.fixture(autouse=True)
def store_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Secret of the namespace as the kubelet mounts it; and every store of a test has it."""
    folder = tmp_path / "store-key"
    folder.mkdir()
    (folder / "key").write_bytes(SEAL.key)
    (folder / "password").write_text(nginx.PASSWORD)
    monkeypatch.setenv("RESNET_STORE_KEY", str(folder))
    monkeypatch.setattr(Store, "seal", SEAL)
    return folder


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
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """(folder with the files of torch_files.py, what it found out about the networks)."""
    need_torch()
    folder = tmp_path_factory.mktemp("torch")
    script = Path(__file__).with_name("torch_files.py")
    done = subprocess.run(
        [SYSTEM_PYTHON, "-B", str(script), str(folder), str(Path(driver.__file__).parents[1])],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)
