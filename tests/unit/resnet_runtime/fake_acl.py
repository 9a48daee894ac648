"""A pyACL in memory, for unit tests of ascend_om.py: enough to see that each call is made well.

Its model adds up: output row = [sum of the row over all inputs, number of the batch's rows].
The simulator with the real arithmetic is devkit/cann.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

CODES = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(np.uint8): 4}
MBATCH = "ascend_mbatch_shape_data"


@dataclass
class Om:
    """What ATC compiled: tensors as (name, dtype, shape without batch)."""

    inputs: list[tuple[str, Any, list[int]]]
    outputs: list[tuple[str, Any, list[int]]]
    batches: list[int]

    @property
    def dynamic(self) -> bool:
        return len(self.batches) > 1


@dataclass
class FakeAcl:
    """The module `acl`. `fail` maps a call's name to a code; `calls` keeps their order."""

    om: Om
    soc: str = "Ascend310P3"
    run_mode: int = 1
    fail: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)
    batch: int = 0
    device: int = -1
    freed: list[int] = field(default_factory=list)
    sets: list[list[int]] = field(default_factory=list)
    totals: Any = None
    # (free, total) by the kind of memory; without it this is a CANN that cannot be asked.
    room: dict[int, tuple[int, int]] | None = None
    need: tuple[int, int] = (0, 0)
    taken: int = 0

    def __post_init__(self) -> None:
        groups: dict[str, SimpleNamespace] = {"rt": SimpleNamespace(), "mdl": SimpleNamespace()}
        for name, function in {**self._runtime(), **self._model()}.items():
            group, _, method = name.rpartition(".")
            setattr(groups.get(group, self), method, self._wrapped(name, function))
        self.rt, self.mdl = groups["rt"], groups["mdl"]

    def get_recent_err_msg(self) -> str:
        return "E99999: Inner Error!\n        the device said no"

    def _wrapped(self, name: str, function: Any) -> Any:
        def call(*args: Any) -> Any:
            self.calls.append(name)
            if name in self.fail:
                result = function(*args)
                code = self.fail[name]
                return (*result[:-1], code) if isinstance(result, tuple) else code
            return function(*args)

        return call

    def _runtime(self) -> dict[str, Any]:
        return {
            "init": lambda: 0,
            "finalize": lambda: 0,
            "get_soc_name": lambda: self.soc,
            "create_data_buffer": lambda pointer, size: pointer,
            "destroy_data_buffer": lambda data: 0,
            "rt.set_device": self._set_device,
            "rt.reset_device": lambda device: 0,
            "rt.create_context": lambda device: (77, 0),
            "rt.set_context": lambda context: 0 if context == 77 else 107002,
            "rt.destroy_context": lambda context: 0,
            "rt.get_run_mode": lambda: (self.run_mode, 0),
            "rt.malloc": lambda size, policy: (self._allocate(size), 0),
            "rt.malloc_host": lambda size: (self._allocate(size), 0),
            "rt.free": self._free,
            "rt.free_host": self._free,
            "rt.memcpy": self._memcpy,
            **({"rt.get_mem_info": self._mem_info} if self.room is not None else {}),
        }

    def _mem_info(self, kind: int) -> tuple[int, int, int]:
        assert self.room is not None
        free, total = self.room.get(kind, (0, 0))
        return (free - self.taken, total, 0) if kind in self.room else (0, 0, 100000)

    def _load(self, _path: str) -> tuple[int, int]:
        self.taken += sum(self.need)
        return 5, 0

    def _model(self) -> dict[str, Any]:
        tensors: dict[str, Any] = {}
        for kind in ("input", "output"):
            tensors |= {
                f"mdl.get_num_{kind}s": lambda desc, kind=kind: len(self._list(kind)),
                f"mdl.get_{kind}_name_by_index": lambda desc, i, kind=kind: self._list(kind)[i][0],
                f"mdl.get_{kind}_data_type": lambda desc, i, kind=kind: CODES.get(
                    np.dtype(self._list(kind)[i][1]), 9
                ),
                f"mdl.get_{kind}_size_by_index": lambda desc, i, kind=kind: self._size(kind, i),
                f"mdl.get_{kind}_dims": lambda desc, i, kind=kind: (self._dims(kind, i), 0),
            }
        return tensors | {
            "mdl.load_from_file": self._load,
            "mdl.unload": lambda model: 0,
            **({"mdl.query_size": lambda path: (*self.need, 0)} if self.room is not None else {}),
            "mdl.create_desc": lambda: 6,
            "mdl.get_desc": lambda desc, model: 0,
            "mdl.destroy_desc": lambda desc: 0,
            "mdl.create_dataset": self._dataset,
            "mdl.add_dataset_buffer": self._add,
            "mdl.destroy_dataset": lambda dataset: 0,
            "mdl.get_dynamic_batch": lambda desc: ({"batch": [*self.om.batches, 0]}, 0),
            "mdl.set_dynamic_batch_size": self._set_batch,
            "mdl.execute": self._execute,
        }

    def _list(self, kind: str) -> list[tuple[str, Any, list[int]]]:
        if kind == "output":
            return self.om.outputs
        return [*self.om.inputs, *([(MBATCH, np.int32, [])] if self.om.dynamic else [])]

    def _size(self, kind: str, index: int) -> int:
        _, dtype, shape = self._list(kind)[index]
        return self.om.batches[-1] * int(np.prod(shape)) * int(np.dtype(dtype).itemsize)

    def _dims(self, kind: str, index: int) -> dict[str, Any]:
        first = -1 if self.om.dynamic else self.om.batches[0]
        name, _, shape = self._list(kind)[index]
        return {"name": name, "dimCount": 1 + len(shape), "dims": [first, *shape]}

    def _set_device(self, device: int) -> int:
        self.device = device
        return 0

    def _allocate(self, size: int) -> int:
        # Not zeroed: what was there before must not reach an answer.
        block = (ctypes.c_uint8 * size)(*([1] * size))
        self.memory[ctypes.addressof(block)] = block
        return ctypes.addressof(block)

    def _free(self, pointer: int) -> int:
        self.freed.append(pointer)
        return 0 if pointer in self.memory else 100000

    def _memcpy(self, target: int, limit: int, source: int, count: int, kind: int) -> int:
        assert count <= limit
        assert kind in (1, 2)
        ctypes.memmove(target, source, count)
        return 0

    def _dataset(self) -> int:
        self.sets.append([])
        return len(self.sets)

    def _add(self, dataset: int, data: int) -> tuple[int, int]:
        self.sets[dataset - 1].append(data)
        return dataset, 0

    def _set_batch(self, model: int, dataset: int, index: int, batch: int) -> int:
        assert self._list("input")[index][0] == MBATCH
        self.batch = batch
        return 0 if batch in self.om.batches else 145013

    def _execute(self, model: int, inputs: int, outputs: int) -> int:
        rows = self.batch if self.om.dynamic else self.om.batches[0]
        total = np.zeros(rows)
        for (_, dtype, shape), pointer in zip(self.om.inputs, self.sets[inputs - 1], strict=False):
            total += self._view(pointer, dtype, (rows, *shape)).reshape(rows, -1).sum(axis=1)
        self.totals = total
        for (_, dtype, shape), pointer in zip(self.om.outputs, self.sets[outputs - 1], strict=True):
            view = self._view(pointer, dtype, (rows, *shape))
            view[:, 0], view[:, 1] = total, rows
        return 0

    def _view(self, pointer: int, dtype: Any, shape: tuple[int, ...]) -> Any:
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        flat = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(pointer))
        return flat.view(dtype).reshape(shape)
