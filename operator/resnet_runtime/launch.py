"""PID 1 of the serving container: starts tritonserver, watches it, and ends the pod when it must.

    python3 launch.py --drain-seconds=15 -- tritonserver --model-repository=/models ...

Why it exists: a dead model process ("stub") makes Triton answer 500 for ever while every probe
stays green, so the whole container ends at once and nobody listens any more; a SIGTERM must leave
time for endpoints to drain; and the cause of a failure must reach the termination message, which
Triton's tables push out of the log's tail.

In the pod that measures a new artifact it has two flags more: --benchmark times the model before
Triton takes the chip, and --until-file ends the pod when the evaluator beside it has finished.
Standard library, Python >= 3.8.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import Optional, Sequence

from resnet_runtime.families import arrange, pod_families
from resnet_runtime.processes import (
    exists,
    log,
    out_of_memory_kills,
    remove_stale_regions,
    with_package,
)
from resnet_runtime.server_process import ORPHANED, SIGNALS, Dump, Server, flag, unblock_signals
from resnet_runtime.termination import TerminationLog

TICK_SECONDS = 0.05  # so long a dead stub may answer errors
BENCHMARK_TICK_SECONDS = 1.0
LOADING_TICK_SECONDS = 0.2
LOAD_FAILURE_SECONDS = 30.0  # Triton ends by itself after a failed load
ORPHANED_SECONDS = 1.0  # between the kernel's last moves of a process that ends
KILL_SECONDS = 10.0  # after Triton's own exit timeout
PR_SET_CHILD_SUBREAPER = 36

STOPPED_WHILE_LOADING = (
    "Triton was stopped before the model was loaded; "
    "raise serving.loadTimeoutSeconds if it only loads slowly"
)


class Watch:
    """The life of the container: serve, drain, stop. `run` returns the exit status."""

    def __init__(
        self,
        server: Server,
        *,
        drain_seconds: float,
        until_file: Optional[str] = None,
        dump: Optional[Dump] = None,
    ) -> None:
        self._dump = dump
        self._server = server
        self._drain_seconds = drain_seconds
        self._until_file = until_file
        self._termination = TerminationLog()
        self._asked_to_stop = 0

    def run(self) -> int:
        while not self._asked_to_stop:
            if exists(self._until_file):
                log("{} is there: stopping".format(self._until_file))
                self._stop()
                return 0
            if self._dump is not None:
                self._dump.start_when_asked()
            failure = self._failure()
            if failure is not None:
                return failure
            self._wait(TICK_SECONDS if self._server.ready else LOADING_TICK_SECONDS)
        seconds = self._drain_seconds if self._server.check_ready() else 0.0
        if not self._server.ready:
            # A pod that is deleted says so to nobody; the startup probe's victim is made again.
            self._termination.write("ProbeFailing", STOPPED_WHILE_LOADING)
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
            return exit_status(status)
        ended = self._server.dead_stub()
        if ended is None:
            return None
        if not self._server.check_ready():
            self._await_exit(LOAD_FAILURE_SECONDS)
        elif ended == ORPHANED:
            self._await_exit(ORPHANED_SECONDS)
        status = self._server.status()
        if status is not None:
            self._report_exit(status)
            return exit_status(status)
        # First the ports: Triton can only answer errors from now on; who is refused a connection
        # asks another pod. What other model processes have under way is lost with it.
        self._server.end()
        self._report("a model process of Triton died ({})".format(ended))
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


def exit_status(status: int) -> int:
    """A shell's status for a return code of subprocess; an end that nobody asked for is no 0."""
    return 128 - status if status < 0 else (status or 1)


