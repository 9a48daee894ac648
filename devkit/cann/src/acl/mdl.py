"""acl.mdl: loading, describing and executing models."""

from __future__ import annotations

from pathlib import Path

from acl._codes import (
    BAD_PARAMETER,
    GE_BAD_BATCH,
    GE_BAD_DYNAMIC_LENGTH,
    GE_BAD_MODEL_DATA,
    GE_BAD_MODEL_ID,
    GE_BAD_PATH,
    MODEL_OF_OTHER_CONTEXT,
    NO_CONTEXT,
    NOT_DYNAMIC,
    NOT_INITIALISED,
    OK,
    WRONG_SOC,
)
from acl._description import (
    create_desc,
    destroy_desc,
    get_cur_output_dims,
    get_desc,
    get_dynamic_batch,
    get_input_data_type,
    get_input_dims,
    get_input_dims_v2,
    get_input_format,
    get_input_index_by_name,
    get_input_name_by_index,
    get_input_size_by_index,
    get_num_inputs,
    get_num_outputs,
    get_output_data_type,
    get_output_dims,
    get_output_format,
    get_output_index_by_name,
    get_output_name_by_index,
    get_output_size_by_index,
)
from acl._model import MBATCH_INPUT, Model, execute_model
from acl._state import STATE, Buffer, Dataset
from acl.rt import Stream, no_memory
from acl.util import ptr_to_bytes
from ascend_simulator import om

__all__ = [
    "add_dataset_buffer",
    "create_dataset",
    "create_desc",
    "destroy_dataset",
    "destroy_desc",
    "execute",
    "execute_async",
    "get_cur_output_dims",
    "get_dataset_buffer",
    "get_dataset_num_buffers",
    "get_desc",
    "get_dynamic_batch",
    "get_input_data_type",
    "get_input_dims",
    "get_input_dims_v2",
    "get_input_format",
    "get_input_index_by_name",
    "get_input_name_by_index",
    "get_input_size_by_index",
    "get_num_inputs",
    "get_num_outputs",
    "get_output_data_type",
    "get_output_dims",
    "get_output_format",
    "get_output_index_by_name",
    "get_output_name_by_index",
    "get_output_size_by_index",
    "load_from_file",
    "load_from_mem",
    "query_size",
    "set_dynamic_batch_size",
    "unload",
]


def load_from_file(path: str) -> tuple[int, int]:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return 0, STATE.fail(
            GE_BAD_PATH, "E13000", f"Path [{path}] is empty. Reason: [{error.strerror}]."
        )
    return _load(data)


def load_from_mem(address: int, size: int) -> tuple[int, int]:
    return _load(ptr_to_bytes(address, size)) if address and size else (0, BAD_PARAMETER)


def _load(data: bytes) -> tuple[int, int]:
    if not STATE.initialised:
        return 0, NOT_INITIALISED
    context = STATE.context()
    if context is None:
        return 0, NO_CONTEXT
    try:
        header, graph = om.split(data)
    except om.NotAnOmError as error:
        return 0, STATE.fail(GE_BAD_MODEL_DATA, "E19999", f"Inner Error! the OM is bad: {error}")
    if header.soc_version != STATE.devices.soc_name:
        return 0, STATE.fail(
            WRONG_SOC,
            "EE9999",
            f"Inner Error! the model's socversion[{header.soc_version}] does not match the current "
            f"device socversion[{STATE.devices.soc_name}]",
        )
    device = STATE.devices.found[context.device]
    charged = header.weight_bytes + header.work_bytes
    if not device.take(charged):
        return 0, no_memory(charged)
    number = next(STATE.model_ids)
    STATE.models[number] = Model(header, graph, device, charged, STATE.thread.context)
    return number, OK


def unload(model_id: int) -> int:
    model = _loaded(model_id)
    if isinstance(model, int):
        return model
    model.device.give(model.charged)
    del STATE.models[model_id]
    return OK


def _loaded(model_id: int) -> Model | int:
    """The model, or the code that says why the calling thread cannot use it."""
    if STATE.context() is None:
        return NO_CONTEXT
    model: Model | None = STATE.models.get(model_id)
    if model is None:
        return GE_BAD_MODEL_ID
    return model if model.context == STATE.thread.context else MODEL_OF_OTHER_CONTEXT


def query_size(path: str) -> tuple[int, int, int]:
    """(work, weight, ret)"""
    try:
        header, _ = om.split(Path(path).read_bytes())
    except OSError:
        return 0, 0, GE_BAD_PATH
    except om.NotAnOmError:
        return 0, 0, GE_BAD_MODEL_DATA
    return header.work_bytes, header.weight_bytes, OK


def create_dataset() -> int:
    return STATE.handles.add(Dataset())


def destroy_dataset(dataset: int) -> int:
    return STATE.handles.drop(dataset, Dataset)


def add_dataset_buffer(dataset: int, buffer: int) -> tuple[int, int]:
    found = STATE.handles.get(dataset, Dataset)
    if found is None or STATE.handles.get(buffer, Buffer) is None:
        return dataset, BAD_PARAMETER
    found.buffers.append(buffer)
    return dataset, OK


def get_dataset_num_buffers(dataset: int) -> int:
    found = STATE.handles.get(dataset, Dataset)
    return len(found.buffers) if found else 0


def get_dataset_buffer(dataset: int, index: int) -> int:
    found = STATE.handles.get(dataset, Dataset)
    return found.buffers[index] if found and 0 <= index < len(found.buffers) else 0


def set_dynamic_batch_size(model_id: int, dataset: int, index: int, batch: int) -> int:
    found = STATE.handles.get(dataset, Dataset)
    if found is None or batch <= 0:
        return BAD_PARAMETER
    model = _loaded(model_id)
    if isinstance(model, int):
        return model
    if not model.header.batches:
        return NOT_DYNAMIC
    inputs = model.header.inputs
    if not 0 <= index < len(inputs) or inputs[index].name != MBATCH_INPUT:
        return BAD_PARAMETER
    if batch not in model.header.batches:
        return STATE.fail(
            GE_BAD_BATCH,
            "E19999",
            f"Inner Error! batch size {batch} is not among {list(model.header.batches)}",
        )
    buffer = STATE.handles.get(get_dataset_buffer(dataset, index), Buffer)
    if buffer is None or buffer.size < inputs[index].size:
        return GE_BAD_DYNAMIC_LENGTH
    found.batch = model.batch = batch
    return OK


def execute(model_id: int, inputs: int, outputs: int) -> int:
    model = _loaded(model_id)
    return model if isinstance(model, int) else execute_model(model, inputs, outputs)


def execute_async(model_id: int, inputs: int, outputs: int, stream: int) -> int:
    model, found = _loaded(model_id), STATE.handles.get(stream, Stream)
    if isinstance(model, int):
        return model
    if found is None:
        return BAD_PARAMETER
    found.pending.append(found.worker.submit(execute_model, model, inputs, outputs))
    return OK
