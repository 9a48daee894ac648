"""launch.py without a server: flags, messages, the process table; tests/triton has a real one."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.patience import patient

from resnet_runtime import launch, processes, server_process, termination
from resnet_runtime.termination import TerminationLog
from resnet_runtime.watch import Watch

RUNTIME = Path(launch.__file__).parent
LIMIT = ": the memory limit was reached; raise serving.resources.limits.memory"


@pytest.mark.parametrize("path", sorted(RUNTIME.glob("*.py")), ids=lambda path: path.name)
def test_syntax_of_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize(
    "name",
    [
        *("launch.py", "processes.py", "server_process.py", "stall.py", "termination.py"),
        *("families.py", "relay.py", "pbtxt.py", "trials.py", "watch.py"),
    ],
)
def test_pid_1_needs_no_package(name: str) -> None:
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse((RUNTIME / name).read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    roots = {str(module).split(".", maxsplit=1)[0] for module in imported}
    assert roots <= sys.stdlib_module_names | {"resnet_runtime"}


@pytest.mark.parametrize(
    ("command", "value"),
    [
        (["t", "--http-port=9000"], "9000"),
        (["t", "--http-port-range=1"], "8000"),
        (["t"], "8000"),
    ],
)
def test_flag(command: list[str], value: str) -> None:
    assert server_process.flag(command, "http-port", "8000") == value


def test_administrative_calls_need_a_key_that_nobody_has() -> None:
    first, second = server_process.restrict(["t"]), server_process.restrict(["t"])
    assert first[0] == "t"
    for flag, other in zip(first[1:], second[1:], strict=True):
        assert "=shared-memory,model-repository,trace,logging:admin=" in flag
        assert flag != other
        assert len(flag.rsplit("=", 1)[1]) == 32


@pytest.mark.parametrize(
    ("status", "words"), [(9, "signal 9"), (256, "exit status 1"), (0, "exit status 0")]
)
def test_wait_status_in_words(status: int, words: str) -> None:
    assert processes.describe(status) == words


def test_the_process_table_knows_zombies_and_their_status() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert processes.process_table()[child.pid].parent == os.getpid()
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, but still in the table
    zombie = processes.process_table()[child.pid]
    child.communicate()
    assert (zombie.state, processes.describe(zombie.status)) == ("Z", "signal 9")


def test_stale_regions_go_used_ones_and_others_stay(tmp_path: Path) -> None:
    used = tmp_path / (processes.SHM_PREFIX + "used")
    used.write_bytes(b"x" * 4096)
    for name in (processes.SHM_PREFIX + "stale", "somebody-elses"):
        (tmp_path / name).touch()
    mapper = (
        f"import mmap, sys; f = open({str(used)!r}, 'r+b'); m = mmap.mmap(f.fileno(), 0);"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", mapper], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert processes.remove_stale_regions(str(tmp_path)) == 1
        assert {path.name for path in tmp_path.iterdir()} == {used.name, "somebody-elses"}
    assert processes.remove_stale_regions(str(tmp_path)) == 1


@pytest.mark.parametrize(
    ("text", "kills"),
    [("low 0\noom 2\noom_kill 1\n", 1), ("oom_kill_disable 0\noom_kill 3\n", 3), ("low 0\n", 0)],
)
def test_memory_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, kills: int
) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text(text)
    monkeypatch.setattr(processes, "OOM_COUNTERS", (str(tmp_path / "none"), str(counter)))
    assert processes.out_of_memory_kills() == kills


def test_a_models_message_is_kept_until_the_load_succeeds(termination_log: Path) -> None:
    log = TerminationLog()
    log.write("ModelLoadFailed", "first")
    log.write("CrashLooping", "second")
    assert json.loads(termination_log.read_text())["message"] == "first"
    log.forget_load_failure()
    log.write("CrashLooping", "third")
    log.forget_load_failure()
    assert json.loads(termination_log.read_text())["message"] == "third"


def test_image_without_triton(
    termination_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = subprocess.run(
        [
            sys.executable,
            RUNTIME / "launch.py",
            "--",
            "no-such-server",
            "--model-repository=/models",
        ],
        env={**os.environ, "PYTHONPATH": str(RUNTIME.parent)},
        capture_output=True,
    )
    assert done.returncode == 127
    assert json.loads(termination_log.read_text())["reason"] == "ContainerConfigError"


SERVER = """#!/bin/sh
trap 'exit 1' TERM
echo started >> "$STARTED"
while :; do sleep 0.05; done
"""


def launched(
    tmp_path: Path, *flags: str, script: str = SERVER, config: str = "", port: int = 9
) -> subprocess.Popen[bytes]:
    """launch.py with a shell script for tritonserver."""
    (tmp_path / "server").write_text(script)
    (tmp_path / "server").chmod(0o755)
    (tmp_path / "models/digits").mkdir(parents=True, exist_ok=True)
    (tmp_path / "models/digits/config.pbtxt").write_text(config)
    command = [
        *(sys.executable, str(RUNTIME / "launch.py"), "--drain-seconds=0", *flags, "--"),
        *(str(tmp_path / "server"), f"--model-repository={tmp_path / 'models'}"),
        *("--http-address=127.0.0.1", f"--http-port={port}", "--exit-timeout-secs=1"),
    ]
    return subprocess.Popen(
        command,
        env={
            **os.environ,
            "PYTHONPATH": str(RUNTIME.parent),
            "STARTED": str(tmp_path / "started"),
            "RESNET_TERMINATION_LOG": str(tmp_path / "termination-log"),
        },
        stderr=subprocess.PIPE,
    )


SERVER_WITH_STUBS = """#!{python}
import os, signal, socket, subprocess, sys, time
port = next(int(a.split("=")[1]) for a in sys.argv if a.startswith("--http-port="))
signal.signal(signal.SIGTERM, lambda *_: open("{folder}/asked", "w").close())
stubs = [subprocess.Popen(["{folder}/triton_python_backend_stub", "600"]) for _ in range(2)]
listening = socket.create_server(("127.0.0.1", port))
open("{folder}/stubs", "w").write(" ".join(str(stub.pid) for stub in stubs))
while True:
    time.sleep(600)
