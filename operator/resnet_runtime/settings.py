"""What config.pbtxt says to one instance of a model, parsed once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

NUMPY_TYPES: Dict[str, Any] = {
    "TYPE_UINT8": np.uint8,
    "TYPE_UINT16": np.uint16,
    "TYPE_UINT32": np.uint32,
    "TYPE_UINT64": np.uint64,
    "TYPE_INT8": np.int8,
    "TYPE_INT16": np.int16,
    "TYPE_INT32": np.int32,
    "TYPE_INT64": np.int64,
    "TYPE_FP16": np.float16,
    "TYPE_FP32": np.float32,
    "TYPE_FP64": np.float64,
    "TYPE_BOOL": np.bool_,
}


class LoadError(Exception):
    """The model cannot be served; `reason` is one of the operator's condition reasons."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "ModelLoadFailed",
        code: Optional[str] = None,
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class TensorSpec:
    """An input or output as config.pbtxt declares it; `dims` without the batch dimension.

    `answered` is what clients get where that is another shape: [1] for a model's one number a
    sample, which has no dims. Triton reshapes what goes in, and leaves what comes out to us.
    """

    name: str
    triton_type: str
    dims: Tuple[int, ...]
    answered: Optional[Tuple[int, ...]] = None

    @property
    def dtype(self) -> Any:
        return np.dtype(NUMPY_TYPES[self.triton_type])


@dataclass(frozen=True)
class Settings:
    """The parts of the model's configuration that the runtimes use."""

    inputs: Tuple[TensorSpec, ...]
    outputs: Tuple[TensorSpec, ...]
    max_batch_size: int
    instance_index: int
    parameters: Dict[str, str]

    def parameter(self, key: str) -> str:
        if not self.parameters.get(key):
            raise LoadError('config.pbtxt has no parameter "{}"'.format(key))
        return self.parameters[key]

    def numbers(self, key: str) -> List[int]:
        """A parameter such as "1,2,4,8", sorted."""
        text = self.parameter(key)
        try:
            numbers = sorted(int(part) for part in text.split(","))
        except ValueError as error:
            raise LoadError('config.pbtxt: {} is "{}", not numbers'.format(key, text)) from error
        if numbers[0] < 1:
            raise LoadError('config.pbtxt: {} is "{}", below 1'.format(key, text))
        return numbers


def read_settings(args: Dict[str, str]) -> Settings:
    """Parse what Triton passes to initialize()."""
    config = json.loads(args["model_config"])
    # "resnet50_0_1" is instance 1 of group 0; a name without a number is the only instance.
    last = args.get("model_instance_name", "").rsplit("_", 1)[-1]
    return Settings(
        inputs=_specs(config, "input"),
        outputs=_specs(config, "output"),
        max_batch_size=int(config.get("max_batch_size", 0)),
        instance_index=int(last) if last.isdigit() else 0,
        parameters={
            key: value.get("string_value", "")
            for key, value in config.get("parameters", {}).items()
        },
    )


def _specs(config: Dict[str, Any], kind: str) -> Tuple[TensorSpec, ...]:
    for entry in config[kind]:
        if entry["data_type"] not in NUMPY_TYPES:
            raise LoadError(
                "config.pbtxt: {} {} is {}, which this runtime cannot handle".format(
                    kind, entry["name"], entry["data_type"]
                )
            )
    return tuple(_spec(entry) for entry in config[kind])


def _spec(entry: Dict[str, Any]) -> TensorSpec:
    dims = tuple(int(size) for size in entry["dims"])
    name, kind = entry["name"], entry["data_type"]
    if "reshape" not in entry:
        return TensorSpec(name, kind, dims)
    own = tuple(int(size) for size in entry["reshape"].get("shape", ()))
    return TensorSpec(name, kind, own, answered=dims)
