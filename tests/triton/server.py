"""A real tritonserver on this host, under launch.py, laid out as in a serving pod.

Triton comes from devkit/images (the nvidia-pytriton wheel, in the cache outside the repository).
Its Python stub needs libpython of its own version, and finds packages by the first python3 on PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from devkit.images.materials import PYTHON, triton
from tests.support.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "operator/resnet_runtime"
DIGITS = ROOT / "samples/digits"
READY_SECONDS = patient(30)
END_SECONDS = patient(30)
ORPHAN_SECONDS = patient(2)  # killed, but not yet collected by the host's init

CONFIG = """
name: "{name}"
backend: "python"
max_batch_size: {max_batch}
input [ {{ name: "{input}" data_type: TYPE_{type} format: FORMAT_{layout} dims: {dims} }} ]
output [ {{ name: "{output}" data_type: TYPE_FP32 dims: [ {classes} ] {labels} }} ]
version_policy {{ specific {{ versions: [ 1 ] }} }}
instance_group [ {{ count: {instances} kind: KIND_CPU }} ]
dynamic_batching {{ preferred_batch_size: [ {max_batch} ] max_queue_delay_microseconds: 1000 }}
{warmup}
"""
WARMUP = """
model_warmup [ {{ name: "batch_{batch}" batch_size: {batch} count: 1
  inputs {{ key: "{input}" value {{ data_type: TYPE_{type} dims: {dims} zero_data: true }} }} }} ]
"""


def triton_home() -> Path:
    """The folder tritonserver/, or a skip that says what is missing."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if running != PYTHON:
        pytest.skip(f"the stub is for Python {PYTHON}; these tests run on {running}")
    if not libpython().exists():
        pytest.skip(f"this Python has no {libpython().name}, which Triton's stub links to")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return triton(base / "resnet-operator/images") / "tritonserver"


def libpython() -> Path:
    config = sysconfig.get_config_vars()
    return Path(config["LIBDIR"]) / str(config.get("INSTSONAME"))


@dataclass(frozen=True)
class Model:
    """A folder of the model repository. `source` is the runtime's file, mounted as model.py."""

    source: Path
    file: Path
    name: str = "digits"
    input: str = "input"
    output: str = "logits"
    dims: tuple[int, ...] = (3, 32, 32)
    type: str = "FP32"
    layout: str = "NCHW"
    classes: int = 10
    labels: bool = True
    max_batch: int = 8
    instances: int = 1
    warmup: bool = True
    parameters: dict[str, str] = field(default_factory=dict)
    config: str = ""  # the whole config.pbtxt, where a test brings its own

    def lay_out(self, folder: Path) -> None:
        version = folder / self.name / "1"
        version.mkdir(parents=True)
        shutil.copy(self.source, version / "model.py")
        package = shutil.ignore_patterns("__pycache__")
        shutil.copytree(RUNTIME, version / "resnet_runtime", ignore=package)
        if self.labels:
            shutil.copy(DIGITS / "labels.txt", folder / self.name)
        dims = list(self.dims)
        text = CONFIG.format(
            name=self.name,
            max_batch=self.max_batch,
            dims=dims,
            type=self.type,
            layout=self.layout,
            input=self.input,
            output=self.output,
            classes=self.classes,
            labels='label_filename: "labels.txt"' if self.labels else "",
            instances=self.instances,
            warmup=WARMUP.format(batch=self.max_batch, input=self.input, type=self.type, dims=dims)
            if self.warmup
            else "",
        )
        for key, value in {"model_file": str(self.file), **self.parameters}.items():
            text += f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
        (folder / self.name / "config.pbtxt").write_text(self.config or text)


