"""`python3 -m resnet_jobs prepare`: inspect the model, open its batch, write ATC's command line.

Everything that can be refused is refused here, in seconds, and not by ATC in minutes. Leaves
conf/prepared.json for `publish` and, for a chip, conf/convert.json for the driver, with the files
that ATC reads; with quantization also all that AMCT needs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from resnet_contract.report.messages import Prepared
from resnet_jobs.base.errors import JobError, Reason, invalid
from resnet_jobs.base.files import digest_file
from resnet_jobs.base.progress import say
from resnet_jobs.base.report import check_fits
from resnet_jobs.base.workspace import write_json
from resnet_jobs.commands.inspection import Inspected, inspect
from resnet_jobs.formats.om import prepare_om
from resnet_jobs.formats.oneflow import prepare_oneflow
from resnet_jobs.formats.pytorch import prepare_torch
from resnet_jobs.publisher.defaults import of_aipp, of_network
from resnet_jobs.tools import atc
from resnet_jobs.tools.amct import check_order, plan_quantization

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_contract.types import Preprocessing
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.model.inspect import Tensor
    from resnet_jobs.tools.aipp import Aipp
    from resnet_jobs.tools.amct import QuantizationPlan

# Raised by hand when the same order would give another artifact than before.
RECIPE = 1


def prepare(spec: JobSpec, workspace: Workspace) -> dict[str, Any]:
    """Success message: what a client must send and will get."""
    if spec.format == "OneFlow":
        return prepare_oneflow(spec, workspace)
    if spec.compiles_at_load:
        return prepare_torch(spec, workspace)
    check_order(spec)
    atc.check_options(spec)
    if spec.format == "OM":
        return prepare_om(spec, workspace)
    found = inspect(spec, workspace)
    if found.notes or found.inside != found.inputs:
        _save(found.model, workspace.model)
    aipp = _plan_aipp(spec, found)
    inputs = _served_inputs(spec, found, aipp)
    quantization = _plan_quantization(spec, workspace, found, aipp)
    notes = [*found.notes, *found.said, *(quantization.notes if quantization else ())]
    for note in notes:
        say(f"note: {note}")
    result = Prepared(
        opset=found.opset,
        inputs=[tensor.as_json() for tensor in inputs],
        outputs=[tensor.as_json() for tensor in _served_outputs(spec, found)],
        batch_sizes=list(spec.batch_sizes),
        notes=notes,
    ).to_json()
    check_fits(result)
    _write_plans(spec, workspace, found, aipp=aipp, quantization=quantization, result=result)
    return result


def _plan_aipp(spec: JobSpec, found: Inspected) -> Aipp | None:
    if spec.preprocessing is None:
        return None
    from resnet_jobs.tools.aipp import plan_aipp

    return plan_aipp(of_aipp(spec.preprocessing, found.facts), found.inputs)


def _served_inputs(spec: JobSpec, found: Inspected, aipp: Aipp | None) -> Sequence[Tensor]:
    served = list(aipp.inputs if aipp else found.inputs)
    names = [tensor.name for tensor in served]
    for name in () if spec.is_cpu else atc.fp16_inputs(spec):
        if name not in names:
            raise invalid(
                f'spec.conversion.extraArgs --input_fp16_nodes names "{name}"; the model\'s inputs '
                f"are: {', '.join(names)}"
            )
        index = names.index(name)
        if served[index] != found.inputs[index]:
            raise invalid(
                f'spec.conversion.extraArgs --input_fp16_nodes names "{name}", which AIPP makes '
                "UINT8: take it out"
            )
        served[index] = replace(served[index], data_type="FP16")
    return served


def _served_outputs(spec: JobSpec, found: Inspected) -> Sequence[Tensor]:
    """What the chip answers: some of ATC's options change its type or choose other outputs."""
    outputs = found.outputs
    if spec.is_cpu:
        return outputs
    if "--out_nodes" in spec.extra_args:
        from resnet_jobs.model.inspect import Tensor

        declared = spec.declared_outputs
        outputs = tuple(Tensor(entry.name, entry.data_type, entry.dims) for entry in declared)
    if spec.output_type is None:
        return outputs
    return [replace(tensor, data_type=spec.output_type) for tensor in outputs]


def _plan_quantization(
    spec: JobSpec, workspace: Workspace, found: Inspected, aipp: Aipp | None
) -> QuantizationPlan | None:
    if spec.quantization is None:
        return None
    return plan_quantization(
        spec,
        workspace,
        model=found.model,
        inputs=found.inputs,
        inside=found.inside,
        opset=found.opset,
        preprocessing=aipp.preprocessing if aipp else _of_pictures(found),
    )


def _of_pictures(found: Inspected) -> Preprocessing | None:
    """How pictures become the input, where the publisher says it and AIPP does not do it."""
    return of_network(found.facts, found.inputs[0].dims) if len(found.inputs) == 1 else None


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
    spec: JobSpec,
    workspace: Workspace,
    found: Inspected,
    *,
    aipp: Aipp | None,
    quantization: QuantizationPlan | None,
    result: dict[str, Any],
) -> None:
    argv: list[str] = []
    files: list[atc.ConfigFile] = []
    if not spec.is_cpu:
        files = atc.config_files(spec, workspace.conf, aipp=aipp.text if aipp else None)
        argv = atc.build_argv(
            spec,
            model=quantization.model if quantization else workspace.model,
            output=workspace.compiled_prefix,
            inputs=found.inside,
            files=files,
        )
        say("command: " + " ".join(argv))
    content: dict[str, Any] = {
        "recipe": RECIPE,
        "model": digest_file(workspace.model).sha256,
        "chip": spec.chip,
        "options": atc.content_options(argv, files),
        **atc.file_digests(files),
    }
    if quantization:
        content["quantization"] = quantization.content
    if spec.own_means:
        content["means"] = dict(spec.own_means)
    if spec.format != "ONNX":
        content["format"] = spec.format
    write_json(workspace.prepared, {**result, "contentInputs": content})
    for file in files:
        file.path.write_text(file.text, encoding="utf-8")
    if argv:
        write_json(workspace.convert_plan, {"argv": argv, "contentInputs": content})