def adopt_orphans() -> None:
    """Become the parent of orphaned stubs also where this is not PID 1 (shared namespaces)."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        log("cannot become a subreaper")


def leave(path: Optional[str]) -> None:
    """Tell the evaluator that nobody will answer it any more: it looks for the same file."""
    if path is not None and not os.path.exists(path):
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write("the serving container has ended\n")
        except OSError as error:
            log("cannot write {}: {}".format(path, error))


def run_benchmark(
    output: str, *, repository: str, loops: int, until_file: Optional[str]
) -> Optional[int]:
    """Time the model; None when Triton may start, else the exit status of the container."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "resnet_runtime.benchmark", "--repository=" + repository),
            *("--output=" + output, "--loops={}".format(loops)),
        ],
        env=with_package(),
        start_new_session=True,
        preexec_fn=unblock_signals,  # noqa: PLW1509  there is one thread
    )
    try:
        while process.poll() is None:
            received = signal.sigtimedwait(SIGNALS, BENCHMARK_TICK_SECONDS)
            stop = received and received.si_signo in (signal.SIGTERM, signal.SIGINT)
            if stop or exists(until_file):
                log("asked to stop during the benchmark")
                return 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    if status == 0:
        return None
    words = "signal {}".format(-status) if status < 0 else "exit status {}".format(status)
    reason, message = "ModelLoadFailed", "the benchmark of the model ended with {}".format(words)
    if out_of_memory_kills():
        reason = "OutOfMemory"
        message += ": the memory limit was reached; raise serving.resources.limits.memory"
    TerminationLog().write(reason, message)
    return 128 - status if status < 0 else status


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Start and watch tritonserver.")
    parser.add_argument("--drain-seconds", type=float, default=15.0)
    parser.add_argument("--benchmark", metavar="FILE", help="time the model first; JSON goes here")
    parser.add_argument("--benchmark-loops", type=int, default=100)
    parser.add_argument("--until-file", metavar="FILE", help="stop when this file is there")
    parser.add_argument(
        "--unrestricted", action="store_true", help="of a Triton that cannot close admin calls"
    )
    parser.add_argument("command", nargs="+", help="after --: tritonserver and its flags")
    arguments = parser.parse_args(argv)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    adopt_orphans()
    with contextlib.suppress(OSError):  # some programs want one; none of ours needs it
        os.makedirs(os.environ.get("HOME", ""), exist_ok=True)
    log("stale shared-memory regions removed: {}".format(remove_stale_regions()))
    try:
        return serve(arguments)
    finally:
        leave(arguments.until_file)


def serve(arguments: argparse.Namespace) -> int:
    """Benchmark if asked for, then Triton until it ends; the exit status of the container."""
    name, *flags = arguments.command
    program = shutil.which(name) or shutil.which("/opt/tritonserver/bin/" + name)
    if program is None:
        message = "the serving image has no {}: it must be made from a Triton image"
        TerminationLog().write("ContainerConfigError", message.format(name))
        return 127
    if arguments.benchmark:
        status = run_benchmark(
            arguments.benchmark,
            repository=flag(flags, "model-repository", "/models"),
            loops=arguments.benchmark_loops,
            until_file=arguments.until_file,
        )
        if status is not None:
            return status
    more, relayed = arrange(flags, pod_families())
    flags += more
    log("starting {} {}".format(program, " ".join(flags)))
    server = Server([program, *flags], restricted=not arguments.unrestricted)
    relay = start_relay(relayed) if relayed else None
    repository = flag(flags, "model-repository", "/models")
    dump = Dump(arguments.until_file, repository=repository) if arguments.until_file else None
    watch = Watch(
        server,
        drain_seconds=arguments.drain_seconds,
        until_file=arguments.until_file,
        dump=dump,
    )
    try:
        return watch.run()
    finally:
        if dump is not None:
            dump.end()
        server.end()
        if relay is not None:
            relay.kill()


def start_relay(relayed: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Let clients of the other family of addresses in."""
    log("relaying {}".format(" ".join(relayed)))
    return subprocess.Popen(
        [sys.executable, "-m", "resnet_runtime.relay", *relayed],
        env=with_package(),
        start_new_session=True,
        preexec_fn=unblock_signals,  # noqa: PLW1509  there is one thread
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
