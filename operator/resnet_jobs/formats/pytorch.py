"""`prepare` for runtime TorchAIE: weights or TorchScript, served as they came.

The serving pod compiles them, so nothing here needs torch. What can be told without it is told
here, before a chip is taken: another kind of file, and weights of another network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_contract.foreign.kinds import HEAD_BYTES, SAFETENSORS, kind_of
from resnet_contract.report.messages import Prepared
from resnet_contract.words import DEFAULT_CLASSES
from resnet_jobs.base.errors import JobError, Reason, invalid, unsupported
from resnet_jobs.base.files import digest_file
from resnet_jobs.base.progress import say
from resnet_jobs.base.report import check_fits as check_message
from resnet_jobs.base.workspace import write_json
from resnet_jobs.driver.checkpoint import PLANS, MisfitError, check_fits, strip_prefix, weights_of
from resnet_jobs.driver.export_inputs import PICTURE
from resnet_jobs.driver.saved.names import Tensor as Saved
from resnet_jobs.driver.saved.torch_file import TORCH_SCRIPT, open_checkpoint, read_kind
from resnet_jobs.formats.network_shapes import network_shapes

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_contract.types import PyTorch
    from resnet_jobs.base.workspace import Workspace

# Raised by hand when the same order would give another artifact than before.
RECIPE = 1
Tensor = dict[str, Any]


def prepare_torch(spec: JobSpec, workspace: Workspace) -> dict[str, Any]:
    """Success message; leaves conf/prepared.json for `publish`."""
    if not workspace.fetched.is_file():
        raise JobError(Reason.RESULT_LOST, "the fetched model is missing: the Job has to run again")
    _check_file(spec, workspace.fetched)
    contract: dict[str, Any] = {"inputs": _inputs(spec), "outputs": _outputs(spec)}
    content = {
        "recipe": RECIPE,
        "model": digest_file(workspace.fetched).sha256,
        "chip": spec.chip,
        "options": [],
        "format": spec.format,
        "runtime": spec.runtime,
        "declared": contract,
    }
    result = Prepared(**contract, batch_sizes=list(spec.batch_sizes), notes=[]).to_json()
    check_message(result)
    write_json(workspace.prepared, {**result, "contentInputs": content})
    return result


def _check_file(spec: JobSpec, path: Path) -> None:
    _refuse_safetensors(path)
    try:
        is_script = read_kind(str(path)) == TORCH_SCRIPT
        if spec.pytorch is None:
            if not is_script:
                raise MisfitError(
                    "the file is no TorchScript but a checkpoint: write spec.model.format: "
                    "PyTorch, and the network in spec.model.pytorch",
                    field=True,
                )
            return
        if is_script:
            raise MisfitError(
                "the file is TorchScript, not weights: write spec.model.format: TorchScript",
                field=True,
            )
        _check_weights(spec.pytorch, path)
    except MisfitError as error:
        raise JobError(Reason(error.reason), str(error)) from error


def _refuse_safetensors(path: Path) -> None:
    with path.open("rb") as file:
        if kind_of(file.read(HEAD_BYTES), [SAFETENSORS]):
            raise unsupported(
                "the file is safetensors, and serving.runtime TorchAIE loads what torch.save "
                "wrote: remove serving.runtime to have it converted with ATC, or write it by "
                "torch.save(safetensors.torch.load_file(path), new_path)"
            )


def _check_weights(asked: PyTorch, path: Path) -> None:
    checkpoint = open_checkpoint(str(path))
    weights = weights_of(
        checkpoint.root, asked.checkpoint_key, lambda value: isinstance(value, Saved)
    )
    weights = strip_prefix(weights, asked.strip_prefix)
    for value in weights.values():
        checkpoint.check(value)
    architecture, classes = asked.architecture or "", asked.classes or DEFAULT_CLASSES
    want = network_shapes(PLANS[architecture], classes)
    check_fits({name: value.shape for name, value in weights.items()}, want, architecture)
    say(f"{len(weights)} tensors, as {architecture} with {classes} classes has them")


def _inputs(spec: JobSpec) -> list[Tensor]:
    declared = [(one.name, one.data_type, one.dims) for one in spec.declared_inputs]
    shapes = [(name, "FP32", dims) for name, dims in spec.input_shapes.items()]
    found = declared or shapes
    if spec.pytorch is not None:
        found = found or [("input", "FP32", PICTURE)]
        if len(found) > 1 or len(found[0][2]) != 3 or found[0][2][0] != 3:
            raise invalid(
                "spec.model.inputs: a ResNet takes one picture of three channels; write for "
                "example [{name: input, dataType: FP32, dims: [3, 224, 224]}]"
            )
    if not found:
        raise invalid(
            "TorchScript does not tell how large its input is: write spec.model.inputs, for "
            "example [{name: input, dataType: FP32, dims: [3, 224, 224]}]"
        )
    return [_tensor(*one, field="inputs") for one in found]


def _outputs(spec: JobSpec) -> list[Tensor]:
    declared = [(one.name, one.data_type, one.dims) for one in spec.declared_outputs]
    if spec.pytorch is not None:
        scores = (spec.pytorch.classes or DEFAULT_CLASSES,)
        declared = declared or [("output", "FP32", scores)]
        if len(declared) > 1 or declared[0][2] != scores:
            raise invalid(
                f"spec.model.outputs: this ResNet has one output of {list(scores)}; correct it, or "
                "spec.model.pytorch.classes"
            )
    if not declared:
        raise invalid(
            "TorchScript does not tell what it answers: write spec.model.outputs, for example "
            "[{name: output, dataType: FP32, dims: [1000]}]"
        )
    return [_tensor(*one, field="outputs") for one in declared]


def _tensor(name: str, data_type: str, dims: tuple[int, ...], *, field: str) -> Tensor:
    if data_type != "FP32":
        raise invalid(
            f'spec.model.{field} "{name}" is {data_type}: TorchAIE is served in FP32, so write that'
        )
    return {"name": name, "dataType": data_type, "dims": list(dims)}
