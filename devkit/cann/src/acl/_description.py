"""The half of acl.mdl that describes models; mdl.py hands the functions on."""

from __future__ import annotations

from typing import TypedDict

from acl._codes import BAD_PARAMETER, GE_BAD_MODEL_ID, OK
from acl._model import Model
from acl._state import STATE
from ascend_simulator import om


class Dims(TypedDict):
    """The dict of get_input_dims and its like."""

    name: str
    dimCount: int
    dims: list[int]


class Batches(TypedDict):
    """The dict of get_dynamic_batch."""

    batchCount: int
    batch: list[int]


class Desc:
    """A model description: empty until get_desc fills it."""

    model: Model | None = None


def create_desc() -> int:
    return STATE.handles.add(Desc())


def destroy_desc(desc: int) -> int:
    return STATE.handles.drop(desc, Desc)


def get_desc(desc: int, model_id: int) -> int:
    found = STATE.handles.get(desc, Desc)
    if found is None:
        return BAD_PARAMETER
    if model_id not in STATE.models:
        return GE_BAD_MODEL_ID
    found.model = STATE.models[model_id]
    return OK


def _tensors(desc: int, kind: str) -> tuple[om.Tensor, ...]:
    found = STATE.handles.get(desc, Desc)
    if found is None or found.model is None:
        return ()
    header = found.model.header
    return header.inputs if kind == "input" else header.outputs


def _tensor(desc: int, kind: str, index: int) -> om.Tensor | None:
    tensors = _tensors(desc, kind)
    return tensors[index] if 0 <= index < len(tensors) else None


def _dims(tensor: om.Tensor | None) -> tuple[Dims, int]:
    if tensor is None:
        return {"name": "", "dimCount": 0, "dims": []}, BAD_PARAMETER
    return {"name": tensor.name, "dimCount": len(tensor.dims), "dims": list(tensor.dims)}, OK


def get_num_inputs(desc: int) -> int:
    return len(_tensors(desc, "input"))


def get_num_outputs(desc: int) -> int:
    return len(_tensors(desc, "output"))


def get_input_size_by_index(desc: int, index: int) -> int:
    tensor = _tensor(desc, "input", index)
    return tensor.size if tensor else 0


def get_output_size_by_index(desc: int, index: int) -> int:
    tensor = _tensor(desc, "output", index)
    return tensor.size if tensor else 0


def get_input_dims(desc: int, index: int) -> tuple[Dims, int]:
    return _dims(_tensor(desc, "input", index))


get_input_dims_v2 = get_input_dims


def get_output_dims(desc: int, index: int) -> tuple[Dims, int]:
    """Of a model with several batch sizes: the largest."""
    return _dims(_tensor(desc, "output", index))


def get_cur_output_dims(desc: int, index: int) -> tuple[Dims, int]:
    """At the batch that was set last."""
    dims, code = get_output_dims(desc, index)
    found = STATE.handles.get(desc, Desc)
    if code or not found or not found.model:
        return dims, code or BAD_PARAMETER
    dims["dims"] = list(found.model.output_shape(index))
    return dims, OK


def get_input_data_type(desc: int, index: int) -> int:
    tensor = _tensor(desc, "input", index)
    return tensor.dtype if tensor else -1


def get_output_data_type(desc: int, index: int) -> int:
    tensor = _tensor(desc, "output", index)
    return tensor.dtype if tensor else -1


def get_input_format(desc: int, index: int) -> int:
    tensor = _tensor(desc, "input", index)
    return tensor.format if tensor else -1


def get_output_format(desc: int, index: int) -> int:
    tensor = _tensor(desc, "output", index)
    return tensor.format if tensor else -1


def get_input_name_by_index(desc: int, index: int) -> str:
    tensor = _tensor(desc, "input", index)
    return tensor.name if tensor else ""


def get_output_name_by_index(desc: int, index: int) -> str:
    tensor = _tensor(desc, "output", index)
    return tensor.name if tensor else ""


def get_input_index_by_name(desc: int, name: str) -> tuple[int, int]:
    names = [tensor.name for tensor in _tensors(desc, "input")]
    return (names.index(name), OK) if name in names else (-1, BAD_PARAMETER)


def get_output_index_by_name(desc: int, name: str) -> tuple[int, int]:
    names = [tensor.name for tensor in _tensors(desc, "output")]
    return (names.index(name), OK) if name in names else (-1, BAD_PARAMETER)


def get_dynamic_batch(desc: int) -> tuple[Batches, int]:
    found = STATE.handles.get(desc, Desc)
    if found is None or found.model is None:
        return {"batchCount": 0, "batch": []}, BAD_PARAMETER
    batches = list(found.model.header.batches)
    return {"batchCount": len(batches), "batch": batches}, OK
