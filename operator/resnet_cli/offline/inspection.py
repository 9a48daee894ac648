"""The Job's own inspection of a model file: what `prepare` says, and the compilers' lines."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.offline.order import Order
from resnet_contract.words import ModelFormat
from resnet_operator.names import canonical_json
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.conversion import job_spec

NEEDS = "install the package with what inspects models: pipx install 'resnet-operator[cli]'"
# Where things lie in the Job's pod.
JOB = Path("/scratch")
DEPLOYED = "quant/model_deploy_model.onnx"
SHAPES = "--input_shape="
# What no laptop can inspect without the Job's other containers.
ELSEWHERE = {
    ModelFormat.PYTORCH: "PyTorch weights are exported by an image with torch, in the Job",
    ModelFormat.TORCH_SCRIPT: "TorchScript is exported by an image with torch, in the Job",
    ModelFormat.OM: "an OM is read by the Job's convert container",
    ModelFormat.ONEFLOW: "a OneFlow graph is a folder, which the Job packs",
}


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """`refusal` is the sentence of the condition that the object would get; files by name."""

    said: dict[str, Any]
    refusal: str = ""
    reason: str = ""
    atc: tuple[str, ...] = ()
    amct: tuple[str, ...] = ()
    files: dict[str, str]
    sha256: str = ""
    size: int = 0


def inspect(order: Order, model: Path) -> Inspection:
    """Inspect a model as the Job does; raises CliError when that cannot be done here."""
    with prepared(order, model) as (_, found):
        return found


@contextmanager
def prepared(
    order: Order, model: Path, calibration: Path | None = None
) -> Iterator[tuple[Path, Inspection]]:
    """Give the folder that `prepare` has filled, as long as it is needed.

    With the pictures of the calibration that is for AMCT too; without them for ATC alone.
    """
    resolved = order.decided
    if why := ELSEWHERE.get(resolved.format):
        raise CliError(f"{model} is not inspected here: {why}", Exit.MISSING_HERE)
    if not model.is_file():
        raise CliError(f"{model}: there is no such file", Exit.BAD_FILE)
    try:
        from resnet_contract.order import parse_job
        from resnet_jobs.base.errors import JobError
        from resnet_jobs.base.workspace import Workspace, install_driver
        from resnet_jobs.commands.prepare import prepare
    except ImportError as error:
        raise CliError(f"{error}; {NEEDS}", Exit.MISSING_HERE) from error
    with tempfile.TemporaryDirectory(prefix="kubectl-resnet-") as folder:
        place = Workspace(scratch=Path(folder) / "scratch", source=Path(folder) / "source")
        install_driver(place)
        _bring(model, place.model)
        if calibration is not None:
            _bring_set(calibration, place.calibration)
        text = canonical_json(
            job_spec(
                namespace=order.meta.namespace,
                resolved=order.decided if calibration else _plain(order),
                settings=order.settings,
            )
        )
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        about: dict[str, Any] = {"sha256": digest, "size": model.stat().st_size}
        if resolved.spec.model.sha256 not in {None, digest}:
            mismatch = f"{model} has the sha256 {digest}; correct spec.model.sha256"
            yield (
                place.scratch,
                Inspection(said={}, refusal=mismatch, reason="ChecksumMismatch", files={}, **about),
            )
            return
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                said = prepare(parse_job(text), place)
        except JobError as error:
            yield (
                place.scratch,
                Inspection(
                    said={}, refusal=error.message, reason=str(error.reason), files={}, **about
                ),
            )
            return
        except ImportError as error:
            raise CliError(f"{error}; {NEEDS}", Exit.MISSING_HERE) from error
        yield (
            place.scratch,
            Inspection(
                said=said,
                atc=tuple(_as_in_the_job(_atc(place.convert_plan), place.scratch, order)),
                amct=tuple(amct_line(order, _atc(place.convert_plan))),
                files=_files(place.conf) | _quant_cfg(order),
                **about,
            ),
        )


def _plain(order: Order) -> Any:
    """Leave the calibration out: its pictures are fetched by the Job alone."""
    from dataclasses import replace

    resolved = order.decided
    conversion = resolved.spec.conversion
    if conversion is None or conversion.quantization is None:
        return resolved
    without = conversion.model_copy(update={"quantization": None})
    spec = resolved.spec.model_copy(update={"conversion": without})
    return replace(resolved, spec=spec)


def _bring(model: Path, to: Path) -> None:
    """Copy the model, and the weights that lie beside it."""
    shutil.copyfile(model, to)
    for path in model.parent.iterdir():
        beside = path.name.startswith(model.stem) or path.suffix in {".data", ".bin", ".weight"}
        if path.is_file() and path != model and beside and path.suffix != ".onnx":
            shutil.copyfile(path, to.parent / path.name)


def _bring_set(source: Path, to: Path) -> None:
    """Lay a set out as `fetch` does: a folder as it is, an archive unpacked, a file beside none."""
    from resnet_jobs.base.archive import is_archive, unpack
    from resnet_jobs.base.errors import JobError

    try:
        if source.is_dir():
            shutil.copytree(source, to, dirs_exist_ok=True)
        elif is_archive(source.name):
            with contextlib.redirect_stdout(io.StringIO()):
                unpack(source, to, name=source.name, monotonic=time.monotonic)
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, to / source.name)
    except JobError as error:
        raise CliError(f"{source}: {error.message}", Exit.BAD_FILE) from error
    except OSError as error:
        raise CliError(f"{source}: {error.strerror or error}", Exit.BAD_FILE) from error


def _as_in_the_job(argv: list[str], scratch: Path, order: Order) -> list[str]:
    """Return a command line with the Job's paths; ATC compiles what AMCT has written."""
    line = [word.replace(str(scratch), str(JOB)) for word in argv]
    if order.decided.amct_image is None:
        return line
    return [f"--model={JOB}/{DEPLOYED}" if w.startswith("--model=") else w for w in line]


