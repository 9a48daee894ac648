"""PID 1 of the serving container: starts tritonserver, watches it, and ends the pod when it must.

    python3 launch.py --drain-seconds=15 -- tritonserver --model-repository=/models ...

Why it exists: a dead model process ("stub") makes Triton answer 500 for ever while every probe
stays green, so the whole container ends at once and nobody listens any more; a SIGTERM must leave
time for endpoints to drain; and the cause of a failure must reach the termination message, which
Triton's tables push out of the log's tail.

In the pod that measures a new artifact it has two flags more: --benchmark times the model before
Triton takes the chip, and --until-file ends the pod when the evaluator beside it has finished; the
evaluator may ask for the same server with other settings of the model, too (`trials`).
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
from typing import Optional, Sequence

from resnet_runtime.families import arrange, pod_families
from resnet_runtime.processes import (
    exists,
    exit_status,
    log,
    remove_stale_regions,
    with_package,
    words_of,
)
from resnet_runtime.server_process import SIGNALS, Dump, Server, flag, unblock_signals
from resnet_runtime.stall import Stall
from resnet_runtime.termination import TerminationLog
from resnet_runtime.trials import Trials
from resnet_runtime.watch import Watch

BENCHMARK_TICK_SECONDS = 1.0
STALL_SECONDS = 120.0  # a load under way does something in this time, on the busiest node too
PR_SET_CHILD_SUBREAPER = 36


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
    message = "the benchmark of the model ended with {}".format(words_of(status))
    TerminationLog().write_end("ModelLoadFailed", message)
    return exit_status(status)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Start and watch tritonserver.")
    parser.add_argument("--drain-seconds", type=float, default=15.0)
    parser.add_argument("--benchmark", metavar="FILE", help="time the model first; JSON goes here")
    parser.add_argument("--benchmark-loops", type=int, default=100)
    parser.add_argument("--until-file", metavar="FILE", help="stop when this file is there")
    parser.add_argument(
        "--stall-seconds",
        type=float,
        default=STALL_SECONDS,
        help="end a load that has done nothing for so long",
    )
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
    relay = start_relay(relayed) if relayed else None
    repository = flag(flags, "model-repository", "/models")
    until_file = arguments.until_file
    trials = Trials(until_file, repository=repository) if until_file else None
    dump = Dump(until_file, repository=repository) if until_file else None
    try:
        status = run_server(program, flags, arguments, dump=dump, trials=trials)
        while trials is not None and trials.goes_on(status):
            status = run_server(program, trials.flags(flags), arguments, trials=trials)
        return 0 if exists(until_file) else max(status, 0)
    finally:
        if dump is not None:
            dump.end()
        if relay is not None:
            relay.kill()


def run_server(
    program: str,
    flags: Sequence[str],
    arguments: argparse.Namespace,
    *,
    dump: Optional[Dump] = None,
    trials: Optional[Trials] = None,
) -> int:
    """One server from its start to its end, with all its processes."""
    log("starting {} {}".format(program, " ".join(flags)))
    server = Server([program, *flags], restricted=not arguments.unrestricted)
    watch = Watch(
        server,
        drain_seconds=arguments.drain_seconds,
        until_file=arguments.until_file,
        dump=dump,
        trials=trials,
        stall=Stall(arguments.stall_seconds),
    )
    try:
        return watch.run()
    finally:
        server.end()


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
