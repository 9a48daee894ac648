"""A STAND-IN for OneFlow's Triton backend: the real image cannot be had where this is tested.

Installed as backends/oneflow/model.py, so that Triton takes it for the backend "oneflow". It keeps
the rules of the real one (Oneflow-Inc/serving, backend_oneflow): the names INPUT_<i>, OUTPUT_<i>,
the folder <version>/model, every run padded to max_batch_size. It cannot read a OneFlow graph:
the folder must hold an ONNX file, which ONNX Runtime computes on the CPU.
"""

from __future__ import annotations

import ctypes
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

NUMPY_TYPES = {"TYPE_FP32": np.float32, "TYPE_FP16": np.float16, "TYPE_INT64": np.int64}
XRT = ("tensorrt", "openvino")
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]

Named = list[tuple[str, str]]


class TritonPythonModel:
    """One instance. Whatever is wrong is raised, and Triton's log then has it, as with OneFlow."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._inputs = _in_order(config["input"], "input")
        self._outputs = _in_order(config["output"], "output")
        self._max_batch = int(config["max_batch_size"])
        xrt = config.get("parameters", {}).get("xrt", {}).get("string_value", "")
        if xrt not in XRT:
            pb_utils.Logger.log_info("xrt tag is unknown, oneflow runtime will be used")
        # OneFlow's log goes where it runs, and it aborts where that cannot be written.
        Path("log", socket.gethostname()).mkdir(parents=True, exist_ok=True)
        folder = Path(args["model_repository"], args["model_version"], "model")
        if not folder.is_dir():
            raise _failed(f"unable to find '{folder}' for model instance '{args['model_name']}'")
        self._session = _open(folder)
        pb_utils.Logger.log_warn(
            "this is a STAND-IN for OneFlow: ONNX Runtime computes an ONNX file; "
            f"xrt '{xrt}' has no effect"
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """One run for all requests, padded as OneFlow pads."""
        sizes = [len(_array(request, self._inputs[0][0])) for request in requests]
        rows, feeds = sum(sizes), {}
        for value, (name, kind) in zip(self._session.get_inputs(), self._inputs, strict=True):
            column = np.concatenate([_array(request, name) for request in requests])
            feeds[value.name] = np.zeros((self._max_batch, *column.shape[1:]), NUMPY_TYPES[kind])
            feeds[value.name][:rows] = column
        found = self._session.run(None, feeds)
        answers, start = [], 0
        for size in sizes:
            tensors = [
                _tensor(name, np.ascontiguousarray(array[start : start + size], NUMPY_TYPES[kind]))
                for (name, kind), array in zip(self._outputs, found, strict=True)
            ]
            answers.append(pb_utils.InferenceResponse(output_tensors=tensors))
            start += size
        return answers


def _in_order(tensors: list[dict[str, Any]], kind: str) -> Named:
    """Names and types in the order of the graph, which the names tell."""
    prefix = f"{kind.upper()}_"
    places: dict[int, tuple[str, str]] = {}
    for tensor in tensors:
        name = tensor["name"]
        if not name.startswith(prefix):
            raise _failed(f"{kind} name should start with {prefix}")
        if not name.removeprefix(prefix).isdigit():
            raise _failed(f"{kind} name should follow naming convention: {prefix}<index>")
        index = int(name.removeprefix(prefix))
        if index >= len(tensors):
            raise _failed(f"{kind} index should be in range [0, {kind}_size)")
        places[index] = (name, tensor["data_type"])
    return [place for _, place in sorted(places.items())]


def _open(folder: Path) -> Any:
    import onnxruntime

    files = sorted(folder.glob("*.onnx"))
    if len(files) != 1:
        raise _failed(
            "this is a STAND-IN for OneFlow, which cannot read its graphs: put one ONNX file into "
            f"{folder}, there are {len(files)}"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(files[0]), options, providers=["CPUExecutionProvider"])


def _failed(message: str) -> Any:
    return pb_utils.TritonModelException(message)


def _array(request: Any, name: str) -> Any:
    return np.from_dlpack(pb_utils.get_input_tensor_by_name(request, name))


def _tensor(name: str, array: Any) -> Any:
    """By DLPack: stubs of Triton 24.10 misread NumPy 2's arrays, and misname a used capsule."""
    capsule = array.__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    _rename(capsule, b"used_dltensor")
    return tensor
