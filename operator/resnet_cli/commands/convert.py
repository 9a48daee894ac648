"""`convert`: the Job's conversion by a container engine of this machine, or the lines for it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from resnet_cli.exits import CliError, Exit
from resnet_cli.offline.inspection import JOB, prepared
from resnet_cli.offline.order import Order, read_orders, read_settings
from resnet_cli.show import Screen
from resnet_operator.names import canonical_json
from resnet_operator.render.conversion import job_spec

ENGINES = ("docker", "podman", "nerdctl")


def convert(
    screen: Screen,
    *,
    file: str,
    model: str,
    out: Path,
    image: str | None,
    settings: str | None,
    find_engine: Callable[[str], str | None] = shutil.which,
    run: Callable[[Sequence[str]], int] = subprocess.call,
) -> Exit:
    """Prepare the model in `out`, then convert it there; without an engine print how."""
    orders = read_orders(file, settings=read_settings(settings), namespace="default")
    if len(orders) > 1:
        raise CliError(f"{file} has several objects; --model is of one", Exit.USAGE)
    order = orders[0]
    resolved = order.decided
    if resolved.converter_image is None:
        raise CliError(f"{order.meta.name} is served as it is: nothing converts it", Exit.NOT_WELL)
    if resolved.amct_image is not None:
        raise CliError(
            "quantization needs the calibration's pictures, which only the Job fetches; see: "
            "kubectl resnet check --model",
            Exit.MISSING_HERE,
        )
    with prepared(order, Path(model)) as (scratch, found):
        if found.refusal:
            raise CliError(f"{found.reason}: {found.refusal}", Exit.NOT_WELL)
        shutil.copytree(scratch, out, dirs_exist_ok=True)
    plan = out / "conf" / "convert.json"
    plan.write_text(plan.read_text().replace(str(scratch), str(JOB)))
    engine = next((one for name in ENGINES if (one := find_engine(name))), None)
    wanted = image or _image(order)
    line = command(engine or ENGINES[0], order, out, wanted or "CANN-IMAGE")
    if engine is None or wanted is None:
        screen.line(
            "no container engine is installed here" if engine is None else "name an --image"
        )
        screen.line("in a container of CANN:", whole=True)
        screen.line(shlex.join(line), whole=True)
        screen.line("or where CANN is installed:", whole=True)
        here = [word.replace(str(JOB), str(out.absolute())) for word in found.atc]
        screen.line(shlex.join(here), whole=True)
        return Exit.MISSING_HERE
    if code := run(line):
        raise CliError(f"the conversion ended with status {code}; its log is above", Exit.NOT_WELL)
    screen.line(f"{out / 'out' / 'model.om'}")
    return Exit.DONE


def _image(order: Order) -> str | None:
    conversion = order.decided.spec.conversion
    return conversion.image if conversion else None


def command(engine: str, order: Order, out: Path, image: str) -> list[str]:
    """Return the line that runs the Job's own driver over a folder of this machine."""
    told = canonical_json(
        job_spec(namespace=order.meta.namespace, resolved=order.decided, settings=order.settings)
    )
    return [
        *(engine, "run", "--rm", "--volume", f"{out.absolute()}:{JOB}"),
        *("--env", f"RESNET_JOB={told}", "--env", "HOME=/tmp/home", "--workdir", f"{JOB}/work"),
        *("--env", "RESNET_TERMINATION_LOG=/tmp/message", image),
        *("python3", "-s", f"{JOB}/driver/convert.py"),
    ]
