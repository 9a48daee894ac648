"""PID 1 of the serving container: starts tritonserver, watches it, and ends the pod when it must.

    python3 launch.py --drain-seconds=15 -- tritonserver --model-repository=/models ...

Why it exists: a dead model process ("stub") makes Triton answer 500 for ever while every probe
stays green; a SIGTERM must leave time for endpoints to drain; and the cause of a failure must reach
the termination message, which Triton's tables push out of the log's tail.
Standard library, Python >= 3.8. It reads these flags of tritonserver, written as --name=value:
http-address, http-port, exit-timeout-secs.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import List, Optional, Sequence, Set

from resnet_runtime.processes import (
    describe,
    log,
    out_of_memory_kills,
    process_table,
    remove_stale_regions,
)

STUB = "triton_python_b"  # triton_python_backend_stub, as the kernel cuts it
RESTRICTED = "shared-memory,model-repository,trace,logging"
TICK_SECONDS = 1.0
LOADING_TICK_SECONDS = 0.2
LOAD_FAILURE_SECONDS = 30.0  # Triton ends by itself after a failed load
KILL_SECONDS = 10.0  # after Triton's own exit timeout
PR_SET_CHILD_SUBREAPER = 36
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


class TerminationLog:
    """The file that the kubelet reads when the container has ended."""

    def __init__(self) -> None:
        self._path = os.environ.get("RESNET_TERMINATION_LOG", "/dev/termination-log")

    def _read(self) -> str:
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def _replace(self, text: str) -> None:
        try:
            with open(self._path, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            log("cannot write {}: {}".format(self._path, error))

    def write(self, reason: str, message: str) -> None:
        """Leave a message, unless a model left one: that one is closer to the cause."""
        log("{}: {}".format(reason, message))
        if not self._read():
            self._replace(json.dumps({"reason": reason, "message": message, "code": None}))

    def forget_load_failure(self) -> None:
        """Drop what a model wrote about a load that then succeeded after all."""
        if '"ModelLoadFailed"' in self._read():
            self._replace("")


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

    def __init__(self, command: Sequence[str]) -> None:
        address = flag(command, "http-address", "0.0.0.0")
        self._address = (
            "127.0.0.1" if address == "0.0.0.0" else address,
            int(flag(command, "http-port", "8000")),
        )
        self.exit_timeout = float(flag(command, "exit-timeout-secs", "30"))
        self.ready = False
        self._stubs: Set[int] = set()
        # A process group of its own, so that `end` reaches stubs that outlive the server.
        self._process = subprocess.Popen(
            restrict(command),
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
        """How a stub ended while the server lives, or None. Triton leaves it a zombie."""
        seen = process_table()
        for pid, process in seen.items():
            if process.parent == self.pid and process.name == STUB:
                self._stubs.add(pid)
                if process.state == "Z":
                    return describe(process.status)
        return "status unknown" if self._stubs - seen.keys() else None

    def terminate(self) -> None:
        self._process.terminate()

    def end(self) -> None:
        """Kill what is left of the process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


class Watch:
    """The life of the container: serve, drain, stop. `run` returns the exit status."""

    def __init__(self, server: Server, *, drain_seconds: float) -> None:
        self._server = server
        self._drain_seconds = drain_seconds
        self._termination = TerminationLog()
        self._asked_to_stop = 0

    def run(self) -> int:
        while not self._asked_to_stop:
            failure = self._failure()
            if failure is not None:
                return failure
            self._wait(TICK_SECONDS if self._server.ready else LOADING_TICK_SECONDS)
        seconds = self._drain_seconds if self._server.check_ready() else 0.0
        log("asked to stop: serving for another {:g} s".format(seconds))
        deadline = time.monotonic() + seconds
        while self._asked_to_stop == 1 and time.monotonic() < deadline:
            failure = self._failure()
            if failure is not None:
                return failure
            self._wait(min(TICK_SECONDS, deadline - time.monotonic()))
        self._stop()
        return 0  # Triton's own status is 1 when a client kept a connection open

    def _wait(self, seconds: float) -> None:
        """Sleep until a signal or the time; count requests to stop; collect orphans."""
        received = signal.sigtimedwait(SIGNALS, max(seconds, 0))
        if received and received.si_signo in (signal.SIGTERM, signal.SIGINT):
            self._asked_to_stop += 1
        while True:
            try:
                child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if child is None:
                return
            if child.si_pid == self._server.pid:
                self._server.status()  # keeps the return code
            else:
                os.waitpid(child.si_pid, 0)

    def _failure(self) -> Optional[int]:
        """The exit status when the server or a stub has ended by itself, else None."""
        if not self._server.ready and self._server.check_ready():
            log("the models are loaded")
            self._termination.forget_load_failure()
        status = self._server.status()
        if status is not None:
            self._report_exit(status)
            return 128 - status if status < 0 else (status or 1)
        ended = self._server.dead_stub()
        if ended is None:
            return None
        if not self._server.check_ready():
            self._await_exit(LOAD_FAILURE_SECONDS)
            status = self._server.status()
            if status is not None:
                self._report_exit(status)
                return 1
        self._report("a model process of Triton died ({})".format(ended))
        self._stop()
        return 1

    def _report_exit(self, status: int) -> None:
        words = "signal {}".format(-status) if status < 0 else "exit status {}".format(status)
        if self._server.ready:
            self._report("tritonserver ended by itself ({})".format(words))
        else:
            message = "tritonserver ended before the model was ready ({}); its log says why"
            self._report(message.format(words), reason="ModelLoadFailed")

    def _report(self, message: str, *, reason: str = "CrashLooping") -> None:
        if out_of_memory_kills():
            reason = "OutOfMemory"
            message += ": the memory limit was reached; raise serving.resources.limits.memory"
        self._termination.write(reason, message)

    def _await_exit(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._server.status() is None and time.monotonic() < deadline:
            self._wait(min(TICK_SECONDS, deadline - time.monotonic()))

    def _stop(self) -> None:
        """SIGTERM, Triton's own time to finish, and then no mercy."""
        self._server.terminate()
        self._await_exit(self._server.exit_timeout + KILL_SECONDS)
        if self._server.status() is None:
            log("tritonserver did not end in time: killed")


def adopt_orphans() -> None:
    """Become the parent of orphaned stubs also where this is not PID 1 (shared namespaces)."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        log("cannot become a subreaper")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Start and watch tritonserver.")
    parser.add_argument("--drain-seconds", type=float, default=15.0)
    parser.add_argument("command", nargs="+", help="after --: tritonserver and its flags")
    arguments = parser.parse_args(argv)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    adopt_orphans()
    with contextlib.suppress(OSError):  # some programs want one; none of ours needs it
        os.makedirs(os.environ.get("HOME", ""), exist_ok=True)
    log("stale shared-memory regions removed: {}".format(remove_stale_regions()))
    name, *flags = arguments.command
    program = shutil.which(name) or shutil.which("/opt/tritonserver/bin/" + name)
    if program is None:
        message = "the serving image has no {}: it must be made from a Triton image"
        TerminationLog().write("ContainerConfigError", message.format(name))
        return 127
    log("starting {} {}".format(program, " ".join(flags)))
    server = Server([program, *flags])
    try:
        return Watch(server, drain_seconds=arguments.drain_seconds).run()
    finally:
        server.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
