"""A stand-in for `triton_python_backend_utils`, which exists only inside Triton's stub processes.

conftest.py puts it into sys.modules before the runtime is imported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class TritonModelException(Exception):  # noqa: N818  Triton's name
    pass


class TritonError:
    INTERNAL = "INTERNAL"
    INVALID_ARG = "INVALID_ARG"
    UNAVAILABLE = "UNAVAILABLE"

    def __init__(self, message: str, code: str = "UNKNOWN") -> None:
        self.message = message
        self.code = code


class Taken:
    """What a consumer makes of a bare DLPack capsule of this machine's memory."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class Tensor:
    """Like Triton's: as an array it can be seen by DLPack; the old ways refuse to be used."""

    _name: str
    array: Any

    def __init__(self, name: str, array: Any) -> None:
        raise AssertionError("Tensor(name, array) sends nothing with NumPy 2 and an old stub")

    @classmethod
    def from_dlpack(cls, name: str, array: Any) -> Tensor:
        tensor = cls.__new__(cls)
        tensor._name = name
        tensor.array = np.from_dlpack(array if hasattr(array, "__dlpack__") else Taken(array))
        return tensor

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> Any:
        raise AssertionError("as_numpy() returns zeros with NumPy 2 and an old stub")

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


@dataclass
class InferenceResponse:
    """An answer. Triton copies the tensors when execute() returns: so does `values`."""

    output_tensors: list[Tensor]
    error: TritonError | None = None
    values: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.values = {tensor.name(): tensor.array.copy() for tensor in self.output_tensors}


@dataclass
class Request:
    tensors: list[Tensor]

    def inputs(self) -> list[Tensor]:
        return self.tensors


def request(**arrays: Any) -> Request:
    return Request([Tensor.from_dlpack(name, array) for name, array in arrays.items()])


@dataclass
class Config:
    """What goes into config.pbtxt, with the digits' defaults; `args` is what Triton passes."""

    inputs: dict[str, tuple[str, list[int]]] = field(
        default_factory=lambda: {"input": ("TYPE_FP32", [3])}
    )
    outputs: dict[str, tuple[str, list[int]]] = field(
        default_factory=lambda: {"logits": ("TYPE_FP32", [2])}
    )
    max_batch_size: int = 8
    instance: str = "digits_0_0"
    parameters: dict[str, str] = field(default_factory=dict)

    def args(self) -> dict[str, str]:
        def tensors(declared: dict[str, tuple[str, list[int]]]) -> list[dict[str, Any]]:
            return [
                {"name": name, "data_type": data_type, "dims": dims}
                for name, (data_type, dims) in declared.items()
            ]

        config = {
            "name": "digits",
            "max_batch_size": self.max_batch_size,
            "input": tensors(self.inputs),
            "output": tensors(self.outputs),
            "parameters": {key: {"string_value": value} for key, value in self.parameters.items()},
        }
        return {"model_config": json.dumps(config), "model_instance_name": self.instance}
