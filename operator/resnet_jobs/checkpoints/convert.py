"""From a file of weights to in/model.onnx: the part of `prepare` for format PyTorch.

Nothing here needs torch, and nothing in the file is run. The network is built by ourselves, and
tests hold it against torchvision's, timm's, transformers' and mmpretrain's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.progress import say
from resnet_jobs.checkpoints.hints import read_hints, refuse_by_address
from resnet_jobs.checkpoints.network import build
from resnet_jobs.checkpoints.recognise import Asked, Recognised, recognise
from resnet_jobs.checkpoints.state_dict import find_state_dict
from resnet_jobs.checkpoints.weights_file import open_weights
from resnet_jobs.driver.checkpoint import FIELD, MisfitError
from resnet_jobs.driver.export_inputs import network_input

if TYPE_CHECKING:
    from resnet_contract.order import JobSpec
    from resnet_contract.types import PyTorch
    from resnet_jobs.checkpoints.architecture import Architecture

OUTPUT = "output"


@dataclass(frozen=True)
class Converted:
    """What was found; `meta` is what the checkpoint's author wrote beside the weights."""

    architecture: Architecture
    meta: Mapping[str, Any]
    notes: tuple[str, ...]


def convert_weights(
    spec: JobSpec,
    source: Path,
    target: Path,
    *,
    config: Mapping[str, Any] | None = None,
    size: tuple[int, int] | None = None,
) -> Converted:
    """Writes the ONNX model; `JobError` with a sentence where the weights are no known ResNet's.

    `config` is the config.json of the hub that the weights are from, `size` the height and width
    that their publisher says.
    """
    try:
        return _convert(spec, source, target, config, size)
    except MisfitError as error:
        raise JobError(Reason(error.reason), str(error)) from error


def _convert(
    spec: JobSpec,
    source: Path,
    target: Path,
    config: Mapping[str, Any] | None,
    size: tuple[int, int] | None,
) -> Converted:
    asked = spec.pytorch
    refuse_by_address(f"{spec.source.host}/{spec.source.path}")
    file = open_weights(source)
    found = find_state_dict(
        file.root,
        key=asked.checkpoint_key if asked else None,
        prefix=asked.strip_prefix if asked else None,
    )
    network = recognise(
        found.weights,
        hints=read_hints(found.meta, config),
        asked=Asked(style=asked.style, stem=asked.stem) if asked else Asked(),
    )
    if asked:
        _check_asked(asked, network.architecture)
    _write(spec, network, target, size)
    architecture = network.architecture
    say(f"{len(network.weights)} tensors of {file.kind} make a {architecture.name}")
    note = f"built {architecture.name} with {architecture.classes} classes from the weights"
    return Converted(architecture, found.meta, (*found.notes, *network.notes, note))


def _check_asked(asked: PyTorch, found: Architecture) -> None:
    if asked.architecture and asked.architecture != found.name:
        raise MisfitError(
            f"the weights are those of {found.name}, not of {asked.architecture}: write "
            f"{FIELD}.architecture: {found.name}, or leave it out",
            field=True,
        )
    if asked.classes and asked.classes != found.classes:
        raise MisfitError(
            f"the weights are for {found.classes} classes, not {asked.classes}: write "
            f"{FIELD}.classes: {found.classes}, or leave it out",
            field=True,
        )


def _write(
    spec: JobSpec, network: Recognised, target: Path, published: tuple[int, int] | None
) -> None:
    name, size = _picture(spec, network.architecture, published)
    outputs = [entry.name for entry in spec.declared_outputs]
    for key, value in network.weights.items():
        if not np.isfinite(value.load()).all():
            raise MisfitError(
                f"{key} has infinite numbers: the weights are damaged, or of a training that "
                "diverged; bring another checkpoint"
            )
    model = build(
        network.architecture,
        network.weights,
        name=name,
        output=outputs[0] if len(outputs) == 1 else OUTPUT,
        size=size,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.write_bytes(model.SerializeToString(deterministic=True))
    except OSError as error:
        raise JobError(
            Reason.EPHEMERAL_STORAGE_EXCEEDED,
            "the pod's local disk has no room for the model: free disk space on the node",
            detail=str(error),
        ) from error


def _picture(
    spec: JobSpec, architecture: Architecture, published: tuple[int, int] | None
) -> tuple[str, tuple[int, int]]:
    """(name of the input, height and width) as the object says, else the publisher, else as is
    usual.
    """
    shapes = {name: list(dims) for name, dims in spec.input_shapes.items()}
    declared = [
        {"name": entry.name, "dims": list(entry.dims), "dataType": entry.data_type}
        for entry in spec.declared_inputs
    ]
    usual = {"input": [architecture.channels, *(published or (architecture.side,) * 2)]}
    entry = network_input(
        {"inputShapes": shapes or usual, "declaredInputs": declared}, architecture.channels
    )
    return entry.name, (entry.dims[1], entry.dims[2])
