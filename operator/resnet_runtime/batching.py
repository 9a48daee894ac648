"""Requests in, answers out: what one call of execute() does with the tensors.

model_common.py calls `admit` and the answering functions, the runtimes `gather` and `profile_for`.

Tensors cross the border to Triton by DLPack. The stubs of Triton up to 24.10 at least were built
with an old pybind11, which misreads NumPy 2's arrays without an error: `as_numpy()` gives rows of
zeros, and `Tensor(name, array)` sends no bytes, on which the server may even crash (class_count).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, List, Sequence, Tuple

import numpy as np
import triton_python_backend_utils as pb_utils

from resnet_runtime.settings import Settings, TensorSpec

# How a capsule is to be named once it was taken. Old stubs write another name; then NumPy 2 logs an
# error for each answer, and with NumPy 1 the process dies.
USED_CAPSULE = ctypes.c_char_p(b"used_dltensor")
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]


@dataclass
class Admitted:
    """A request whose tensors fit; `position` is its place in Triton's list."""

    position: int
    rows: int
    arrays: List[Any]


def error_response(message: str, kind: str) -> Any:
    """An answer of `kind` (INVALID_ARG, UNAVAILABLE, …); old stubs know no kinds."""
    if hasattr(pb_utils.TritonError, kind):
        error = pb_utils.TritonError(message, getattr(pb_utils.TritonError, kind))
    else:
        error = pb_utils.TritonError(message)
    return pb_utils.InferenceResponse(output_tensors=[], error=error)


def to_array(tensor: Any) -> Any:
    """A view of an input tensor."""
    if hasattr(tensor, "__dlpack__"):
        return np.from_dlpack(tensor)
    return tensor.as_numpy()  # Triton before 23.04, where NumPy 2 was not yet


def to_tensor(name: str, array: Any) -> Any:
    """An output tensor over the array's memory, which Triton copies when execute() returns."""
    if hasattr(pb_utils.Tensor, "__dlpack__"):
        capsule = array.__dlpack__()
        tensor = pb_utils.Tensor.from_dlpack(name, capsule)
        _rename(capsule, USED_CAPSULE)
        return tensor
    return pb_utils.Tensor(name, array)


def admit(requests: Sequence[Any], settings: Settings) -> Tuple[List[Admitted], List[Any]]:
    """Sort the requests: those that fit, and a list of answers with the errors filled in.

    The arrays are views of Triton's shared memory: nothing is copied here.
    """
    admitted: List[Admitted] = []
    answers: List[Any] = [None] * len(requests)
    for position, request in enumerate(requests):
        tensors = {tensor.name(): tensor for tensor in request.inputs()}
        arrays = []
        problem = ""
        for spec in settings.inputs:
            if spec.name not in tensors:
                problem = "input {} is missing".format(spec.name)
                break
            array = to_array(tensors[spec.name])
            arrays.append(array)
            rows = arrays[0].shape[0] if arrays[0].ndim else 0
            problem = _misfit(spec, array, rows=rows, limit=settings.max_batch_size)
            if problem:
                break
        if problem:
            answers[position] = error_response(problem, "INVALID_ARG")
        else:
            admitted.append(Admitted(position, len(arrays[0]), arrays))
    return admitted, answers


def fits(shape: Sequence[int], dims: Sequence[int]) -> bool:
    """Whether a shape is one that the declared dims allow; -1 allows any size."""
    return len(shape) == len(dims) and all(
        wanted in (-1, size)
        for size, wanted in zip(shape, dims)  # noqa: B905
    )


def _misfit(spec: TensorSpec, array: Any, *, rows: int, limit: int) -> str:
    """Why the array does not fit the declared tensor, or nothing."""
    if array.dtype != spec.dtype:
        return "input {} is {}, not {}".format(spec.name, array.dtype, spec.triton_type)
    if not fits(array.shape[1:], spec.dims):
        return "input {} has the shape {}; wanted is [{}]".format(
            spec.name, list(array.shape), ", ".join(str(size) for size in ("N", *spec.dims))
        )
    if len(array) != rows:
        return "the inputs differ in their batch size"
    if not 1 <= rows <= limit:
        return "batch size {} is not within 1..{}".format(rows, limit)
    return ""


def gather(admitted: Sequence[Admitted], index: int, *, into: Any) -> int:
    """Write input `index` of all requests one below the other; return the number of rows."""
    start = 0
    for request in admitted:
        into[start : start + request.rows] = request.arrays[index]
        start += request.rows
    return start


def profile_for(rows: int, profiles: Sequence[int]) -> int:
    """The smallest compiled batch size that holds the rows; `profiles` is sorted."""
    for profile in profiles:
        if profile >= rows:
            return profile
    raise ValueError("{} rows do not fit the batch sizes {}".format(rows, list(profiles)))


def answer(
    answers: List[Any],
    admitted: Sequence[Admitted],
    specs: Sequence[TensorSpec],
    outputs: Sequence[Any],
) -> None:
    """Slice the outputs, each request its own rows, in the type and shape of config.pbtxt."""
    typed = [
        (spec.name, _as_answered(spec, array.astype(spec.dtype, copy=False)))
        for spec, array in zip(specs, outputs)  # noqa: B905
    ]
    start = 0
    for request in admitted:
        stop = start + request.rows
        answers[request.position] = pb_utils.InferenceResponse(
            output_tensors=[to_tensor(name, array[start:stop]) for name, array in typed]
        )
        start = stop


def _as_answered(spec: TensorSpec, array: Any) -> Any:
    return array if spec.answered is None else array.reshape(len(array), *spec.answered)


def answer_error(
    answers: List[Any], admitted: Sequence[Admitted], message: str, *, kind: str
) -> None:
    """Give all the requests of a failed run the same error."""
    for request in admitted:
        answers[request.position] = error_response(message, kind)
