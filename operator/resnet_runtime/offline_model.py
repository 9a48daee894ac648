"""An OM on one chip: loaded, described, its buffers allocated, ready to execute.

ascend_om.py serves it, benchmark.py times it; the second has no Triton around it, so nothing here
imports Triton's module. Run so far on a simulator of pyACL only.
"""

from __future__ import annotations

import os
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from resnet_runtime.pyacl import (
    NO_MEMORY,
    NUMPY_OF_ACL,
    RUN_MODE_HOST,
    Acl,
    AclError,
    Buffer,
)
from resnet_runtime.settings import LoadError, Settings, TensorSpec

MBATCH_INPUT = "ascend_mbatch_shape_data"  # the extra input of an OM with several batch sizes
FLOATS = {np.dtype(np.float16), np.dtype(np.float32)}
WRONG_CHIP = 507008
MIB = 2**20
MEMORIES = (1, 0)  # HBM, and the DDR that other chips have
CHIP_FULL = "ChipFull"
DEVICE_SETUP_FAILED = 507033


class Tensor(NamedTuple):
    """An input or output of the OM; `shape` with the batch dimension, -1 where it varies."""

    name: str
    shape: List[int]
    dtype: Any
    buffer: Buffer


class OfflineModel:
    """An OM loaded on one chip, with the buffers of its inputs and outputs."""

    def __init__(self, acl: Acl, path: str, *, device: int, soc_version: str) -> None:
        self._acl = acl
        self.device = device
        acl("init")
        acl("rt.set_device", device)
        self.soc = acl.raw("get_soc_name") or "an unknown chip"
        check_chip(self.soc, soc_version)
        self._context = acl("rt.create_context", device)
        if not os.path.isfile(path):
            raise LoadError("{} is not there: the artifact was not mounted".format(path))
        check_room(acl, path)
        before = free_memory(acl)
        self._model = acl("mdl.load_from_file", path)
        self._desc = acl.raw("mdl.create_desc")
        acl("mdl.get_desc", self._desc, self._model)
        on_host = acl("rt.get_run_mode") == RUN_MODE_HOST
        self.inputs = self._tensors("input", on_host=on_host)
        self.outputs = self._tensors("output", on_host=on_host)
        self._buffers = [tensor.buffer for tensor in self.inputs + self.outputs]
        self._input_set = self._dataset(self.inputs)
        self._output_set = self._dataset(self.outputs)

        after = free_memory(acl)
        taken = before[0] - after[0] if before and after else 0
        # Where others share the chip this is theirs too, as far as they came and went meanwhile.
        self.memory: Optional[int] = taken if taken > 0 else None
        names = [tensor.name for tensor in self.inputs]
        self._mbatch: Optional[int] = names.index(MBATCH_INPUT) if MBATCH_INPUT in names else None
        if self._mbatch is None:
            self.profiles = [self.inputs[0].shape[0]]
        else:
            self.inputs.pop(self._mbatch)
            dynamic = acl("mdl.get_dynamic_batch", self._desc)
            self.profiles = sorted(size for size in dynamic["batch"] if size > 0)

    def _tensors(self, kind: str, *, on_host: bool) -> List[Tensor]:
        """Describe the OM's inputs or outputs, and allocate their memory."""
        tensors = []
        for index in range(self._acl.raw("mdl.get_num_{}s".format(kind), self._desc)):
            about = (self._desc, index)
            code = self._acl.raw("mdl.get_{}_data_type".format(kind), *about)
            size = self._acl.raw("mdl.get_{}_size_by_index".format(kind), *about)
            tensors.append(
                Tensor(
                    self._acl.raw("mdl.get_{}_name_by_index".format(kind), *about),
                    list(self._acl("mdl.get_{}_dims".format(kind), *about)["dims"]),
                    np.dtype(NUMPY_OF_ACL.get(code, np.void)),
                    Buffer(self._acl, size, on_host=on_host),
                )
            )
        return tensors

    def _dataset(self, tensors: Sequence[Tensor]) -> int:
        dataset: int = self._acl.raw("mdl.create_dataset")
        for tensor in tensors:
            self._acl("mdl.add_dataset_buffer", dataset, tensor.buffer.data)
        return dataset

    def use_context(self) -> None:
        """First in every call from another thread: the context belongs to the thread."""
        self._acl("rt.set_context", self._context)

    def set_batch(self, profile: int) -> None:
        """Choose a compiled batch size; an OM with one has nothing to choose."""
        if self._mbatch is not None:
            where = (self._model, self._input_set, self._mbatch)
            self._acl("mdl.set_dynamic_batch_size", *where, profile)

    def execute(self) -> None:
        self._acl("mdl.execute", self._model, self._input_set, self._output_set)

    def close(self) -> None:
        """Give everything back, in the reverse order."""
        self._acl("rt.set_context", self._context)
        for buffer in self._buffers:
            buffer.free()
        for dataset in (self._input_set, self._output_set):
            self._acl("mdl.destroy_dataset", dataset)
        self._acl("mdl.unload", self._model)
        self._acl("mdl.destroy_desc", self._desc)
        self._acl("rt.destroy_context", self._context)
        self._acl("rt.reset_device", self.device)
        self._acl("finalize")