def amct_line(order: Order, atc: list[str]) -> list[str]:
    """Return the line of amct_onnx, for the inputs that ATC is told of."""
    wish = _quantization(order)
    if wish is None:
        return []
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.model.inspect import Tensor
    from resnet_jobs.tools.amct import build_argv
    from resnet_jobs.tools.calibration import CalibrationSet, folder_name

    place = Workspace(scratch=JOB, source=Path("/source"))
    (shapes,) = [word.removeprefix(SHAPES) for word in atc if word.startswith(SHAPES)]
    pairs = [entry.rpartition(":") for entry in shapes.split(";")]
    sizes = [[int(number) for number in dims.split(",")] for _, _, dims in pairs]
    inputs = [
        Tensor(name, "FP32", tuple(dims[1:]))
        for (name, _, _), dims in zip(pairs, sizes, strict=True)
    ]
    folders = [place.calib_bins / folder_name(one.name, at) for at, one in enumerate(inputs)]
    calibration = CalibrationSet(
        folders=tuple(folders),
        data_types=("float32",) * len(inputs),
        batch=sizes[0][0],
        batches=wish.calibration.batches,
        sha256="",
    )
    return build_argv(place, inputs, calibration)


def _quantization(order: Order) -> Any:
    """Return what the Job's order says of the quantization; None without one."""
    if order.decided.amct_image is None:
        return None
    from resnet_contract.order import parse_job

    told = job_spec(namespace=order.meta.namespace, resolved=order.decided, settings=order.settings)
    return parse_job(canonical_json(told)).quantization


def _quant_cfg(order: Order) -> dict[str, str]:
    wish = _quantization(order)
    if wish is None:
        return {}
    from resnet_jobs.tools.amct import config_text

    return {"quant.cfg": config_text(wish)}


def _atc(plan: Path) -> list[str]:
    if not plan.is_file():
        return []
    argv: list[str] = json.loads(plan.read_text())["argv"]
    return argv


def _files(conf: Path) -> dict[str, str]:
    """Return what ATC reads beside the model, by the file's name."""
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted(conf.iterdir())
        if path.is_file() and path.suffix != ".json"
    }


def artifact_of(order: Order, found: Inspection) -> Artifact:
    """Return an artifact as the Job would report it; its digest is not known before ATC ran."""
    resolved = order.decided
    is_om = resolved.converter_image is not None
    convert = {"compiler": "ATC", "argv": list(found.atc)} if is_om else {}
    messages = {
        "fetch": {"sha256": found.sha256, "sizeBytes": found.size},
        "prepare": found.said,
        "convert": convert,
        "publish": {
            "contentKey": found.sha256,
            "sha256": found.sha256,
            "sizeBytes": found.size,
            "file": "model.om" if is_om else "model.onnx",
            "origin": "Converted",
        },
    }
    return Artifact.from_messages(messages, chip=resolved.chip)
