"""Loads PyTorch files without running what is in them. Called by torch_export.py.

A checkpoint is a pickle, and unpickling runs code. `weights_only` stops that, but before torch 2.6
not for two kinds of file that torch.load passes on to other loaders (CVE-2025-32434): the old tar
format, and TorchScript archives. Both are refused here before torch.load sees them.
TorchScript itself is a program; it runs with this container's rights, which are none but scratch.
"""

from __future__ import annotations

import pickle
import re
import tarfile
from typing import Any

from .checkpoint import PLANS, MisfitError, check_fits, strip_prefix, weights_of
from .message import log

SAVE_HINT = "save the weights alone: torch.save(model.state_dict(), path)"


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
    loaded = _load_checkpoint(torch, path)
    weights = weights_of(
        loaded, order.get("checkpointKey"), lambda value: isinstance(value, torch.Tensor)
    )
    weights = strip_prefix(weights, order.get("stripPrefix"))
    network = ResNet(PLANS[architecture], classes)
    want = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    check_fits({name: tuple(value.shape) for name, value in weights.items()}, want, architecture)
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise MisfitError("the weights do not load: {}".format(text)) from error
    log("{} tensors loaded into {} with {} classes".format(len(weights), architecture, classes))
    return network


def _load_checkpoint(torch: Any, path: str) -> Any:
    if _records(torch, path) & {"constants.pkl"}:
        raise MisfitError(
            "the file is TorchScript, not weights: write spec.model.format: TorchScript",
            field=True,
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        culprit = _culprit(str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if culprit:
            raise MisfitError(
                "the checkpoint holds more than weights ({}): save "
                "torch.save(model.state_dict(), path); loading this one would run code from "
                "it".format(culprit)
            ) from error
        words = " ".join(str(error).split())
        raise MisfitError(
            "PyTorch cannot read the file (…{}): put it there again, or {}".format(
                words[-100:], SAVE_HINT
            )
        ) from error


def load_script(torch: Any, path: str) -> Any:
    """The script module."""
    if "constants.pkl" not in _records(torch, path):
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


def _records(torch: Any, path: str) -> set[str]:
    """The members of PyTorch's ZIP archive by torch's own reader, which decides the same way;
    none for the older pickle. `MisfitError` for every other kind of file.
    """
    with open(path, "rb") as file:
        head = file.read(64)
    if head.startswith(b"PK\x03\x04"):
        try:
            reader = torch._C.PyTorchFileReader(path)  # noqa: SLF001
            return {str(name) for name in reader.get_all_records()}
        except RuntimeError as error:
            raise MisfitError(
                "the file is a damaged or cut-off archive, or none of PyTorch's: put it there again"
            ) from error
    kind = "no PyTorch file"
    if tarfile.is_tarfile(path):  # whatever its first bytes are: torch.load asks the same way
        kind = "in PyTorch's format of before 0.1.10, which cannot be loaded safely; " + SAVE_HINT
    elif re.match(rb"\x80[\x02-\x05]", head):
        return set()
    elif head.startswith(b"version https://git-lfs"):
        kind = "a Git LFS pointer; fetch the file with `git lfs pull` first"
    elif re.match(rb"\s*<", head):
        kind = "a web page; write the address of the file itself"
    elif b"onnx" in head or b"pytorch" in head:
        kind = "an ONNX model; write spec.model.format: ONNX"
    raise MisfitError("the file is {}".format(kind))


def _culprit(text: str) -> str | None:
    """The class that weights_only refused, in either of the words torch has used."""
    found = re.search(r"(?:class|GLOBAL|Global)[:\s]+([\w.]+)", text)
    return found.group(1) if found else None
