"""`config.pbtxt`: what Triton is told about the model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.record.artifact import Artifact, TensorInfo
from resnet_operator.render.engine import rendered_for
from resnet_operator.render.triton import oneflow
from resnet_operator.resolve.config_overrides import merge_overrides
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.rows import ROWS
from resnet_operator.resolve.runtimes.torch_aie import torch_parameters

# Sizes in bytes of Triton's types; model.py answers FP16 as FP32, because class_count refuses it.
TYPE_BYTES = {
    "BOOL": 1,
    "UINT8": 1,
    "INT8": 1,
    "FP16": 2,
    "BF16": 2,
    "INT16": 2,
    "UINT16": 2,
    "FP32": 4,
    "INT32": 4,
    "UINT32": 4,
    "FP64": 8,
    "INT64": 8,
    "UINT64": 8,
}
ANSWERED_AS_FP32 = {"FP16", "BF16"}
# A saved OneFlow graph, as `resnet_jobs.formats.oneflow` packs it.
FOLDER = "model.tar"
# Triton knows no tensor without dims: one number a sample, as of ArgMax, is [1] to its clients.
ONE_NUMBER = (1,)


@dataclass(frozen=True)
class ConfigTensor:
    """`dims` are the client's; `is_one_number` says that the model's own are none."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    is_one_number: bool = False
    format: str | None = None
    label_filename: str | None = None


def config_pbtxt(*, resolved: Resolved, artifact: Artifact, labelled: str | None = None) -> str:
    """Return the text of config.pbtxt; `labelled` is the output whose classes have names."""
    is_oneflow = resolved.runtime is Runtime.ONEFLOW
    sizes = [size for size in resolved.batch_sizes if size <= resolved.max_batch_size]
    text = rendered_for(
        resolved.model_name,
        "config.pbtxt.j2",
        backend=ROWS[resolved.runtime].backend,
        max_batch_size=resolved.max_batch_size,
        inputs=[_input(tensor, named=not is_oneflow) for tensor in artifact.inputs],
        outputs=[
            _output(tensor, _answered_type(tensor, artifact), tensor.name == labelled)
            for tensor in artifact.outputs
        ],
        instances=1 if is_oneflow else resolved.instances,
        gpus=oneflow.gpus(resolved),
        dynamic_batching=resolved.dynamic_batching,
        preferred_batch_sizes=resolved.preferred_batch_sizes,
        max_queue_delay_microseconds=resolved.max_queue_delay_microseconds,
        warmups=(sizes or [resolved.max_batch_size]) if resolved.warmup else [],
        parameters=oneflow.parameters(resolved) if is_oneflow else _parameters(resolved, artifact),
    )
    overrides = resolved.spec.serving.config_overrides
    return merge_overrides(text, overrides) if overrides else text


def output_types(artifact: Artifact) -> tuple[TensorInfo, ...]:
    """Return the outputs as clients see them."""
    return tuple(
        TensorInfo(
            t.name,
            _answered_type(t, artifact),
            t.dims or ONE_NUMBER,
        )
        for t in artifact.outputs
    )


def shared_memory_bytes(*, resolved: Resolved, artifact: Artifact) -> int:
    """Return the size of /dev/shm that Triton's Python backend needs for all instances."""
    sample = sum(
        TYPE_BYTES.get(tensor.data_type, 8) * math.prod(tensor.dims)
        for tensor in (*artifact.inputs, *output_types(artifact))
    )
    needed = resolved.instances * (2 * resolved.max_batch_size * sample + 4 * 2**20)
    return max(64 * 2**20, needed)


def intra_op_threads(resolved: Resolved) -> int:
    """Return ONNX Runtime's threads: the CPUs that the container may use, at least one."""
    resources = resolved.spec.serving.resources
    limits = (resources and resources.limits) or {}
    requests = (resources and resources.requests) or {}
    cpu = parse_quantity(limits.get("cpu", requests.get("cpu", "1")))
    return max(1, math.ceil(cpu or 1))


def _input(tensor: TensorInfo, *, named: bool = True) -> ConfigTensor:
    # A picture of one or three channels; Triton allows a format for three dims only.
    layout = tensor.layout
    if layout is None and tensor.dims[:1] in {(1,), (3,)}:
        layout = "NCHW"
    named = named and layout is not None and len(tensor.dims) == 3
    return ConfigTensor(
        tensor.name,
        tensor.data_type,
        tensor.dims or ONE_NUMBER,
        is_one_number=not tensor.dims,
        format=f"FORMAT_{layout}" if named else None,
    )


def _answered_type(tensor: TensorInfo, artifact: Artifact) -> str:
    """Return the type that clients get: our model.py casts, OneFlow's backend does not."""
    casts = tensor.data_type in ANSWERED_AS_FP32 and artifact.file != FOLDER
    return "FP32" if casts else tensor.data_type


def _output(tensor: TensorInfo, data_type: str, has_labels: bool) -> ConfigTensor:
    return ConfigTensor(
        tensor.name,
        data_type,
        tensor.dims or ONE_NUMBER,
        is_one_number=not tensor.dims,
        label_filename="labels.txt" if has_labels else None,
    )


def _parameters(resolved: Resolved, artifact: Artifact) -> list[tuple[str, str]]:
    values = {
        "batch_sizes": ",".join(str(size) for size in resolved.batch_sizes),
        "chip_count": str(resolved.chip_count),
        "model_file": f"/artifact/{artifact.file}",
    }
    if resolved.on_chip:
        values["soc_version"] = resolved.chip
    else:
        values["intra_op_threads"] = str(intra_op_threads(resolved))
    if resolved.runtime is Runtime.TORCH_AIE:
        values |= torch_parameters(resolved.spec)
    return sorted(values.items())
