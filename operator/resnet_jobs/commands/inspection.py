"""What `prepare` finds out about a model: the checks in the order of their cost, then its answers.

Weights become a model first; what lies in the file and beside it is read before anything is run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.left_files import check_folder, is_regular
from resnet_jobs.base.progress import say
from resnet_jobs.formats.onnx_file import load_model
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
from resnet_jobs.model.limits import check_outputs, check_size
from resnet_jobs.model.names import compiler_names, rename_inputs
from resnet_jobs.model.opset import OLDEST, ConversionError, convert, opset_of
from resnet_jobs.publisher.defaults import input_shapes
from resnet_jobs.publisher.gather import gather_facts
from resnet_jobs.publisher.handover import read_config, read_facts

if TYPE_CHECKING:
    from resnet_contract.order import JobSpec
    from resnet_jobs.base.workspace import Workspace
    from resnet_jobs.checkpoints.convert import Converted
    from resnet_jobs.model.batch import Read
    from resnet_jobs.model.inspect import Tensor
    from resnet_jobs.publisher.facts import PublisherFacts


@dataclass(frozen=True)
class Inspected:
    """What was found out about the model; `inputs` and `outputs` are its own, `inside` the inputs
    by the names that a compiler is told. `notes` tell of changes to the file, `said` of none.
    """

    model: Any
    opset: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    notes: tuple[str, ...]
    inside: tuple[Tensor, ...]
    facts: PublisherFacts
    said: tuple[str, ...]


def inspect(spec: JobSpec, workspace: Workspace) -> Inspected:
    """The checks in the order of their cost."""
    built = _build_from_weights(spec, workspace)
    if not is_regular(workspace.model):
        raise JobError(Reason.RESULT_LOST, "the fetched model is missing: the Job has to run again")
    if spec.has_export:
        for folder in (workspace.model.parent, workspace.scratch / "export"):
            check_folder(folder, container="export")
    model, merged = load_model(workspace.model)
    facts = gather_facts(workspace.publisher, model, meta=built.meta if built else {})
    if spec.has_export:
        check_export(workspace)
    quantized_model.check_claim(spec, quantized_model.ascend_operators(model))
    notes = list(built.notes if built else ())
    notes += [f"merged the weights of {', '.join(merged)} into the model"] if merged else []
    notes += tidy_domains(model, for_chip=not spec.is_cpu)
    notes += tidy_dimensions(model)
    check_outputs(model, cpu=spec.is_cpu)
    if spec.is_cpu:
        notes += serve_as_floats(model)
    closed, said = input_shapes(model, facts, spec.input_shapes)
    read = partial(read_inputs, shapes={**closed, **spec.input_shapes}, cpu=spec.is_cpu)
    for entry in read(model):
        check_size(entry.tensor)
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
    return Inspected(
        model=model,
        opset=opset,
        inputs=own,
        outputs=tuple(outputs),
        notes=tuple(notes),
        inside=inside,
        facts=facts,
        said=tuple(said),
    )


def _build_from_weights(spec: JobSpec, workspace: Workspace) -> Converted | None:
    """None for a model that comes as ONNX."""
    if not spec.has_weights:
        return None
    from resnet_jobs.checkpoints.convert import convert_weights

    if not is_regular(workspace.fetched):
        raise JobError(
            Reason.RESULT_LOST, "the fetched weights are missing: the Job has to run again"
        )
    return convert_weights(
        spec,
        workspace.fetched,
        workspace.model,
        config=read_config(workspace.hub_config),
        size=read_facts(workspace.publisher)[0].input_size,
    )


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
