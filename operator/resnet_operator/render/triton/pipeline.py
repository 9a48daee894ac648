"""`serving.pipeline`: the models around the model, which take a picture file to its answer.

Triton gets `<name>-preprocess` (Python: file to tensor), `<name>-softmax` where it is asked for,
and `<name>-pipeline`, an ensemble that leads through them; `<name>` itself stays as it is
(docs/decisions/036). Called by `render.serving`. Without `serving.pipeline` all of it is empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resnet_operator.api.serving.pipeline import Decode, Pipeline
from resnet_operator.names import ENSEMBLE, PREPROCESS, SOFTMAX, step_name
from resnet_operator.record.artifact import Artifact, TensorInfo
from resnet_operator.render.engine import render_text
from resnet_operator.render.pods.parts import PodParts
from resnet_operator.render.triton.config import (
    TYPE_BYTES,
    ConfigTensor,
    intra_op_threads,
    output_types,
)
from resnet_operator.render.triton.picture_input import PICTURE, PictureInput, picture_input
from resnet_operator.resolve.resolved import Resolved

MODEL_FILES = {PREPROCESS: "picture_model.py", SOFTMAX: "softmax_model.py"}

DEFAULT_PIXELS = 25_000_000
DEFAULT_BYTES = 2**24
# Pictures of one request, and of one run of the first step: files have no fixed size, so that the
# room for them grows with this number. Triton gathers the model's own batches from many requests.
MOST_PICTURES = 16
# Of each pixel while it is unpacked: what Pillow reads, turns and converts, 4 bytes each.
BYTES_OF_PIXEL = 12
PYTHON_BYTES = 64 * 2**20  # a process with numpy and Pillow
# Requests that are prepared at the same time, each in a process with its share of /dev/shm.
MOST_READERS = 4


@dataclass(frozen=True, kw_only=True)
class PipelineParts(PodParts):
    """And what is added to the size of /dev/shm and to the memory limit."""

    shm_bytes: int = 0
    memory_bytes: int = 0


def pipeline_name(resolved: Resolved) -> str | None:
    """Return what the ensemble is called, or None without one."""
    asked = resolved.spec.serving.pipeline is not None
    return step_name(resolved.model_name, ENSEMBLE) if asked else None


def labelled_models(resolved: Resolved) -> tuple[str, ...]:
    """Return the models whose folders hold the names of the classes."""
    pipeline = resolved.spec.serving.pipeline
    further = (step_name(resolved.model_name, SOFTMAX),) if pipeline and pipeline.softmax else ()
    return (resolved.model_name, *further)


def pipeline_configs(
    *, resolved: Resolved, artifact: Artifact, labelled: str | None = None
) -> dict[str, str]:
    """Return the further files config.pbtxt of a revision, by their keys in it.

    `labelled` is the output whose classes have names, and so the one with the scores.
    """
    pipeline = resolved.spec.serving.pipeline
    sent = picture_input(resolved=resolved, artifact=artifact)
    if pipeline is None or sent is None:
        return {}
    outputs = output_types(artifact)
    softmax, name = bool(pipeline.softmax), resolved.model_name
    scores = next((output for output in outputs if output.name == labelled), outputs[0])
    configs = {
        PREPROCESS: _step(
            step_name(name, PREPROCESS),
            resolved,
            source=ConfigTensor(PICTURE, "STRING", (1,)),
            target=_as_config(sent.tensor),
            parameters=_parameters(pipeline, resolved, sent),
            # What a client says of the length of its bytes is found out by the backend, for all
            # requests of a batch at once: so each request is a batch of its own.
            instances=_readers(resolved),
            gathers=False,
        )
    }
    if softmax:
        configs[SOFTMAX] = _step(
            step_name(name, SOFTMAX),
            resolved,
            source=_as_config(scores),
            target=_as_config(scores, labels="labels.txt" if labelled else None),
            parameters={},
        )
    configs[ENSEMBLE] = render_text(
        "ensemble.pbtxt.j2",
        name=step_name(name, ENSEMBLE),
        model=name,
        max_batch_size=_batch(resolved),
        picture=PICTURE,
        input=sent.tensor.name,
        outputs=[_as_config(output) for output in outputs],
        scores=scores.name if softmax else None,
    )
    return {config_key(kind): text for kind, text in configs.items()}


def config_key(kind: str) -> str:
    """Return where the revision keeps the config.pbtxt of a further model."""
    return f"{kind}.pbtxt"


def pipeline_parts(
    *,
    resolved: Resolved,
    artifact: Artifact,
    revision: str,
    labels_key: str | None,
    runtime: str,
    package_items: Sequence[dict[str, str]],
) -> PipelineParts:
    """Return the folders of the further models; `runtime` is the ConfigMap of the Python files."""
    pipeline = resolved.spec.serving.pipeline
    if pipeline is None:
        return PipelineParts()
    kinds = [PREPROCESS, *([SOFTMAX] if pipeline.softmax else []), ENSEMBLE]
    volumes = []
    for kind in kinds:
        items = [{"key": config_key(kind), "path": "config.pbtxt"}]
        if kind == SOFTMAX and labels_key:
            items.append({"key": labels_key, "path": labels_key})
        if kind == ENSEMBLE:
            # Triton wants a folder for the version, and a ConfigMap has no empty ones.
            items.append({"key": config_key(kind), "path": f"1/{config_key(kind)}"})
        sources: list[dict[str, Any]] = [{"configMap": {"name": revision, "items": items}}]
        if kind in MODEL_FILES:
            model = {"key": MODEL_FILES[kind], "path": "1/model.py"}
            sources.append({"configMap": {"name": runtime, "items": [model, *package_items]}})
        volumes.append({"name": _volume(kind), "projected": {"sources": sources}})
    mounts = [
        {
            "name": _volume(kind),
            "mountPath": f"/models/{step_name(resolved.model_name, kind)}",
            "readOnly": True,
        }
        for kind in kinds
    ]
    return PipelineParts(
        mounts=tuple(mounts),
        volumes=tuple(volumes),
        shm_bytes=_shared_memory(pipeline, resolved, artifact),
        memory_bytes=_memory(pipeline, resolved),
    )


def _shared_memory(pipeline: Pipeline, resolved: Resolved, artifact: Artifact) -> int:
    """Return the room for the files and tensors of one batch in each of the further models."""
    files = _batch(resolved) * (pipeline.max_bytes or DEFAULT_BYTES)
    steps = [(tensor, _readers(resolved)) for tensor in artifact.inputs]
    steps += [(tensor, 1) for tensor in output_types(artifact)[:1] if pipeline.softmax]
    tensors = (
        count * (2 * _batch(resolved) * _size(tensor) + 4 * 2**20) for tensor, count in steps
    )
    return _readers(resolved) * files + sum(tensors)


def _memory(pipeline: Pipeline, resolved: Resolved) -> int:
    """Return what the processes of the further models need besides shared memory."""
    unpacked = intra_op_threads(resolved) * (pipeline.max_pixels or DEFAULT_PIXELS)
    processes = _readers(resolved) + (1 if pipeline.softmax else 0)
    return unpacked * BYTES_OF_PIXEL + processes * PYTHON_BYTES


def _size(tensor: TensorInfo) -> int:
    return TYPE_BYTES.get(tensor.data_type, 8) * math.prod(tensor.dims)


def _readers(resolved: Resolved) -> int:
    return min(intra_op_threads(resolved), MOST_READERS)


def _batch(resolved: Resolved) -> int:
    return min(resolved.max_batch_size, MOST_PICTURES)


def _step(
    name: str,
    resolved: Resolved,
    *,
    source: ConfigTensor,
    target: ConfigTensor,
    parameters: dict[str, str],
    instances: int = 1,
    gathers: bool = True,
) -> str:
    """Return config.pbtxt of a Python model that takes what has come without waiting for more.

    One that `gathers` takes the requests of several clients at once.
    """
    return render_text(
        "config.pbtxt.j2",
        name=name,
        backend="python",
        max_batch_size=_batch(resolved),
        inputs=[source],
        outputs=[target],
        instances=instances,
        dynamic_batching=gathers,
        preferred_batch_sizes=(),
        max_queue_delay_microseconds=0,
        warmups=[],
        parameters=sorted(parameters.items()),
    )


def _parameters(pipeline: Pipeline, resolved: Resolved, sent: PictureInput) -> dict[str, str]:
    values: dict[str, Any] = {
        "decode": (pipeline.decode or Decode.AUTO).value,
        "height": sent.height,
        "width": sent.width,
        "layout": sent.layout,
        "pixel_format": sent.pixel_format,
        "short_side": pipeline.resize_short_side,
        "interpolation": pipeline.interpolation and pipeline.interpolation.value,
        "mean": pipeline.mean and ",".join(repr(one) for one in pipeline.mean),
        "std": pipeline.std and ",".join(repr(one) for one in pipeline.std),
        "swap_red_blue": "true" if pipeline.swap_red_blue else None,
        "max_pixels": pipeline.max_pixels or DEFAULT_PIXELS,
        "max_bytes": pipeline.max_bytes or DEFAULT_BYTES,
        "threads": intra_op_threads(resolved) // _readers(resolved),
    }
    return {key: str(value) for key, value in values.items() if value is not None}


def _as_config(tensor: TensorInfo, *, labels: str | None = None) -> ConfigTensor:
    return ConfigTensor(tensor.name, tensor.data_type, tensor.dims, label_filename=labels)


def _volume(kind: str) -> str:
    return kind if kind == ENSEMBLE else f"{ENSEMBLE}-{kind}"
