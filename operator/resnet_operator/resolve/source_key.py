"""What is declared about an artifact, as one key: objects with the same key share it. Pure."""

from __future__ import annotations

from typing import Any

from resnet_operator.api.conversion import Role, fields_with
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.spec import Accelerator, ResNetServiceSpec
from resnet_operator.names import digest

# Raised by hand when the Job would make another artifact from the same declaration.
RECIPE = 1
# What of spec.conversion decides the artifact. Where and how long it is made does not.
DECIDING = set(fields_with(Role.DECIDES, Role.ORDERED))

# By what means an artifact is made: another login or more time makes the same one, if any.
MEANS_OF_MODEL = {"credentials_secret_ref", "ca_bundle_config_map_key_ref"}
MEANS_OF_CONVERSION = set(fields_with(Role.MEANS))


def attempt_inputs_key(spec: ResNetServiceSpec) -> str:
    """Return a short key of the means; what failed with some is tried again with others."""
    conversion = spec.conversion
    means = spec.model.model_dump(mode="json", exclude_none=True, include=MEANS_OF_MODEL)
    if conversion:
        means |= conversion.model_dump(mode="json", exclude_none=True, include=MEANS_OF_CONVERSION)
    if spec.container_resources:
        own = spec.container_resources.model_dump(
            mode="json", exclude_none=True, exclude={"artifact", "evaluate"}
        )
        means |= {"containerResources": own} if own else {}
    return digest(means, 8) if means else ""


def source_key(*, uid: str, spec: ResNetServiceSpec) -> str:
    """Return the 16-digit key of what is declared about the artifact.

    A source with a digest is the same file for everybody, so objects share the record and the
    Job. Without one it may be another file next week: the key then belongs to this object.
    The URI is part of the key in both cases: a corrected URI must be tried again. The same file at
    two places still converts once, because the store is asked by content after the download.
    """
    model, conversion = spec.model, spec.conversion
    declared: dict[str, Any] = {
        "recipe": RECIPE,
        "uri": model.uri,
        "sha256": model.sha256,
        "format": model.format,
        "chip": spec.accelerator.chip,
        "conversion": conversion.model_dump(mode="json", exclude_none=True, include=DECIDING)
        if conversion
        else {},
    }
    declared |= model.model_dump(
        mode="json", exclude_none=True, include={"pytorch", "quantized", "inputs", "outputs"}
    )
    if spec.serving.runtime is Runtime.TORCH_AIE:  # the same file, not converted
        declared["runtime"] = spec.serving.runtime
    declared |= _part(spec.accelerator)
    if not _is_pinned(spec):
        declared |= {"uid": uid, "refetch": model.refetch}
    return digest(declared, 16)


def _part(accelerator: Accelerator) -> dict[str, str]:
    """Return what is declared of a vNPU; memory makes one in some clusters, so it counts too.

    How much memory does not: the model is the same.
    """
    share = accelerator.share
    if part := accelerator.slice or (share and share.template):
        return {"slice": part}
    return {"slice": "memory"} if share and share.memory is not None else {}


def _is_pinned(spec: ResNetServiceSpec) -> bool:
    """Tell whether all sources have a digest."""
    quantization = spec.conversion and spec.conversion.quantization
    return bool(spec.model.sha256) and (not quantization or bool(quantization.calibration.sha256))
