"""`convert`: the Job's conversion by a container engine of this machine, or the lines for it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.offline.inspection import JOB, prepared
from resnet_cli.offline.order import Order, read_orders, read_settings
from resnet_cli.show import Output, Screen
from resnet_operator.names import canonical_json
from resnet_operator.render.conversion import job_spec

ENGINES = ("docker", "podman", "nerdctl")


@dataclass(frozen=True)
class Step:
    """One script of the Job's driver, in an image; `image` None is still to be named."""

    script: str
    folder: str
    image: str | None


def convert(
    screen: Screen,
    *,
    file: str,
    model: str,
    out: Path,
    image: str | None,
    settings: str | None,
    calibration: Path | None = None,
    output: Output = Output.TEXT,
    find_engine: Callable[[str], str | None] = shutil.which,
    run: Callable[[Sequence[str]], int] = subprocess.call,
) -> Exit:
    """Prepare the model in `out`, then convert it there; without an engine print how."""
    orders = read_orders(file, settings=read_settings(settings), namespace="default")
    if len(orders) > 1:
        raise CliError(f"{file} has several objects; --model is of one", Exit.USAGE)
    order = orders[0]
    _check(order, calibration)
    with prepared(order, Path(model), calibration) as (scratch, found):
        if found.refusal:
            raise CliError(f"{found.reason}: {found.refusal}", Exit.NOT_WELL)
        shutil.copytree(scratch, out, dirs_exist_ok=True)
    for plan in (out / "conf").glob("*.json"):
        plan.write_text(plan.read_text().replace(str(scratch), str(JOB)))
    steps = steps_of(order, image)
    engine = next((one for name in ENGINES if (one := find_engine(name))), None)
    lines = [command(engine or ENGINES[0], order, out, step) for step in steps]
    here = [line for line in (found.amct, found.atc) if line]
    answer = {
        "folder": str(out),
        "artifact": str(out / "out" / "model.om"),
        "engine": engine,
        "containers": lines,
        "commands": [[word.replace(str(JOB), str(out.absolute())) for word in one] for one in here],
    }
    if engine is None or not all(step.image for step in steps):
        _print_how(screen, answer, output)
        return Exit.MISSING_HERE
    for step, line in zip(steps, lines, strict=True):
        (out / step.folder).mkdir(exist_ok=True)
        if code := run(line):
            raise CliError(
                f"{step.script} ended with status {code}; its log is above", Exit.NOT_WELL
            )
    screen.result(str(answer["artifact"]), answer, output)
    return Exit.DONE


def _check(order: Order, calibration: Path | None) -> None:
    resolved = order.decided
    if resolved.converter_image is None:
        raise CliError(f"{order.meta.name} is served as it is: nothing converts it", Exit.NOT_WELL)
    if resolved.amct_image is not None and calibration is None:
        raise CliError(
            "quantization needs the calibration's pictures: give the folder or the archive by "
            "--calibration",
            Exit.USAGE,
        )
    if resolved.amct_image is None and calibration is not None:
        raise CliError(
            f"{order.meta.name} has no conversion.quantization: leave --calibration out", Exit.USAGE
        )


def steps_of(order: Order, image: str | None) -> list[Step]:
    """Return what the Job would run of the driver: AMCT where it quantizes, then ATC."""
    conversion = order.decided.spec.conversion
    quantization = conversion.quantization if conversion else None
    own = image or (conversion.image if conversion else None)
    steps = [Step("convert.py", "work", own)]
    if quantization is not None:
        steps.insert(0, Step("quantize.py", "quant", image or quantization.image))
    return steps


def _print_how(screen: Screen, answer: dict[str, Any], output: Output) -> None:
    if output is not Output.TEXT:
        screen.data(answer, output)
        return
    missing = "no container engine is installed here"
    screen.line(missing if answer["engine"] is None else "name an --image")
    screen.line("in a container of CANN:", whole=True)
    for line in answer["containers"]:
        screen.line(shlex.join(line), whole=True)
    screen.line("or where CANN is installed:", whole=True)
    for line in answer["commands"]:
        screen.line(shlex.join(line), whole=True)


def command(engine: str, order: Order, out: Path, step: Step) -> list[str]:
    """Return the line that runs the Job's own driver over a folder of this machine."""
    told = canonical_json(
        job_spec(namespace=order.meta.namespace, resolved=order.decided, settings=order.settings)
    )
    return [
        *(engine, "run", "--rm", "--volume", f"{out.absolute()}:{JOB}"),
        *("--env", f"RESNET_JOB={told}", "--env", "HOME=/tmp/home"),
        *("--workdir", f"{JOB}/{step.folder}", "--env", "RESNET_TERMINATION_LOG=/tmp/message"),
        *(step.image or "CANN-IMAGE", "python3", "-s", f"{JOB}/driver/{step.script}"),
    ]
