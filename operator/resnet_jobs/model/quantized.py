"""A model that AMCT has quantized already (`*_deploy_model.onnx`), as far as it can be known.

Called by `prepare`. ONNX Runtime has no AscendQuant operators, so nothing can be proven by running
the model: its batch stays as it is, and its outputs are what the file declares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import invalid, unsupported
from resnet_jobs.model.batch import fixed_batch
from resnet_jobs.model.inspect import ModelInput, Tensor, element_type, nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resnet_contract.order import JobSpec
    from resnet_contract.types import DeclaredTensor

PREFIX = "Ascend"  # AscendQuant, AscendDequant, AscendAntiQuant and their kin


def ascend_operators(model: Any) -> list[str]:
    """The types of the operators that only AMCT writes."""
    kinds = {node.op_type for node in nodes(model.graph)}
    return sorted(kind for kind in kinds if kind.startswith(PREFIX))


def check_claim(spec: JobSpec, found: Sequence[str]) -> None:
    """spec.model.quantized and the file must say the same."""
    if found and not spec.quantized:
        remove = " and remove spec.conversion.quantization" if spec.quantization else ""
        raise unsupported(
            f"the model has {found[0]} operators: AMCT has quantized it already; set "
            f"spec.model.quantized: true{remove}"
        )
    if spec.quantized and not found:
        raise invalid(
            "spec.model.quantized is true, but the model has no AscendQuant operators: bring "
            "AMCT's *_deploy_model.onnx, or remove the field"
        )


def check_batch(spec: JobSpec, inputs: Sequence[ModelInput]) -> None:
    """Another batch than the file's could not be proven right."""
    fixed = fixed_batch(inputs)
    if fixed is not None and spec.batch_sizes != (fixed,):
        raise invalid(
            f"spec.conversion.batchSizes {list(spec.batch_sizes)}: the quantized model has batch "
            f"{fixed}, and its operators cannot be run here to prove another: write [{fixed}], or "
            "quantize it again with an open batch"
        )


def read_outputs(model: Any, declared: Sequence[DeclaredTensor]) -> list[Tensor]:
    """The outputs by the file's own shapes; spec.model.outputs fills in what it leaves open."""
    by_name = {entry.name: entry for entry in declared}
    return [_read_output(value, by_name.get(value.name)) for value in model.graph.output]


def _read_output(value: Any, declared: DeclaredTensor | None) -> Tensor:
    data_type = element_type(value)
    dims = [int(dim.dim_value) for dim in value.type.tensor_type.shape.dim][1:]
    known = value.type.tensor_type.HasField("shape") and all(dim > 0 for dim in dims)
    if declared is not None:
        wanted = list(declared.dims)
        differs = known and wanted != dims
        if differs or declared.data_type != data_type:
            raise invalid(
                f'spec.model.outputs "{value.name}" says {declared.data_type} {wanted}, the model '
                f"has {data_type} {dims if known else 'of an open shape'}: correct it"
            )
        return Tensor(value.name, data_type, declared.dims)
    if not known:
        raise invalid(
            f'output "{value.name}" leaves its shape open, and a quantized model cannot be run '
            "here to find it: write it into spec.model.outputs"
        )
    return Tensor(value.name, data_type, tuple(dims))
