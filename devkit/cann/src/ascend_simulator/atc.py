"""The simulated `atc`: what bin/atc.bin runs. Prints, exits and leaves files as the real one does.

Everything goes to stdout, errors too; status 0 or 255 (facts on ATC, sections 1.1 to 1.4).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ascend_simulator import modes, om
from ascend_simulator.errors import GENERATIONS, AtcError, format_block
from ascend_simulator.flags import DEFAULTS, UnknownOptionError, check_each, parse
from ascend_simulator.order import Order, make_order
from ascend_simulator.version import PRODUCT_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUCCESS, FAILED = 0, 255
USAGE = f"""ATC {PRODUCT_VERSION}: this is a simulator of Huawei's ATC; its .om files run on no NPU.
For example: atc --framework=5 --model=net.onnx --output=net --soc_version=Ascend310P3
devkit/cann/README.md says which options there are.
"""


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    if any(argument in {"-h", "--help", "-help"} for argument in arguments):
        print(USAGE)
        return SUCCESS
    print("ATC start working now, please wait for a moment.", flush=True)
    # The real one does not print this line: nobody shall take the result for the real thing.
    print(f"[CANN simulator] ATC {PRODUCT_VERSION}: no real .om is made.", flush=True)
    wanted = environment.get("ASCEND_SIMULATOR_GENERATION", "8.0")
    generation = GENERATIONS.get(wanted, wanted)
    try:
        flags = {**DEFAULTS, **parse(list(arguments))}
        check_each(flags)
        if flags["mode"] == "6":
            modes.display(flags.get("om", ""))
        elif flags["mode"] == "1":
            modes.write_json(flags)
        elif flags["mode"] == "3":
            modes.check_only(flags)
        else:
            _generate(flags, arguments, environment)
    except UnknownOptionError as error:
        print(f"atc.bin: unrecognized option '{error}'")
        print(_failure())
        return FAILED
    except AtcError as error:
        print("...")
        print(_failure())
        print(format_block(error, generation), flush=True)
        return FAILED
    print("ATC run success, welcome to the next use.", flush=True)
    return SUCCESS


def _failure() -> str:
    return "ATC run failed, Please check the detail log, Try 'atc --help' for more information"


def _generate(
    flags: Mapping[str, str], arguments: Sequence[str], environment: Mapping[str, str]
) -> None:
    # Only known at run time on real hardware: custom host operators make ATC add the suffix.
    host_code = bool(environment.get("SIMULATED_ATC_HOST_CODE"))
    order = make_order(flags, host_code=host_code, home=environment.get("HOME", "/"))
    _leave_traces(flags, order, environment)
    from ascend_simulator.compiler import compile_order  # heavy: not for a refused command line

    started = time.monotonic()
    header, graph = compile_order(order, " ".join(arguments))
    print("." * (3 + int(time.monotonic() - started)), flush=True)
    suffix = f"_linux_{order.host_code}" if order.host_code else ""
    target = order.output.with_name(f"{order.output.name}{suffix}.om")
    try:
        om.write(target, header, graph)
    except OSError as error:
        raise AtcError("E13004", target, error.strerror) from error
    if flags.get("display_model_info") == "1":
        print(om.describe(header, prefix=f"{sys.argv[0]} "))


def _leave_traces(flags: Mapping[str, str], order: Order, environment: Mapping[str, str]) -> None:
    """What ATC writes beside the model: it needs a writable working directory and a home."""
    work_path = environment.get("ASCEND_WORK_PATH")
    report = Path(work_path, "FE", str(os.getpid())) if work_path else Path()
    kernels = Path(flags.get("debug_dir") or environment.get("ASCEND_WORK_PATH") or "")
    try:
        report.mkdir(parents=True, exist_ok=True)
        (report / "fusion_result.json").write_text(
            json.dumps([{"session_and_graph_id_0_0": {"graph_fusion": {}, "ub_fusion": {}}}])
        )
        (kernels / "kernel_meta").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AtcError("E13004", error.filename, error.strerror) from error
    if flags["log"] != "null":
        _write_log(environment, f"[{flags['log'].upper()}] GE({os.getpid()},atc.bin): {order}")


def _write_log(environment: Mapping[str, str], line: str) -> None:
    """$ASCEND_PROCESS_LOG_PATH or $HOME/ascend/log; like the real one, silent when it cannot.
    ASCEND_SLOG_PRINT_TO_STDOUT=1 prints it instead."""
    if environment.get("ASCEND_SLOG_PRINT_TO_STDOUT") == "1":
        print(line)
        return
    home = environment.get("HOME", "/")
    place = environment.get("ASCEND_PROCESS_LOG_PATH") or f"{home}/ascend/log"
    try:
        folder = Path(place) / "debug" / "plog"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"plog-{os.getpid()}_{time.time_ns()}.log").write_text(f"{line}\n")
    except OSError:
        pass
