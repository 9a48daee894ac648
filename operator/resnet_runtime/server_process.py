"""tritonserver as a child of launch.py: its command line, its stubs, whether it ever listened.

In a pod it is mounted at /launcher/resnet_runtime/. Standard library, Python >= 3.8. It reads these
flags of tritonserver, written as --name=value: http-address, http-port, exit-timeout-secs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from typing import List, Optional, Sequence, Set

from resnet_runtime.processes import (
    Process,
    describe,
    exists,
    log,
    process_of,
    process_table,
    with_package,
)

# From Triton's names of "all addresses" to one that answers inside the pod.
ANY = {"0.0.0.0": "127.0.0.1", "ipv6:::": "::1"}
STUB = "triton_python_b"  # triton_python_backend_stub, as the kernel cuts it
RESTRICTED = "shared-memory,model-repository,trace,logging"
NEW_STUBS_SECONDS = 1.0
ORPHANED = "status unknown"  # nobody's child any more: its server may be the one that has ended
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


def flag(command: Sequence[str], name: str, default: str) -> str:
    """The value of `--name=value`."""
    for argument in command:
        if argument.startswith("--{}=".format(name)):
            return argument.split("=", 1)[1]
    return default


def restrict(command: Sequence[str]) -> List[str]:
    """Close the administrative calls to everybody, by a key that nobody knows.

    Published attacks on Triton go through them; nothing here manages models or shared memory over
    the network.
    """
    key = secrets.token_hex(16)
    return [
        *command,
        "--http-restricted-api={}:admin={}".format(RESTRICTED, key),
        "--grpc-restricted-protocol={}:admin={}".format(RESTRICTED, key),
    ]


class Server:
    """tritonserver and its stubs."""

    def __init__(self, command: Sequence[str], *, restricted: bool = True) -> None:
        address = flag(command, "http-address", "0.0.0.0")
        self._address = (
            ANY.get(address, address),
            int(flag(command, "http-port", "8000")),
        )
        self.exit_timeout = float(flag(command, "exit-timeout-secs", "30"))
        self.ready = False
        self._stubs: Set[int] = set()
        self._look_for_new_at = 0.0
        # A process group of its own, so that `end` reaches stubs that outlive the server.
        self._process = subprocess.Popen(
            restrict(command) if restricted else list(command),
            start_new_session=True,
            preexec_fn=unblock_signals,  # noqa: PLW1509  there is one thread
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def status(self) -> Optional[int]:
        """The return code as subprocess has it, or None while it runs."""
        return self._process.poll()

    def check_ready(self) -> bool:
        """Whether it has ever listened: Triton opens its ports when all models are loaded."""
        if not self.ready:
            with contextlib.suppress(OSError):
                socket.create_connection(self._address, timeout=1).close()
                self.ready = True
        return self.ready

    def dead_stub(self) -> Optional[str]:
        """How a stub ended while the server lives, or None. Triton leaves it a zombie.

        To be asked often: the stubs that are known cost a small file each, and the whole table is
        read only now and then, for those that are new.
        """
        now = time.monotonic()
        if not self.ready or now >= self._look_for_new_at:
            self._look_for_new_at = now + NEW_STUBS_SECONDS
            found = process_table().items()
            self._stubs |= {pid for pid, one in found if self._is_stub(one)}
        for pid in self._stubs:
            process = process_of(pid)
            if process is None or not self._is_stub(process):
                return ORPHANED
            if process.state == "Z":
                return describe(process.status)
        return None

    def _is_stub(self, process: Process) -> bool:
        return process.parent == self.pid and process.name == STUB

    def terminate(self) -> None:
        self._process.terminate()

    def end(self) -> None:
        """Kill what is left of the process group; nobody listens any more when this returns."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


class Dump:
    """Beside Triton, once, when the evaluator asks for intermediate results of the model."""

    def __init__(self, until_file: str, *, repository: str) -> None:
        self._folder = os.path.join(os.path.dirname(until_file), "dump")
        self._repository = repository
        self._process: "Optional[subprocess.Popen[bytes]]" = None

    def start_when_asked(self) -> None:
        if self._process is not None or not exists(os.path.join(self._folder, "request.json")):
            return
        log("dumping intermediate results")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "resnet_runtime.dump"),
                *("--repository=" + self._repository, "--folder=" + self._folder),
            ],
            env=with_package(),
            start_new_session=True,
            preexec_fn=unblock_signals,  # noqa: PLW1509  there is one thread
        )

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
