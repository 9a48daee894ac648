"""What kind of file the model is: as declared, else by its suffix; and what each kind needs.

Called by `resolve`. The CRD's rules say the same; this is for objects that are older than they.
Pure.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from resnet_contract.words import ModelFormat
from resnet_operator.api.model import Model
from resnet_operator.api.source import REPOSITORY
from resnet_operator.errors import InvalidSpec

SUFFIXES = {
    ".onnx": ModelFormat.ONNX,
    ".om": ModelFormat.OM,
    ".pth": ModelFormat.PYTORCH,
    ".safetensors": ModelFormat.PYTORCH,
    ".bin": ModelFormat.PYTORCH,
    ".torchscript": ModelFormat.TORCH_SCRIPT,
}
# Weights and TorchScript are both saved under this name.
AMBIGUOUS = ".pt"


def format_of(model: Model) -> ModelFormat:
    """Return the format; raises InvalidSpec where the rest of the model does not fit it."""
    path = _file_of(model.uri).lower()
    is_repository = re.search(REPOSITORY, model.uri) is not None
    if model.format is None and path.endswith(AMBIGUOUS) and not is_repository:
        raise InvalidSpec(
            "write model.format: PyTorch or TorchScript; files of both are called .pt"
        )
    usual = ModelFormat.PYTORCH if is_repository else _by_suffix(path)
    found = model.format or usual
    if found is ModelFormat.ONEFLOW and is_repository:
        raise InvalidSpec(
            "write the path of the archive behind the repository; a OneFlow graph is a folder"
        )
    if found is not ModelFormat.PYTORCH and model.pytorch is not None:
        raise InvalidSpec(f"remove model.pytorch, or write model.format: PyTorch; it is {found}")
    if found is not ModelFormat.ONNX and model.quantized:
        raise InvalidSpec(f"remove model.quantized; only ONNX can come quantized, this is {found}")
    if found is ModelFormat.TORCH_SCRIPT and not model.inputs:
        raise InvalidSpec(
            "write model.inputs, for example [{name: input, dataType: FP32, dims: [3, 224, 224]}]; "
            "a TorchScript file does not tell how large its inputs are"
        )
    if found is ModelFormat.ONNX and model.inputs:
        raise InvalidSpec(
            "remove model.inputs; an ONNX model names its inputs itself, and "
            "conversion.inputShapes closes their open dimensions"
        )
    return found


def _by_suffix(path: str) -> ModelFormat:
    return next(
        (kind for suffix, kind in SUFFIXES.items() if path.endswith(suffix)), ModelFormat.ONNX
    )


def _file_of(uri: str) -> str:
    """Return the part of a URI that ends in the file's suffix, if any part does."""
    parts = urlsplit(uri)
    if parts.scheme == "oci":
        return parts.fragment or parts.path
    before_revision = parts.path.partition("@")[0]
    is_after_file = parts.scheme in ("hf", "modelscope") and before_revision.count("/") > 1
    return before_revision if is_after_file else parts.path
