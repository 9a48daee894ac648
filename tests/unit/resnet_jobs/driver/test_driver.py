"""The driver against stand-ins for `atc`: what it runs, what it reports, how it ends."""

from __future__ import annotations

import ast
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.patience import patient
from tests.unit.resnet_jobs.limits import LIMIT_SECONDS, time_is_up_after

from resnet_jobs.driver import codes, convert, message, outcome, tool

MACHINE = platform.machine()
GOOD = 'open(out + ".om", "w").write("OM"); print("ATC run success, welcome to the next use.")'
DISPLAYED = """\
============ Display Model Info start ============
Original Atc command line: atc --output=memory_size[7 B]
resource info: memory_size[4096 B], weight_size[1024 B], stream_num[1], event_num[0].
============ Display Model Info end   ============"""
E10016 = """\
ATC start working now, please wait for a moment.
...
ATC run failed, Please check the detail log, Try 'atc --help' for more information
E10016: [PID: 71] 2026-11-21-09:02:18.501.341 Opname [x] specified in --input_shape is not found in the model.
        Solution: Use a name that the model has.
        TraceBack (most recent call last):
        graph prepare failed[FUNC:X][FILE:y.cc][LINE:1]
"""  # noqa: E501


class Place:
    """A scratch volume with a plan, and a CANN installation whose `atc` runs the given Python."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scratch = root / "scratch"
        self.cann = root / "cann"
        self.log = root / "termination-log"
        self.argv = ["atc", "--framework=5", f"--output={self.scratch}/out/model", "--x=a b;$(c)"]
        (self.scratch / "conf").mkdir(parents=True)
        self.plan(self.argv)
        (root / "store").mkdir()
        self.job: dict[str, Any] = {
            "timeoutSeconds": 60,
            "store": {"type": "SharedClaim", "path": str(root / "store")},
        }
        self.environment = {
            "PATH": f"{self.cann}/bin:{os.environ['PATH']}",
            "ASCEND_TOOLKIT_HOME": str(self.cann),
            "HOME": str(self.scratch / "home"),
            "RESNET_SCRATCH": str(self.scratch),
            "RESNET_TERMINATION_LOG": str(self.log),
        }
        self.write("cann/compiler/version.info", "Version=8.2.0.0.201\nversion_dir=8.2.RC1\n")

    def plan(self, argv: list[str]) -> None:
        """Leave what `prepare` leaves; options beside the usual ones are in the key."""
        more = [word for word in argv if word not in self.argv]
        content = {"recipe": 1, "model": "m", "chip": "c", **({"options": more} if more else {})}
        plan = {"argv": argv, "contentInputs": content}
        (self.scratch / "conf" / "convert.json").write_text(json.dumps(plan))

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def install_atc(self, body: str) -> None:
        lines = [
            f"#!{sys.executable} -S",
            "import os, sys, time",
            f"if '--mode=6' in sys.argv: sys.exit(print({DISPLAYED!r}))",
            'out = next(a for a in sys.argv if a.startswith("--output=")).split("=")[1]',
            body,
        ]
        self.write("cann/bin/atc", "\n".join(lines)).chmod(0o755)

    def outcome(self) -> tuple[dict[str, Any], int]:
        return message.outcome(
            convert.convert, {**self.environment, "RESNET_JOB": json.dumps(self.job)}
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# --- it must run in an image we do not make -----------------------------------------------------


SCRIPTS = sorted(Path(convert.__file__).parent.glob("*.py"))
TORCH = ("resnet.py", "torch_export.py")  # these run in the image that has it


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_python_3_7_and_the_standard_library_are_enough(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(str(node.module).split(".")[0])
    extra = {"torch"} if script.name in TORCH else set()
    assert imported <= sys.stdlib_module_names | extra
    newer = {"removeprefix", "removesuffix", "is_relative_to", "missing_ok", "cached_property"}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & newer


# --- success ------------------------------------------------------------------------------------


def test_a_conversion(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.install_atc("print(os.getcwd()); print(sys.argv[-1], flush=True); " + GOOD)
    payload, code = place.outcome()
    assert code == 0
    assert payload["durationSeconds"] >= 0
    want = {
        "ok": True,
        "compiler": "ATC 8.2.RC1 (compiler 8.2.0.0.201)",
        "contentKey": outcome.content_key(
            {"recipe": 1, "model": "m", "chip": "c"}, payload["compiler"]
        ),
        "hit": False,
        "durationSeconds": payload["durationSeconds"],
        "arch": None,
        "argv": place.argv,
        "memoryBytes": 5120,
    }
    assert payload == want
    assert (place.scratch / "out/model.om").read_text() == "OM"
    left = json.loads((place.scratch / "out/convert.json").read_text())
    assert left == want
    log = capfd.readouterr().out
    assert f"{place.scratch}/work\n" in log, "ATC writes to its folder: it must be a writable one"
    assert "--x=a b;$(c)\n" in log, "no shell ever saw the argument"


def test_a_model_with_host_code(place: Place) -> None:
    place.install_atc('open(out + "_linux_x86_64.om", "w").write("OM")')
    payload, code = place.outcome()
    assert (code, payload["arch"]) == (0, "x86_64")
    assert (place.scratch / "out/model.om").read_text() == "OM"


def test_a_model_for_other_hosts(place: Place) -> None:
    place.install_atc('open(out + "_linux_x86_64.om", "w").write("OM")')
    place.job["hostArchitecture"] = "arm64"
    payload, code = place.outcome()
    assert (payload["reason"], code) == ("ConversionFailed", 69)
    assert "made a model for x86_64 hosts" in payload["message"]
    place.job["hostArchitecture"] = "amd64"
    payload, code = place.outcome()
    assert (code, payload["arch"]) == (0, "x86_64")


@pytest.mark.parametrize(
    ("reason", "one", "other", "shared"),
    [
        ("nobody chose: another node makes another OM", (None, "x86_64"), (None, "aarch64"), False),
        ("nobody chose: nodes of a kind make the same", (None, "aarch64"), (None, "aarch64"), True),
        ("chosen: the node that compiles does not count", ("arm64", "x86_64"),
         ("arm64", "aarch64"), True),
        ("other hosts: another OM", ("amd64", "x86_64"), ("arm64", "x86_64"), False),
    ],
)  # fmt: skip
def test_the_hosts_in_the_key(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    one: tuple[str | None, str],
    other: tuple[str | None, str],
    shared: bool,
) -> None:
    place.install_atc(GOOD)
    keys = set()
    for wanted, machine in (one, other):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        cpu = convert.HOST_CPUS.get(wanted or "")
        place.plan([*place.argv, *([f"--host_env_cpu={cpu}"] if cpu else [])])
        place.job["hostArchitecture"] = wanted
        payload, code = place.outcome()
        assert code == 0, payload
        keys.add(payload["contentKey"])
    assert (len(keys) == 1) is shared, reason


def test_a_silent_atc_is_said_to_live(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tool ends by itself once the log has told of it twice."""
    told: list[str] = []

    def log(text: str) -> None:
        told.append(text)
        if text.startswith("still running") and len([t for t in told if "still" in t]) == 2:
            (place.root / "go").touch()

    monkeypatch.setattr(tool, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(tool, "log", log)
    place.install_atc(
        'print("optimising", flush=True)\n'
        f"while not os.path.exists({str(place.root / 'go')!r}): time.sleep(0.01)\n" + GOOD
    )
    assert place.outcome()[1] == 0
    beats = [text for text in told if text.startswith("still running after")]
    # Of the two that let the tool end: after them it has more to say.
    known = ("its last line: optimising", "its last line: nothing yet")
    assert [beat.endswith(known) for beat in beats[:2]] == [True, True], beats


def test_what_an_earlier_run_left_is_no_success(place: Place) -> None:
    place.install_atc("pass")
    place.write("scratch/out/model_linux_x86_64.om", "old")
    place.write("scratch/out/model.om", "old")
    payload, code = place.outcome()
    assert (payload["reason"], code) == ("ConversionFailed", 69)
    assert "status 0 but wrote no model" in payload["message"]


HITS: list[tuple[str, str | None, bool]] = [
    ("prepare has found it", '{"KEY": {"arch": "aarch64"}}', True),
    ("prepare has found another", '{"other": {"arch": "aarch64"}}', False),
    ("nothing was found", "{}", False),
    ("prepare left no list", None, False),
    ("half a list", '{"KEY"', False),
]


@pytest.mark.parametrize(("reason", "known", "hit"), HITS, ids=[h[0] for h in HITS])
def test_what_prepare_has_found_is_not_converted_again(
    reason: str, known: str | None, hit: bool, place: Place
) -> None:
    place.install_atc(GOOD)
    inputs = {"recipe": 1, "model": "m", "chip": "c"}
    key = outcome.content_key(inputs, "ATC 8.2.RC1 (compiler 8.2.0.0.201)")
    if known is not None:
        place.write("scratch/conf/known.json", known.replace("KEY", key))
    payload, code = place.outcome()
    assert (code, payload["hit"]) == (0, hit), reason
    assert (place.scratch / "out/model.om").exists() is not hit
    assert payload["arch"] == ("aarch64" if hit else None)


# --- failure ------------------------------------------------------------------------------------

ENDINGS: list[tuple[str, str, str, int, str | None, str]] = [
    (
        "an error of the order is for good",
        f"print({E10016!r}); sys.exit(255)",
        "ConversionFailed",
        69,
        "E10016",
        (
            "ATC E10016: Opname [x] specified in --input_shape is not found in the model. "
            "Use a name that the model has."
        ),
    ),
    (
        "an internal error may pass",
        (
            'print("EZ9999: Inner Error!\\nEZ9999: [PID: 1] 2025-03-18-09:02:18.501.341 boom")\n'
            "sys.exit(255)"
        ),
        "ConversionFailed",
        82,
        "EZ9999",
        "ATC EZ9999: boom",
    ),
    (
        "a model beside an error is no success",
        GOOD + '; print("E10001: Value [-1] is invalid."); sys.exit(255)',
        "ConversionFailed",
        69,
        "E10001",
        "ATC E10001: Value [-1] is invalid.",
    ),
    (
        "killed for lack of memory",
        "os.kill(os.getpid(), 9)",
        "OutOfMemory",
        85,
        None,
        "spec.conversion.resources.limits.memory",
    ),
    (
        "its shell wrapper says 137 when atc.bin is killed",
        "sys.exit(137)",
        "OutOfMemory",
        85,
        None,
        "killed for lack of memory",
    ),
    (
        "a crash may pass, and is not said to",
        "os.kill(os.getpid(), 11)",
        "ConversionFailed",
        82,
        None,
        "ATC crashed (signal 11); if that stays, use another image",
    ),
    (
        "a crash of atc.bin, as its shell wrapper tells it",
        "sys.exit(134)",
        "ConversionFailed",
        82,
        None,
        "ATC crashed (signal 6)",
    ),
    (
        "somebody ended it",
        "os.kill(os.getpid(), 15)",
        "ConversionFailed",
        82,
        None,
        "ended by signal 15; another attempt can help",
    ),
    (
        "a loader's complaint is repeated",
        (
            'print("atc.bin: error while loading shared libraries: libge.so: cannot open")\n'
            "sys.exit(127)"
        ),
        "ConversionFailed",
        69,
        None,
        (
            "status 127: atc.bin: error while loading shared libraries: libge.so: cannot open. "
            "Check that spec.conversion.image is a CANN toolkit image"
        ),
    ),
    (
        "silence",
        "sys.exit(3)",
        "ConversionFailed",
        69,
        None,
        "ATC ended with status 3: it printed nothing",
    ),
]


@pytest.mark.parametrize(
    ("why", "body", "reason", "exit_code", "code", "want"), ENDINGS, ids=[e[0] for e in ENDINGS]
)
def test_endings(
    why: str, body: str, reason: str, exit_code: int, code: str | None, want: str, place: Place
) -> None:
    place.install_atc(body)
    payload, status = place.outcome()
    assert (payload["reason"], status, payload["code"]) == (reason, exit_code, code), why
    assert want in payload["message"]
    assert len(payload["message"]) <= 300
    assert not payload["ok"]


def test_the_tail_of_the_log_is_kept(place: Place) -> None:
    place.install_atc('print("\\n".join(f"line {n}" for n in range(2000))); sys.exit(1)')
    payload, _ = place.outcome()
    assert payload["detail"].endswith("line 1998\nline 1999")
    assert len(payload["detail"]) < 4096


def test_the_time_limit_ends_the_whole_group(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even an ATC that ignores SIGTERM, and its workers, which would hold the pipe open."""
    monkeypatch.setattr(tool, "STOP_GRACE_SECONDS", 0.1)
    time_is_up_after(monkeypatch, "working")
    place.install_atc(
        "import signal, subprocess\n"
        "signal.signal(15, signal.SIG_IGN)\n"
        'child = subprocess.Popen(["sleep", "600"])\n'
        'open(out + ".pid", "w").write(str(child.pid))\n'
        'print("working", flush=True); time.sleep(600)'
    )
    place.job["timeoutSeconds"] = LIMIT_SECONDS
    payload, code = place.outcome()
    assert (payload["reason"], code) == ("ConversionTimeout", 70)
    assert "spec.conversion.timeoutSeconds" in payload["message"]
    assert payload["detail"] == "working"
    assert gone(int((place.scratch / "out/model.pid").read_text()))


def gone(pid: int) -> bool:
    """Soon; a zombie that nobody has collected counts as gone, and so does a number that another
    program has by now: on a busy machine they come round within minutes.
    """
    deadline = time.monotonic() + patient(5)
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"cann/bin/atc" not in command and b"sleep" not in command:
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_sigterm_stops_atc_and_says_so(place: Place) -> None:
    place.install_atc('print("pid", os.getpid(), flush=True); time.sleep(600)')
    with subprocess.Popen(
        [sys.executable, convert.__file__],
        env={**place.environment, "RESNET_JOB": json.dumps(place.job)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("pid "))
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=patient(20)) == 82
    message = json.loads(place.log.read_text())
    assert message["reason"] == "ConversionFailed"
    assert "stopped from outside" in message["message"]
    assert gone(int(line.split()[1]))


def test_as_a_program_it_writes_its_message(place: Place) -> None:
    place.install_atc(f"print({E10016!r} + 'x' * 5000); sys.exit(255)")
    ended = subprocess.run(
        [sys.executable, "-I", convert.__file__],
        env={**place.environment, "RESNET_JOB": json.dumps(place.job)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 69
    text = place.log.read_text()
    assert len(text.encode()) <= 1500
    assert json.loads(text)["code"] == "E10016"
    assert "ATC run failed" in ended.stdout


def test_no_atc_in_the_image(place: Place) -> None:
    place.environment["PATH"] = "/nonexistent"
    payload, code = place.outcome()
    assert (payload["reason"], code) == ("ConversionFailed", 69)
    assert "must be a CANN toolkit image" in payload["message"]


def test_the_step_before_left_nothing(place: Place) -> None:
    (place.scratch / "conf/convert.json").unlink()
    payload, code = place.outcome()
    assert (payload["reason"], code) == ("ResultLost", 87)


def test_a_bug_still_ends_in_a_sentence(place: Place) -> None:
    place.write("scratch/conf/convert.json", "{}")
    payload, code = place.outcome()
    assert code == 90
    assert "unexpected KeyError" in payload["message"]


# --- the error block ----------------------------------------------------------------------------

FAILED = "ATC run failed, Please check the detail log, Try 'atc --help' for more information"
BLOCKS: list[tuple[str, str, dict[str, str]]] = [
    (
        "CANN 7 and before",
        f"{FAILED}\nE10007: [--framework] is required. The value must be [5(Onnx)].\n",
        {"code": "E10007", "message": "[--framework] is required. The value must be [5(Onnx)]."},
    ),
    (
        "CANN 8.0 puts process and time between",
        f"{FAILED}\nE10007: [PID: 10490] 2025-03-18-09:02:18.501.341 [--framework] is required.\n",
        {"code": "E10007", "message": "[--framework] is required."},
    ),
    (
        "the newest names the class first",
        "[PID: 7] 2026-08-21-09:02:18.501.341 Invalid_Argument(E10007): no framework given\n",
        {"code": "E10007", "message": "no framework given"},
    ),
    (
        "cause and solution, wrapped, and a trace behind",
        (
            "EZ3003: No supported Ops kernel and engine are found for [AddDsl], optype [AddDsl].\n"
            "        Possible Cause: No operator library of this CANN\n"
            "        has a kernel for it.\n"
            "        Solution: 1. Use the image of your chip.\n"
            "                  2. Do without the operator.\n"
            "        TraceBack (most recent call last):\n"
            "        build graph failed, graph id:0, ret:-1[FUNC:BuildModel]\n"
        ),
        {
            "code": "EZ3003",
            "cause": "No operator library of this CANN has a kernel for it.",
            "solution": "1. Use the image of your chip. 2. Do without the operator.",
        },
    ),
    (
        "a warning in front is passed over",
        (
            "W11001: Op [x] does not hit the high-priority engine.\nE19010: No parser is "
            "registered for Op [Div_1, optype [ai.onnx::23::Div]].\n"
        ),
        {
            "code": "E19010",
            "message": "No parser is registered for Op [Div_1, optype [ai.onnx::23::Div]].",
        },
    ),
    (
        "an inner error in front of the real one",
        "E19999: Inner Error!\n        something deep\n\nE10001: Value [-1] is invalid.\n",
        {"code": "E10001", "message": "Value [-1] is invalid."},
    ),
    (
        "an inner error alone, told in its second line",
        "E19999: Inner Error!\nE19999: [PID: 3] 2024-01-01-00:00:00.000.001 graph is null\n",
        {"code": "E19999", "message": "graph is null"},
    ),
    (
        "an inner error told in a wrapped line",
        "EZ9999: Inner Error!\n        the device ran away\n",
        {"code": "EZ9999", "message": "Inner Error! the device ran away"},
    ),
    ("a runtime code with three digits", "EL003: The argument is invalid.\n", {"code": "EL003"}),
    (
        "a Python error of TBE before it",
        (
            "ModuleNotFoundError: No module named '_struct'\n"
            f"{FAILED}\nE40000: Failed to import te.platform.log_util.\n"
        ),
        {"code": "E40000", "message": "Failed to import te.platform.log_util."},
    ),
    ("only warnings", "W11001: Op [x] is slow.\n", {}),
    ("nothing known", "Segmentation fault\n", {}),
]


@pytest.mark.parametrize(("reason", "text", "want"), BLOCKS, ids=[b[0] for b in BLOCKS])
def test_error_blocks(reason: str, text: str, want: dict[str, str]) -> None:
    block = outcome.parse_error_block(text.splitlines())
    assert {key: block[key] for key in want} == want, reason
    assert bool(block) is bool(want)


# The table of the field guide: each code, and whether it says that another attempt can help.
CODES = [
    *((f"E100{number:02}", False) for number in (
        1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14, 16, 18, 19, 20, 21, 22, 31, 32, 34, 35, 36, 39,
        47, 49, 50, 52, 54, 55, 56, 57,
    )),
    ("E10041", True), ("E13001", True), ("E13026", False),
    ("E16001", False), ("E16002", False), ("E16004", False), ("E16005", False),
    ("E19010", False), ("EZ3003", False), ("EC0010", False), ("E40000", False), ("E40020", False),
    ("E19999", True), ("EZ9999", True),
]  # fmt: skip


@pytest.mark.parametrize(("code", "retried"), CODES)
def test_every_known_code(code: str, retried: bool) -> None:
    run = tool.Run(255, [FAILED, f"{code}: something about it"])
    failure = outcome.explain(run, 60, has_model=False)
    assert failure is not None
    assert failure.exit_code == (82 if retried else 69)
    assert failure.payload["code"] == code
    message = failure.payload["message"]
    assert message == f"ATC {code}: something about it {codes.ADVICE[code]}"
    assert len(message) <= 300


def test_time_is_said_to_heal_only_what_it_heals() -> None:
    """Files of the Job, a full disk; an inner error mostly comes again, though it is tried once."""
    healed = {code for code, advice in codes.ADVICE.items() if "another attempt" in advice}
    assert healed == {"E10041", "E13000", "E13001", "E13004"}
    assert healed < codes.RETRIED


def test_an_unknown_code_is_permanent() -> None:
    run = tool.Run(255, [FAILED, "E77777: something new"])
    failure = outcome.explain(run, 60, has_model=False)
    assert failure is not None
    assert (failure.exit_code, failure.payload["code"]) == (69, "E77777")


def test_a_lost_worker_is_a_lack_of_memory() -> None:
    """ATC survives the kernel's killing of a compiler process and reports something else."""
    run = tool.Run(255, ["EZ9999: Inner Error!"], oom_kills=1)
    failure = outcome.explain(run, 60, has_model=False)
    assert failure is not None
    assert failure.payload["reason"] == "OutOfMemory"
    assert failure.payload["code"] == "EZ9999"


CGROUPS = [
    ("cgroup v2", "memory.events", "low 0\nmax 4\noom 2\noom_kill 2\noom_group_kill 0\n", 2),
    ("cgroup v1", "memory/memory.oom_control", "oom_kill_disable 0\noom_kill 3\n", 3),
    ("no cgroup", "other", "", 0),
]


@pytest.mark.parametrize(("reason", "name", "text", "want"), CGROUPS, ids=[c[0] for c in CGROUPS])
def test_oom_kills_are_counted(
    reason: str, name: str, text: str, want: int, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert tool.count_oom_kills(str(tmp_path)) == want, reason


# --- the compiler -------------------------------------------------------------------------------

INFO = f"cann/{MACHINE}-linux/ascend_toolkit_install.info"
VERSIONS: list[tuple[str, dict[str, str], str]] = [
    (
        "product and component differ",
        {"cann/compiler/version.info": "Version=7.6.0.1.220\nversion_dir=8.0.0\n"},
        "ATC 8.0.0 (compiler 7.6.0.1.220)",
    ),
    (
        "the toolkit's own note names the product",
        {
            INFO: "package_name=Ascend-cann-toolkit\nversion=8.2.RC1\narch=x86_64\n",
            "cann/compiler/version.info": "Version=8.2.0.0.201\n",
        },
        "ATC 8.2.RC1 (compiler 8.2.0.0.201)",
    ),
    ("only the toolkit's note", {INFO: "version=8.5.0\n"}, "ATC 8.5.0"),
    (
        "a simulator says what it is",
        {"cann/version.info": "Version=8.2.RC1 (simulator)\n", INFO: "version=8.2.RC1\n"},
        "ATC 8.2.RC1 (simulator)",
    ),
    ("quotes are no part of it", {"cann/version.info": 'Version="8.3.RC1"\n'}, "ATC 8.3.RC1"),
    ("a file of another form", {"cann/version.info": "\n# nothing\n"}, "ATC unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "files", "want"), VERSIONS, ids=[v[0] for v in VERSIONS])
def test_compiler_version(
    reason: str, files: dict[str, str], want: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "CANN_ROOTS", ())
    (place.cann / "compiler/version.info").unlink()
    for path, text in files.items():
        place.write(path, text)
    assert tool.compiler_version(place.environment, MACHINE) == want, reason


def test_the_version_is_found_beside_atc(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "CANN_ROOTS", ())
    place.install_atc("pass")
    del place.environment["ASCEND_TOOLKIT_HOME"]
    assert tool.compiler_version(place.environment, MACHINE).startswith("ATC 8.2.RC1")


def test_unknown_compilers_are_told_apart(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "CANN_ROOTS", ())
    (place.cann / "compiler/version.info").unlink()
    found = set()
    for body in ("print(1)", "print(2)"):
        place.install_atc(body)
        found.add(tool.compiler_version(place.environment, MACHINE))
    assert len(found) == 2
    assert all(text.startswith("ATC unknown (") for text in found)


def test_the_content_key_depends_on_everything_and_on_no_order() -> None:
    base = {"recipe": 1, "model": "m", "chip": "c", "options": ["--a=1"]}
    key = outcome.content_key(base, "ATC 8")
    assert key == outcome.content_key(dict(reversed(base.items())), "ATC 8")
    others = [{**base, "recipe": 2}, {**base, "model": "n"}, {**base, "chip": "d"}]
    others.append({**base, "options": ["--a=2"]})
    keys = {outcome.content_key(other, "ATC 8") for other in others}
    assert len({key, outcome.content_key(base, "ATC 9")} | keys) == 6


# --- the stub driver library --------------------------------------------------------------------

STUBS: list[tuple[str, dict[str, str], str | None, str | None]] = [
    ("no driver: the stubs are appended", {"stub": ""}, "/image/lib:", "/image/lib:{stubs}"),
    ("no library path before", {"stub": ""}, None, "{stubs}"),
    ("a driver: nothing is touched", {"stub": "", "driver": ""}, "{driver}", "{driver}"),
    ("no stubs either", {}, "/image/lib", "/image/lib"),
]


@pytest.mark.parametrize(("reason", "files", "path", "want"), STUBS, ids=[s[0] for s in STUBS])
def test_library_path(
    reason: str,
    files: dict[str, str],
    path: str | None,
    want: str | None,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tool, "DRIVER_LIBRARIES", ())
    monkeypatch.setattr(tool, "CANN_ROOTS", ())
    places = {
        "stubs": str(place.cann / f"{MACHINE}-linux/devlib"),
        "driver": str(place.root / "driver"),
    }
    if "stub" in files:
        place.write(f"cann/{MACHINE}-linux/devlib/libascend_hal.so", "")
    if "driver" in files:
        place.write("driver/libascend_hal.so", "")
    if path is not None:
        place.environment["LD_LIBRARY_PATH"] = path.format(**places)
    result = tool.atc_environment(place.environment, "/home", MACHINE)
    assert result.get("LD_LIBRARY_PATH") == (want and want.format(**places)), reason
    assert result["USER"] == "resnet"
    assert result["HOME"] == place.environment["HOME"]
