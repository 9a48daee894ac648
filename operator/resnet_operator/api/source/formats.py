"""Which format a model has: as declared, else by its suffix; for the rules and for the operator.

`FORMAT` is the CEL of `format_of`, and both are made from one table.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from resnet_contract.address import HUB_REVISIONS
from resnet_contract.words import ModelFormat
from resnet_operator.api.rules import matches
from resnet_operator.api.source.uri import REPOSITORY

if TYPE_CHECKING:
    from resnet_operator.api.model import Model

# What no suffix tells is ONNX.
SUFFIXES = {
    ModelFormat.PYTORCH: ("pth", "safetensors", "bin"),
    ModelFormat.TORCH_SCRIPT: ("torchscript",),
    ModelFormat.OM: ("om",),
}
# Weights and TorchScript are both saved under this name.
AMBIGUOUS = "pt"


def has_suffix(*suffixes: str) -> str:
    """Return the CEL that tells whether the file that `self.uri` names ends so."""
    suffix = suffixes[0] if len(suffixes) == 1 else f"({'|'.join(suffixes)})"
    ends = (
        f"[^?#]*[.]{suffix}([?#]|$)|({'|'.join(HUB_REVISIONS)})://[^@]*[.]{suffix}@"
        f"|oci://[^#]*#.*[.]{suffix}$"
    )
    return f"self.uri.matches('(?i)^({ends})')"


IS_REPOSITORY = f"self.uri.matches('{REPOSITORY}')"
_BY_SUFFIX = "".join(f"{has_suffix(*ends)} ? '{kind}' : " for kind, ends in SUFFIXES.items())
FORMAT = f"(has(self.format) ? self.format : {IS_REPOSITORY} ? 'PyTorch' : {_BY_SUFFIX}'ONNX')"
# The same for rules of the whole spec.
FORMAT_OF_SPEC = FORMAT.replace("self.", "self.model.")


def is_repository(model: Model) -> bool:
    return matches(REPOSITORY, model.uri)


def is_ambiguous(model: Model) -> bool:
    """Tell whether nothing says which of two kinds of file it is."""
    unsaid = model.format is None and not is_repository(model)
    return unsaid and _file_of(model.uri).endswith(f".{AMBIGUOUS}")


def format_of(model: Model) -> ModelFormat:
    """Return the format of the file."""
    return model.format or _format_of(model.uri)


@lru_cache(maxsize=4096)
def _format_of(uri: str) -> ModelFormat:
    if matches(REPOSITORY, uri):
        return ModelFormat.PYTORCH
    _, dot, suffix = _file_of(uri).rpartition(".")
    if not dot:
        return ModelFormat.ONNX
    return next((kind for kind, ends in SUFFIXES.items() if suffix in ends), ModelFormat.ONNX)


def _file_of(uri: str) -> str:
    """Return the part of a URI that ends in the file's suffix, if any part does, in lower case."""
    parts = urlsplit(uri.lower())
    if parts.scheme == "oci":
        return parts.fragment or parts.path
    before_revision = parts.path.partition("@")[0]
    is_after_file = parts.scheme in HUB_REVISIONS and before_revision.count("/") > 1
    return before_revision if is_after_file else parts.path
