"""What clients are told of a model: kept in its revision, shown while that serves."""

from __future__ import annotations

from typing import Any

from resnet_operator.record.artifact import Artifact
from resnet_operator.render.triton.config import output_types
from resnet_operator.render.triton.pipeline import pipeline_name
from resnet_operator.resolve.resolved import Resolved

CONTRACT_KEY = "contract.json"


def model_contract(resolved: Resolved, artifact: Artifact) -> dict[str, Any]:
    """Return `status.model` of an artifact that is served as the spec says."""
    pipeline = pipeline_name(resolved)
    return {
        "name": resolved.model_name,
        "sha256": artifact.model_sha256,
        "sizeBytes": artifact.model_size_bytes,
        **({"opset": artifact.opset} if artifact.opset else {}),
        "inputs": [tensor.to_json() for tensor in artifact.inputs],
        "outputs": [tensor.to_json() for tensor in output_types(artifact)],
        **({"pipeline": pipeline} if pipeline else {}),
        **_origin(artifact),
    }


def _origin(artifact: Artifact) -> dict[str, Any]:
    """Return where in a hub the model was found, and what its publisher says of it."""
    source = {"file": artifact.source_file, "revision": artifact.source_revision}
    told = {key: value for key, value in source.items() if value}
    publisher = artifact.publisher.shown() if artifact.publisher else {}
    return {k: v for k, v in {"source": told, "publisher": publisher}.items() if v}
