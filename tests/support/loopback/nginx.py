"""The real store server for tests: nginx with the configuration the operator deploys.

`running` starts it on loopback in a folder of the test and ends it with the block. What the tests
need to know about nginx (what it answers on a full volume, who wins a race) cannot be known from a
stand-in.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.needs import need_program
from tests.support.patience import patient

from resnet_operator.render.store_secret import htpasswd

# As the operator writes it.
PASSWORD = "a password of this test"
LOGIN = htpasswd(PASSWORD, salt=b"salt of 16 bytes")
CONFIGURATION = Path(__file__).parents[3] / "templates" / "store-nginx.conf"


@contextlib.contextmanager
def running(root: Path) -> Iterator[str]:
    """The address of a server that keeps its files in `root`/store."""
    need_program("nginx", "nginx")
    store, scratch = root / "store", root / "nginx-tmp"
    store.mkdir(exist_ok=True)
    scratch.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {
        " /store": f" {store}",
        "/etc/resnet-store-login/": f"{root}/",
        " /tmp/": f" {scratch}/",
        "listen 8080": f"listen 127.0.0.1:{port}",
    }
    text, changes = re.subn(
        "|".join(places), lambda found: places[found.group()], CONFIGURATION.read_text()
    )
    assert changes >= len(places), "the configuration no longer looks as it did"
    (root / "nginx.conf").write_text(text)
    (root / "htpasswd").write_text(LOGIN)
    extra = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    with (root / "nginx.log").open("wb") as log:
        process = subprocess.Popen(
            ["nginx", "-e", "/dev/stderr", "-c", str(root / "nginx.conf"), "-g", extra],
            stdout=log,
            stderr=log,
        )
    try:
        _wait(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(patient(10))


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + patient(10)
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("nginx does not start; see nginx.log in the test's folder")
        time.sleep(0.01)


@contextlib.contextmanager
def small_volume(folder: Path, *, size: str = "1m") -> Iterator[bool]:
    """Mounts a file system of that size; False where this user may not mount."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)
