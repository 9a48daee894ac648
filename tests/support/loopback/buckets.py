"""A real S3 server for tests of the store: versitygw over a folder, with signatures checked.

Objects are plain files in that folder, so a test can damage them, age them, or fill their volume.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.patience import patient

from resnet_contract.store import StoreSpec
from resnet_jobs.store.s3 import S3Store

BUILD = Path(__file__).parents[3] / "devkit" / "servers" / "build.sh"
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "not a secret"}
BUCKET, PREFIX = "models", "artifacts/team-a"


@dataclass(frozen=True)
class Bucket:
    """One namespace's part of a bucket, as a Job sees it and as it lies on the disk."""

    spec: StoreSpec
    credentials: Path
    folder: Path

    def store(self, *, wait_seconds: float = 0) -> S3Store:
        return S3Store(self.spec, wait_seconds=wait_seconds, credentials=self.credentials)


@functools.cache
def _program() -> Path:
    answer = subprocess.run([str(BUILD)], capture_output=True, text=True, check=True)
    return Path(answer.stdout.strip().splitlines()[-1]) / "versitygw"


def secret(folder: Path, **changes: str) -> Path:
    """The Secret as the kubelet mounts it: one file a key."""
    folder.mkdir(exist_ok=True)
    for name, value in (KEYS | changes).items():
        (folder / name).write_text(value)
    return folder


@contextlib.contextmanager
def running(
    root: Path,
    *,
    data: Path | None = None,
    certificate: Path | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Bucket]:
    """A server with one bucket in `root`/buckets, or in the folder `data`; TLS by a PEM file."""
    data = data or root / "buckets"
    (data / BUCKET).mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    tls = ["--cert", str(certificate), "--key", str(certificate)] if certificate else []
    login = ["--access", KEYS["AWS_ACCESS_KEY_ID"], "--secret", KEYS["AWS_SECRET_ACCESS_KEY"]]
    with (root / "versitygw.log").open("wb") as log:
        process = subprocess.Popen(
            [str(_program()), "--port", f"{host}:{port}", *login, *tls, "posix", str(data)],
            stdout=log,
            stderr=log,
        )
    try:
        _wait((host, port), process)
        yield Bucket(
            spec=StoreSpec(
                "S3",
                f"{'https' if tls else 'http'}://127.0.0.1:{port}",
                bucket=BUCKET,
                prefix=PREFIX,
            ),
            credentials=secret(root / "secret"),
            folder=data / BUCKET / PREFIX,
        )
    finally:
        process.terminate()
        process.wait(patient(10))


def _wait(place: tuple[str, int], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + patient(20)
    while True:
        with contextlib.suppress(OSError), socket.create_connection(place, 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("versitygw does not start; see versitygw.log in the test's folder")
        time.sleep(0.01)
