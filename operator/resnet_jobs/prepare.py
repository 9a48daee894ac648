"""`python3 -m resnet_jobs prepare`: inspect the model, open its batch, write ATC's command line.

Everything that can be refused is refused here, in seconds, and not by ATC in minutes. Leaves
conf/prepared.json for `publish` and, for a chip, conf/convert.json for the driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_jobs import atc
from resnet_jobs.batch import fixed_batch, needs_opening, open_batch, prove
from resnet_jobs.errors import JobError, Reason
from resnet_jobs.export_check import check_export
from resnet_jobs.files import digest_file
from resnet_jobs.inspect_model import check_opset, read_inputs, tidy_dimensions, tidy_domains
from resnet_jobs.model_file import load_model
from resnet_jobs.progress import say
from resnet_jobs.report import check_fits
from resnet_jobs.workspace import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_jobs.inspect_model import Tensor
    from resnet_jobs.spec import JobSpec
    from resnet_jobs.workspace import Workspace

# Raised by hand when the same order would give another artifact than before.
RECIPE = 1


def prepare(spec: JobSpec, workspace: Workspace) -> dict[str, Any]:
    """Success message: what a client must send and will get."""
    atc.check_precision(spec.precision_mode, chip=spec.chip)
    if not workspace.model.is_file():
        raise JobError(Reason.RESULT_LOST, "the fetched model is missing: the Job has to run again")
    model, merged = load_model(workspace.model)
    if spec.has_export:
        check_export(workspace)
    notes = [f"merged the weights of {', '.join(merged)} into the model"] if merged else []
    notes += tidy_domains(model, for_chip=not spec.is_cpu)
    opset = check_opset(model, chip=spec.chip)
    notes += tidy_dimensions(model)
    inputs = read_inputs(model, spec.input_shapes)
    if needs_opening(inputs, batch_sizes=spec.batch_sizes, cpu=spec.is_cpu):
        notes += open_batch(model, fixed=fixed_batch(inputs) or 1)
        inputs = read_inputs(model, spec.input_shapes)
    say("running the model with ONNX Runtime")
    outputs = prove(model, inputs)
    if notes:
        _save(model, workspace.model)
    for note in notes:
        say(f"note: {note}")
    result = {
        "ok": True,
        "opset": opset,
        "inputs": [entry.tensor.as_json() for entry in inputs],
        "outputs": [tensor.as_json() for tensor in outputs],
        "batchSizes": list(spec.batch_sizes),
        "notes": notes,
    }
    check_fits(result)
    _write_plans(spec, workspace, inputs=[entry.tensor for entry in inputs], result=result)
    return result


def _save(model: Any, path: Path) -> None:
    """Only for a changed model: an untouched file keeps its bytes and so its digest."""
    data = model.SerializeToString(deterministic=True)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise JobError(
            Reason.EPHEMERAL_STORAGE_EXCEEDED,
            "the pod's local disk has no room for the prepared model: free disk space on the node",
            detail=str(error),
        ) from error


def _write_plans(
    spec: JobSpec, workspace: Workspace, *, inputs: list[Tensor], result: dict[str, Any]
) -> None:
    argv: list[str] = []
    if not spec.is_cpu:
        argv = atc.build_argv(
            model=workspace.model,
            output=workspace.compiled_prefix,
            inputs=inputs,
            batch_sizes=spec.batch_sizes,
            chip=spec.chip,
            precision_mode=spec.precision_mode,
            op_select_impl_mode=spec.op_select_impl_mode,
        )
        say("command: " + " ".join(argv))
    content = {
        "recipe": RECIPE,
        "model": digest_file(workspace.model).sha256,
        "chip": spec.chip,
        "options": atc.options_without_paths(argv),
    }
    write_json(workspace.prepared, {**result, "contentInputs": content})
    if argv:
        write_json(workspace.convert_plan, {"argv": argv, "contentInputs": content})