"""


@pytest.mark.thorough
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
@pytest.mark.parametrize("which", [0, 1])
def test_a_dead_stub_closes_the_ports_without_a_farewell(
    tmp_path: Path, termination_log: Path, how: int, which: int
) -> None:
    """Triton would go on for as long as its exit takes, and answer each request with an error."""
    (tmp_path / "triton_python_backend_stub").symlink_to(shutil.which("sleep") or "/bin/sleep")
    script = SERVER_WITH_STUBS.format(python=sys.executable, folder=tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with launched(tmp_path, script=script, port=port) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"the models are loaded" in line:
                break
        stubs = [int(pid) for pid in (tmp_path / "stubs").read_text().split()]
        os.kill(stubs[which], how)
        process.stderr.read()
        assert process.wait(timeout=patient(30)) == 1
    assert not (tmp_path / "asked").exists(), "it was asked to end, and answered meanwhile"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    message = json.loads(termination_log.read_text())
    assert message["reason"] == "CrashLooping"
    assert message["message"] == f"a model process of Triton died (signal {int(how)})"


class Ended:
    """A server that answers `status` as it is told; its stub is an orphan from the start."""

    pid = 0
    ready = True

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.was_killed = False

    def status(self) -> int | None:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def check_ready(self) -> bool:
        return True

    def dead_stub(self) -> str:
        return server_process.ORPHANED

    def end(self) -> None:
        self.was_killed = True


@pytest.mark.parametrize(
    ("statuses", "code", "message", "reason"),
    [
        (
            (None, -11),
            139,
            "tritonserver ended by itself (signal 11)",
            "it ended between the look at it and the look at its stubs",
        ),
        (
            (None, None, None, -11),
            139,
            "tritonserver ended by itself (signal 11)",
            "the kernel has moved its stubs away and does not tell its status yet",
        ),
        ((None, 1), 1, "tritonserver ended by itself (exit status 1)", "it left"),
        ((None, 0), 1, "tritonserver ended by itself (exit status 0)", "nobody asked it to"),
        (
            (None,),
            1,
            "a model process of Triton died (status unknown)",
            "it lives on: somebody else collected its stub",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_server_that_ends_is_told_from_a_stub_that_does(
    termination_log: Path, statuses: tuple[int | None, ...], code: int, message: str, reason: str
) -> None:
    server = Ended(*statuses)
    watch = Watch(server, drain_seconds=0)  # type: ignore[arg-type]
    assert watch.run() == code, reason
    assert json.loads(termination_log.read_text())["message"] == message
    assert server.was_killed == (statuses == (None,))


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ((None, -9), "tritonserver ended by itself (signal 9)"),
        ((None,), "a model process of Triton died (status unknown)"),
    ],
)
def test_a_server_that_ended_by_memory_says_so(
    termination_log: Path,
    monkeypatch: pytest.MonkeyPatch,
    statuses: tuple[int | None, ...],
    message: str,
) -> None:
    monkeypatch.setattr(termination, "out_of_memory_kills", lambda: 1)
    Watch(Ended(*statuses), drain_seconds=0).run()  # type: ignore[arg-type]
    left = json.loads(termination_log.read_text())
    assert (left["reason"], left["message"]) == ("OutOfMemory", message + LIMIT)


def test_the_file_of_the_evaluator_ends_the_pod(tmp_path: Path) -> None:
    """Triton's own status, 1 here, does not count: the measuring is over."""
    done = tmp_path / "done"
    with launched(tmp_path, f"--until-file={done}") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"starting" in line:
                break
        done.touch()
        process.stderr.read()
        assert process.wait(timeout=patient(30)) == 0


