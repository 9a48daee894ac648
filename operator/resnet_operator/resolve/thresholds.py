"""Which bars of the gate can never be judged: known before any Job, and so refused before it.

Called by `resolve`. What cannot be computed here is the same in `resnet_jobs.commands.evaluate`.
"""

from __future__ import annotations

from resnet_operator.api.model import ModelFormat
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec


def check_bars(spec: ResNetServiceSpec, model_format: ModelFormat) -> None:
    """Refuse bars that compare with the source model where ONNX Runtime cannot run it."""
    bars = spec.validation.thresholds if spec.validation else None
    if bars and bars.needing_reference and (why := _no_reference(spec, model_format)):
        raise InvalidSpec(f"remove validation.thresholds.{bars.needing_reference[0]}; {why}")


def _no_reference(spec: ResNetServiceSpec, model_format: ModelFormat) -> str:
    if model_format is ModelFormat.OM:
        return "there is no source model to compare an OM with"
    if spec.model.quantized:
        return "only ATC can read what AMCT has quantized, so there is nothing to compare with"
    preprocessing = spec.conversion and spec.conversion.preprocessing
    if preprocessing and preprocessing.raw_aipp is not None:
        return "what the source model would see is not known with preprocessing.rawAIPP"
    return ""
