"""Which thresholds of the gate can never be judged: known before any Job, and so refused before it.

Called by `resolve`. What cannot be computed here is the same in `resnet_jobs.commands.evaluate`.
"""

from __future__ import annotations

from resnet_contract.words import ModelFormat
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.config_overrides import tuned_field
from resnet_operator.resolve.runtimes.rows import ROWS


def check_bars(spec: ResNetServiceSpec, model_format: ModelFormat) -> None:
    """Refuse thresholds on what is not measured: likeness to no source."""
    thresholds = spec.validation.thresholds if spec.validation else None
    if thresholds and thresholds.needing_reference and (why := _no_reference(spec, model_format)):
        raise InvalidSpec(f"remove validation.thresholds.{thresholds.needing_reference[0]}; {why}")


def check_tuning(spec: ResNetServiceSpec, runtime: Runtime) -> None:
    """Refuse to look for settings where nothing is measured or something else sets them."""
    tuning, overrides = spec.tuning, spec.serving.config_overrides
    if tuning is None:
        return
    if not ROWS[runtime].tunes:
        raise InvalidSpec(
            f"remove tuning; runtime {runtime} compiles while it loads, each trial would take "
            "minutes"
        )
    if overrides and (field := tuned_field(overrides)):
        raise InvalidSpec(
            f"remove {field} from serving.configOverrides, or remove tuning; what it would find "
            "could not be served beside it"
        )


def _no_reference(spec: ResNetServiceSpec, model_format: ModelFormat) -> str:
    if model_format is ModelFormat.OM:
        return "there is no source model to compare an OM with"
    if spec.model.quantized:
        return "only ATC can read what AMCT has quantized, so there is nothing to compare with"
    preprocessing = spec.conversion and spec.conversion.preprocessing
    if preprocessing and preprocessing.raw_aipp is not None:
        return "what the source model would see is not known with preprocessing.rawAIPP"
    return ""