def load_error(error: AclError, *, instance: int) -> LoadError:
    """A failed pyACL call during the load, as the reason that the operator shows."""
    reason = "OutOfMemory" if error.code in NO_MEMORY else "ModelLoadFailed"
    if error.code == WRONG_CHIP:
        reason = "ChipMismatch"
    message = str(error)
    if error.code == DEVICE_SETUP_FAILED and instance > 0:
        message += "; with several chips in one pod, try count 1 and more replicas"
    return LoadError(message, reason=reason, code=str(error.code), detail=error.recent)


def check_chip(found: str, wanted: str) -> None:
    """Compare before the load: an OM of another chip fails later, in words that mislead."""
    if found != wanted and not found.startswith(wanted + "vir"):
        raise LoadError(
            "the pod runs on {0}, the model was converted for {1}: set spec.accelerator.chip to "
            "{0}, or let the pod have an {1}".format(found, wanted),
            reason="ChipMismatch",
        )


def check_room(acl: Acl, path: str) -> None:
    """Compare what the OM needs with what others have left of the chip, where both are known.

    A load that does not fit would end with a number of the driver's, after it has disturbed the
    others. What nobody tells is left to the load itself.
    """
    need, room = acl.sizes("mdl.query_size", path), free_memory(acl)
    if not need or not room or sum(need) <= room[0]:
        return
    raise LoadError(
        "the chip is full: {} MiB needed, {} of {} MiB free; put fewer models on it".format(
            -(-sum(need) // MIB), room[0] // MIB, room[1] // MIB
        ),
        reason="OutOfMemory",
        code=CHIP_FULL,
    )


def free_memory(acl: Acl) -> Optional[Tuple[int, int]]:
    """What is free of the chip and all of it; None where it does not tell."""
    rooms = (acl.sizes("rt.get_mem_info", kind) for kind in MEMORIES)
    return next((found for found in rooms if found and found[1]), None)


def check_batch(profiles: List[int], settings: Settings) -> None:
    """The OM is the truth; a configuration that promises more must not become ready."""
    declared = settings.numbers("batch_sizes")
    if profiles != declared or settings.max_batch_size > profiles[-1]:
        raise LoadError(
            "the OM was compiled for batch {}; config.pbtxt says batch_sizes {}, "
            "max_batch_size {}".format(profiles, declared, settings.max_batch_size)
        )


def _named(name: str, tensors: Sequence[Tensor]) -> Optional[Tensor]:
    """The tensor of that name, which may have colons itself, as "input:0" has."""
    for tensor in tensors:
        if tensor.name == name:
            return tensor
    ends = [tensor for tensor in tensors if tensor.name.endswith(":" + name)]
    return ends[0] if len(ends) == 1 else None


def match(
    kind: str, specs: Sequence[TensorSpec], tensors: Sequence[Tensor], *, rows: int
) -> List[Buffer]:
    """The buffer of each declared tensor: by name, or by place where names cannot tell.

    ATC names an output "<node>:<number>:<name in the ONNX file>", and cuts long names. An input
    that ATC cannot be told of has another name in the OM than for clients; the order is the file's.
    """
    named = [_named(spec.name, tensors) for spec in specs]
    in_place = list(tensors) if len(specs) == len(tensors) else []
    if all(tensor is not None for tensor in named):
        found = [tensor for tensor in named if tensor is not None]
    elif in_place and all(one is None or one is two for one, two in zip(named, in_place)):  # noqa: B905
        found = in_place
    else:
        raise LoadError(
            "config.pbtxt names the {}s {}; the OM has {}".format(
                kind,
                ", ".join(spec.name for spec in specs),
                ", ".join(tensor.name.rsplit(":", 1)[-1] for tensor in tensors),
            )
        )
    for spec, tensor in zip(specs, found):  # noqa: B905
        shape = tuple(tensor.shape[1:])
        alike = tensor.dtype == spec.dtype or {tensor.dtype, spec.dtype} <= FLOATS
        if not alike or shape != spec.dims:
            raise LoadError(
                "config.pbtxt says the {} {} is {} {}; in the OM it is {} {}".format(
                    kind, spec.name, spec.triton_type, list(spec.dims), tensor.dtype, list(shape)
                )
            )
        tensor.buffer.view(tensor.dtype, shape)
        if len(tensor.buffer.rows) < rows:
            raise LoadError("the OM's {} {} does not hold {} rows".format(kind, spec.name, rows))
    return [tensor.buffer for tensor in found]