def test_who_is_stopped_while_loading_says_so(tmp_path: Path, termination_log: Path) -> None:
    """The startup probe's victim: its status is 0, so only the message tells."""
    with launched(tmp_path) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"starting" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(timeout=patient(30)) == 0
    message = json.loads(termination_log.read_text())
    assert message["reason"] == "ProbeFailing"
    assert "serving.loadTimeoutSeconds" in message["message"]


def test_a_pod_that_ends_by_itself_leaves_the_file_for_the_evaluator(tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = "#!/bin/sh\nexit 3\n"
    with launched(tmp_path, f"--until-file={done}", script=script) as process:
        process.communicate(timeout=patient(30))
    assert process.returncode == 3
    assert done.exists()


def test_a_benchmark_that_fails_ends_the_pod_before_triton(
    tmp_path: Path, termination_log: Path
) -> None:
    output, done = tmp_path / "eval/benchmark.json", tmp_path / "done"
    with launched(tmp_path, f"--benchmark={output}", f"--until-file={done}") as process:
        process.communicate(timeout=patient(60))
    assert process.returncode == 1
    message = json.loads(termination_log.read_text())
    assert message["reason"] == "ModelLoadFailed"
    assert "config.pbtxt cannot be read" in message["message"]
    assert not (tmp_path / "started").exists()
    assert done.exists()


@pytest.mark.parametrize(
    ("kills", "reason", "more"), [(0, "ModelLoadFailed", ""), (1, "OutOfMemory", LIMIT)]
)
def test_a_benchmark_that_is_killed_is_told_too(
    tmp_path: Path,
    termination_log: Path,
    monkeypatch: pytest.MonkeyPatch,
    kills: int,
    reason: str,
    more: str,
) -> None:
    killed = tmp_path / "python3"
    killed.write_text("#!/bin/sh\nkill -KILL $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killed))
    monkeypatch.setattr(termination, "out_of_memory_kills", lambda: kills)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, server_process.SIGNALS)
    try:
        status = launch.run_benchmark("x", repository="/models", loops=1, until_file=None)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert status == 128 + signal.SIGKILL
    message = "the benchmark of the model ended with signal 9" + more
    assert json.loads(termination_log.read_text()) == {
        "reason": reason,
        "message": message,
        "code": None,
    }