def digits_on_cpu(**changes: Any) -> Model:
    values: dict[str, Any] = {
        "source": RUNTIME / "onnxruntime_model.py",
        "file": DIGITS / "digits-resnet.onnx",
        "parameters": {"intra_op_threads": "1"},
        **changes,
    }
    return Model(**values)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Pod:
    """The process tree of one serving container."""

    def __init__(
        self,
        folder: Path,
        model: Model,
        *flags: str,
        drain: float,
        env: Any,
        launch: Sequence[str] = (),
        inside: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._http, self._grpc, self._metrics = free_ports(3)
        launcher = folder / "launcher"
        launcher.mkdir(parents=True)
        self._termination = folder / "termination-log"
        self._termination.touch()
        shutil.copy(RUNTIME / "launch.py", launcher)
        shutil.copytree(
            RUNTIME, launcher / "resnet_runtime", ignore=shutil.ignore_patterns("__pycache__")
        )
        model.lay_out(folder / "models")
        home = triton_home()
        path = [str(Path(sys.prefix) / "bin"), str(home / "bin"), os.environ["PATH"]]
        libraries = [str(home / "lib"), str(libpython().parent)]
        # In a network of its own it listens as it would in a pod.
        loopback = [f"--{port}-address=127.0.0.1" for port in ("http", "grpc", "metrics")]
        command: list[str | Path] = [
            *inside,
            *(sys.executable, str(launcher / "launch.py"), f"--drain-seconds={drain}"),
            *(*launch, "--"),
            *("tritonserver", f"--model-repository={folder / 'models'}"),
            *(f"--backend-directory={home / 'backends'}", "--exit-on-error=true"),
            f"--cache-directory={home / 'caches'}",
            *("--strict-readiness=true", "--model-control-mode=none"),
            *("--disable-auto-complete-config", "--exit-timeout-secs=2"),
            *("--grpc-max-connection-age=10000", "--grpc-max-connection-age-grace=20000"),
            *("--allow-gpu-metrics=false", "--pinned-memory-pool-byte-size=0"),
            *("--log-format=ISO8601", f"--http-port={self._http}", f"--grpc-port={self._grpc}"),
            *(f"--metrics-port={self._metrics}", *flags, *([] if inside else loopback)),
        ]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "PATH": os.pathsep.join(path),
                    "LD_LIBRARY_PATH": os.pathsep.join(libraries),
                    "HOME": str(folder / "home"),
                    "RESNET_TERMINATION_LOG": str(self._termination),
                    **env,
                },
            )

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self._http}"

    @property
    def metrics(self) -> str:
        return f"127.0.0.1:{self._metrics}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self._grpc}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def message(self) -> dict[str, Any]:
        """The termination message, {} when there is none."""
        found: dict[str, Any] = json.loads(self._termination.read_text() or "{}")
        return found

    def call(self, path: str, *, method: str = "GET", of: str = "") -> int:
        """The status of an HTTP call, by default of inference; 0 when nobody listens."""
        request = urllib.request.Request(f"http://{of or self.http}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_ready(self) -> Pod:
        """Wait until it answers; Triton opens the port of its counters after that of inference."""
        deadline = time.monotonic() + READY_SECONDS
        while not (self.call("/v2/health/ready") == 200 == self.call("/metrics", of=self.metrics)):
            assert self.process.poll() is None, self.log[-4000:]
            assert time.monotonic() < deadline, self.log[-4000:]
            time.sleep(0.05)
        return self

    def wait_log(self, words: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while words not in self.log:
            assert time.monotonic() < deadline, self.log[-4000:]
            time.sleep(0.01)

    def descendants(self) -> dict[int, str]:
        """The processes below launch.py: pid -> name."""
        found: dict[int, str] = {}
        parents = [self.process.pid]
        while parents:
            listing = ["ps", "-o", "pid=,comm=", "--ppid", str(parents.pop())]
            for line in subprocess.run(listing, capture_output=True, text=True).stdout.splitlines():
                pid, name = line.split(maxsplit=1)
                found[int(pid)] = name
                parents.append(int(pid))
        return found

    def stubs(self) -> list[int]:
        return [pid for pid, name in self.descendants().items() if name.startswith("triton_python")]

    def wait_end(self) -> int:
        """The exit status; by then no process of the container may be left."""
        below = self.descendants()
        status = self.process.wait(timeout=END_SECONDS)
        deadline = time.monotonic() + ORPHAN_SECONDS
        while left := [pid for pid in below if Path(f"/proc/{pid}").exists()]:
            assert time.monotonic() < deadline, f"processes outlived launch.py: {left}"
            time.sleep(0.01)
        return status

    def kill(self) -> None:
        for pid in [*self.descendants(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


@contextmanager
def pod(
    folder: Path,
    model: Model,
    *flags: str,
    drain: float = 0.0,
    env: dict[str, str] | None = None,
    launch: Sequence[str] = (),
    inside: Sequence[str] = (),
) -> Iterator[Pod]:
    """Start a pod; whatever happens, nothing of it is left afterwards.

    `inside` is a command that runs another one elsewhere, such as in a network of its own.
    """
    env = env or {}
    running = Pod(folder, model, *flags, drain=drain, env=env, launch=launch, inside=inside)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()
