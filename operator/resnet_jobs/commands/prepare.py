"""`python3 -m resnet_jobs prepare`: inspect the model, open its batch, write ATC's command line.

Everything that can be refused is refused here, in seconds, and not by ATC in minutes. Leaves
conf/prepared.json for `publish` and, for a chip, conf/convert.json for the driver, with the files
that ATC reads; with quantization also all that AMCT needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason, invalid
from resnet_jobs.base.files import digest_file
from resnet_jobs.base.left_files import check_folder, is_regular
from resnet_jobs.base.progress import say
from resnet_jobs.base.report import check_fits
from resnet_jobs.base.workspace import write_json
from resnet_jobs.formats.om import prepare_om
from resnet_jobs.formats.oneflow import prepare_oneflow
from resnet_jobs.formats.onnx_file import load_model
from resnet_jobs.formats.pytorch import prepare_torch
from resnet_jobs.model import quantized as quantized_model
from resnet_jobs.model.batch import answers, settle_batch
from resnet_jobs.model.bfloat import serve_as_floats
from resnet_jobs.model.export_check import check_export
from resnet_jobs.model.inspect import (
    check_opset,
    read_inputs,
    reads_opset,
    tidy_dimensions,
    tidy_domains,
)
from resnet_jobs.model.names import compiler_names, rename_inputs
from resnet_jobs.model.opset import OLDEST, ConversionError, convert, opset_of
from resnet_jobs.publisher.gather import gather_facts
from resnet_jobs.tools import atc
from resnet_jobs.tools.amct import check_order, plan_quantization

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.checkpoints.convert import Converted
    from resnet_jobs.model.batch import Read
    from resnet_jobs.model.inspect import Tensor
    from resnet_jobs.tools.aipp import Aipp
    from resnet_jobs.tools.amct import QuantizationPlan

# Raised by hand when the same order would give another artifact than before.
RECIPE = 1


@dataclass(frozen=True)
class Inspected:
    """What was found out about the model; `inputs` and `outputs` are its own, `inside` the inputs
    by the names that a compiler is told.
    """

    model: Any
    opset: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    notes: tuple[str, ...]
    inside: tuple[Tensor, ...]


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
    found = _inspect(spec, workspace)
    if found.notes or found.inside != found.inputs:
        _save(found.model, workspace.model)
    aipp = _plan_aipp(spec, found)
    inputs = _served_inputs(spec, found, aipp)
    quantization = _plan_quantization(spec, workspace, found, aipp)
    notes = [*found.notes, *(quantization.notes if quantization else ())]
    for note in notes:
        say(f"note: {note}")
    result = {
        "ok": True,
        "opset": found.opset,
        "inputs": [tensor.as_json() for tensor in inputs],
        "outputs": [tensor.as_json() for tensor in _served_outputs(spec, found)],
        "batchSizes": list(spec.batch_sizes),
        "notes": notes,
    }
    check_fits(result)
    _write_plans(spec, workspace, found, aipp=aipp, quantization=quantization, result=result)
    return result


def _inspect(spec: JobSpec, workspace: Workspace) -> Inspected:
    """The checks in the order of their cost."""
    built = _build_from_weights(spec, workspace)
    if not is_regular(workspace.model):
        raise JobError(Reason.RESULT_LOST, "the fetched model is missing: the Job has to run again")
    if spec.has_export:
        for folder in (workspace.model.parent, workspace.scratch / "export"):
            check_folder(folder, container="export")
    model, merged = load_model(workspace.model)
    gather_facts(workspace.publisher, model, meta=built.meta if built else {})
    if spec.has_export:
        check_export(workspace)
    quantized_model.check_claim(spec, quantized_model.ascend_operators(model))
    notes = list(built.notes if built else ())
    notes += [f"merged the weights of {', '.join(merged)} into the model"] if merged else []
    notes += tidy_domains(model, for_chip=not spec.is_cpu)
    notes += tidy_dimensions(model)
    if spec.is_cpu:
        notes += serve_as_floats(model)
    read = partial(read_inputs, shapes=spec.input_shapes, cpu=spec.is_cpu)
    if spec.quantized:
        opset, inputs = check_opset(model, chip=spec.chip, quantized=True), read(model)
        quantized_model.check_batch(spec, inputs)
        outputs = quantized_model.read_outputs(model, spec.declared_outputs)
    else:
        model, opset, converted = _at_readable_opset(spec, model, read)
        say("running the model with ONNX Runtime")
        proven = settle_batch(model, batch_sizes=spec.batch_sizes, cpu=spec.is_cpu, read=read)
        model, inputs, outputs = proven.model, list(proven.inputs), proven.outputs
        notes += [*converted, *proven.notes]
    own = tuple(entry.tensor for entry in inputs)
    inside = _rename_for_compilers(spec, model, own)
    return Inspected(model, opset, own, tuple(outputs), tuple(notes), inside)


def _build_from_weights(spec: JobSpec, workspace: Workspace) -> Converted | None:
    """None for a model that comes as ONNX."""
    if not spec.has_weights:
        return None
    from resnet_jobs.checkpoints.convert import convert_weights

    if not is_regular(workspace.fetched):
        raise JobError(
            Reason.RESULT_LOST, "the fetched weights are missing: the Job has to run again"
        )
    return convert_weights(spec, workspace.fetched, workspace.model)


def _at_readable_opset(spec: JobSpec, model: Any, read: Read) -> tuple[Any, int, list[str]]:
    """(model, opset, notes): converted where ATC or AMCT would not read it as it is."""
    by_amct, old = spec.quantization is not None, opset_of(model)
    if old < OLDEST or reads_opset(old, chip=spec.chip, quantized=by_amct):
        return model, check_opset(model, chip=spec.chip, quantized=by_amct), []
    inputs = read(model)
    say(f"converting the model from opset {old}")
    try:
        converted = convert(model, inputs, answers=answers)
    except ConversionError as error:
        check_opset(model, chip=spec.chip, quantized=by_amct, tried=str(error))
        raise
    new = check_opset(converted, chip=spec.chip, quantized=by_amct)
    note = f"converted the model from opset {old} to {new}; ONNX Runtime gives the same answers"
    return converted, new, [note]


def _rename_for_compilers(
    spec: JobSpec, model: Any, inputs: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """The inputs as they are called inside the file, where a compiler can be told of them."""
    if spec.is_cpu:
        return inputs
    names = [tensor.name for tensor in inputs]
    renamed = compiler_names(model, names, for_amct=spec.quantization is not None)
    rename_inputs(model, renamed)
    return tuple(replace(one, name=renamed.get(one.name, one.name)) for one in inputs)


def _plan_aipp(spec: JobSpec, found: Inspected) -> Aipp | None:
    if spec.preprocessing is None:
        return None
    from resnet_jobs.tools.aipp import plan_aipp

    return plan_aipp(spec.preprocessing, found.inputs)


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
        preprocessing=aipp.preprocessing if aipp else None,
    )


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
