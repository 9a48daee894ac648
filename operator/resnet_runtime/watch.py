"""The life of tritonserver under launch.py: serve, drain, stop; why it ended, in one message.

In a pod it is mounted at /launcher/resnet_runtime/. Standard library, Python >= 3.8.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Optional

from resnet_runtime.processes import exists, exit_status, log, words_of
from resnet_runtime.server_process import ORPHANED, SIGNALS, Dump, Server
from resnet_runtime.stall import Stall
from resnet_runtime.termination import TerminationLog
from resnet_runtime.trials import NEXT, Trials

TICK_SECONDS = 0.05  # so long a dead stub may answer errors
LOADING_TICK_SECONDS = 0.2
LOAD_FAILURE_SECONDS = 30.0  # Triton ends by itself after a failed load
ORPHANED_SECONDS = 1.0  # between the kernel's last moves of a process that ends
KILL_SECONDS = 10.0  # after Triton's own exit timeout

STOPPED_WHILE_LOADING = (
    "Triton was stopped before the model was loaded; "
    "raise serving.loadTimeoutSeconds if it only loads slowly"
)
STALLED = (
    "the load hangs: for {:g} s no process of Triton used the processor or read anything; its log "
    "says where, and `npu-smi info` whether the chip answers"
)


class Watch:
    """The life of one server: serve, drain, stop.

    `run` returns the container's exit status, or NEXT where other settings are to be tried.
    """

    def __init__(
        self,
        server: Server,
        *,
        drain_seconds: float,
        until_file: Optional[str] = None,
        dump: Optional[Dump] = None,
        trials: Optional[Trials] = None,
        stall: Optional[Stall] = None,
    ) -> None:
        self._stall = stall
        self._dump = dump
        self._trials = trials
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
            if self._trials is not None and self._trials.asked():
                self._stop()
                return NEXT
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
            return self._stalled()
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

    def _stalled(self) -> Optional[int]:
        """The exit status when a load has stopped, else None."""
        if self._server.ready or self._stall is None or not self._stall.is_over():
            return None
        self._server.end()
        self._report(STALLED.format(self._stall.seconds), reason="ModelLoadFailed")
        return 1

    def _report_exit(self, status: int) -> None:
        words = words_of(status)
        if self._server.ready:
            self._report("tritonserver ended by itself ({})".format(words))
        else:
            message = "tritonserver ended before the model was ready ({}); its log says why"
            self._report(message.format(words), reason="ModelLoadFailed")

    def _report(self, message: str, *, reason: str = "CrashLooping") -> None:
        self._termination.write_end(reason, message)

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
