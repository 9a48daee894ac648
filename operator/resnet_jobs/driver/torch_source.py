"""Loads PyTorch files. Called by torch_export.py, and in the serving pods of TorchAIE.

A checkpoint is a pickle, and torch.load runs what is in it, or not, as its version has it. So it
is read by torch_file.py, in which nothing runs, and torch gets the numbers.
TorchScript itself is a program; it runs with this container's rights, which are none but scratch.
"""

from __future__ import annotations

from typing import Any

from .checkpoint import PLANS, MisfitError, check_fits, strip_prefix, weights_of
from .message import log
from .saved.names import Tensor
from .saved.torch_file import TORCH_SCRIPT, Checkpoint, open_checkpoint, read_kind


def load_network(torch: Any, path: str, order: dict[str, Any]) -> Any:
    """The named ResNet with the checkpoint's weights; `MisfitError` when they are not its own."""
    from .resnet import ResNet

    architecture, classes = order["architecture"], int(order["classes"])
    if architecture not in PLANS:
        raise MisfitError(
            'spec.model.pytorch.architecture "{}" is not known; write one of {}'.format(
                architecture, ", ".join(PLANS)
            ),
            field=True,
        )
    checkpoint = open_checkpoint(path)
    weights = weights_of(
        checkpoint.root, order.get("checkpointKey"), lambda value: isinstance(value, Tensor)
    )
    weights = strip_prefix(weights, order.get("stripPrefix"))
    network = ResNet(PLANS[architecture], classes)
    want = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    check_fits({name: value.shape for name, value in weights.items()}, want, architecture)
    state = {name: _tensor(torch, checkpoint, value) for name, value in weights.items()}
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise MisfitError("the weights do not load: {}".format(text)) from error
    log("{} tensors loaded into {} with {} classes".format(len(weights), architecture, classes))
    return network


def _tensor(torch: Any, checkpoint: Checkpoint, value: Tensor) -> Any:
    data, kind = checkpoint.numbers(value), getattr(torch, value.kind, None)
    if kind is None:
        raise MisfitError("the weights are of type {}: save them as float32".format(value.kind))
    if not data:
        return torch.empty(value.shape, dtype=kind)
    return torch.frombuffer(data, dtype=kind).as_strided(value.shape, value.strides)


def load_script(torch: Any, path: str) -> Any:
    """The script module."""
    if read_kind(path) != TORCH_SCRIPT:
        raise MisfitError(
            "the file is no TorchScript but a checkpoint: write spec.model.format: PyTorch, and "
            "the network in spec.model.pytorch",
            field=True,
        )
    try:
        return torch.jit.load(path, map_location="cpu")
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise MisfitError(
            "torch {} cannot load the script: {}".format(
                torch.__version__, (lines or ["it gave no reason"])[0][:160]
            )
        ) from error
