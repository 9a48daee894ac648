"""What a Job is asked to do, as a ResNetService declares it: all of the order but the store.

`check_order` reads it as the Job will, so that nothing is accepted here which is refused in a pod.
Called by `resolve`; `render` adds the store, and for the gate the measured artifact. Pure.
"""

from __future__ import annotations

from typing import Any

from resnet_contract.fields import OrderError
from resnet_contract.order import parse_order
from resnet_contract.types import TritonSettings
from resnet_contract.words import (
    DEFAULT_CALIBRATION_BATCHES,
    DEFAULT_CALIBRATION_FORMAT,
    DiagnoseWhen,
    ModelFormat,
    TuningObjective,
)
from resnet_operator.api.conversion import Role, fields_with
from resnet_operator.api.gate.tuning import Tuning
from resnet_operator.api.validation import Validation
from resnet_operator.errors import InvalidSpec
from resnet_operator.record.latency import measured_load
from resnet_operator.record.measurement import loops_of
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.rows import ROWS

CALIBRATION_DEFAULTS = {
    "format": DEFAULT_CALIBRATION_FORMAT,
    "batches": DEFAULT_CALIBRATION_BATCHES,
}
ORDERED = set(fields_with(Role.ORDERED))
# Where every Job finds some store: which one decides nothing about the rest of the order.
ANY_STORE = {"type": "SharedClaim", "path": "/store"}


def check_order(resolved: Resolved) -> None:
    """Raise InvalidSpec with the Job's own sentence for what no Job could carry out."""
    order = conversion_order(resolved) | {"store": ANY_STORE}
    if asked := resolved.spec.validation:
        order |= gate_order(asked, resolved)
    try:
        parse_order(order)
    except OrderError as error:
        raise InvalidSpec(str(error)) from error


def conversion_order(resolved: Resolved) -> dict[str, Any]:
    """Return what is to be made of which model."""
    model, conversion = resolved.spec.model, resolved.spec.conversion
    order: dict[str, Any] = {
        "uri": model.uri,
        "sha256": model.sha256,
        "format": resolved.format,
        "chip": resolved.chip,
        "batchSizes": _batch_sizes(resolved),
        "timeoutSeconds": resolved.timeout_seconds,
    }
    declared = model.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        include={"pytorch", "quantized", "inputs", "outputs"},
    )
    for field, key in (("inputs", "declaredInputs"), ("outputs", "declaredOutputs")):
        if field in declared:
            order[key] = declared.pop(field)
    order |= declared
    if own := _own_means(resolved):
        order["ownMeans"] = own
    if conversion:
        order |= conversion.model_dump(
            mode="json", by_alias=True, exclude_none=True, include=ORDERED
        )
        _spread(order.get("preprocessing") or {})
        if quantization := order.get("quantization"):
            quantization.pop("image", None)
            quantization["calibration"] = CALIBRATION_DEFAULTS | quantization["calibration"]
    if not ROWS[resolved.runtime].converts:
        order["runtime"] = resolved.runtime
    switches = {
        "smallChannel": resolved.small_channel,
        "virtualDevice": resolved.virtual_device,
        "opCompilerCache": bool(conversion and conversion.op_compiler_cache),
    }
    return order | {key: True for key, on in switches.items() if on}


def gate_order(asked: Validation, resolved: Resolved) -> dict[str, Any]:
    """Return what is to be measured, and with which pictures."""
    load = measured_load(asked.benchmark.load) if asked.benchmark else None
    return {
        "dataset": asked.dataset.model_dump(mode="json", by_alias=True, exclude_none=True),
        "benchmark": {"loops": loops_of(asked)} | ({"load": load} if load else {}),
        "diagnose": _diagnosis_order(asked, resolved),
    } | ({"tuning": _tuning_order(tuning, resolved)} if (tuning := resolved.spec.tuning) else {})


def _tuning_order(tuning: Tuning, resolved: Resolved) -> dict[str, Any]:
    """Return what to look for and among which settings; an OM's sizes are not known at first."""
    largest = tuning.max_batch_size or max(resolved.batch_sizes, default=0)
    bounds = {"p99_milliseconds", "instances_per_chip", "budget_minutes", "apply"}
    return {
        "objective": tuning.objective or TuningObjective.THROUGHPUT,
        **tuning.model_dump(mode="json", by_alias=True, exclude_none=True, include=bounds),
        "batchSizes": [size for size in resolved.batch_sizes if size <= largest],
        "chips": resolved.chip_count,
        "declared": declared_settings(resolved).to_json(),
    }


def declared_settings(resolved: Resolved) -> TritonSettings:
    """Return the settings that the object declares, defaults included."""
    return TritonSettings(
        max_batch=resolved.max_batch_size,
        preferred=resolved.preferred_batch_sizes,
        delay_microseconds=resolved.max_queue_delay_microseconds,
        instances=resolved.spec.serving.instances_per_chip or 1,
    )


def _diagnosis_order(asked: Validation, resolved: Resolved) -> dict[str, Any]:
    """Return when to look for causes. The thresholds decide about that and about nothing else."""
    thresholds = asked.thresholds
    given = (
        thresholds.model_dump(mode="json", by_alias=True, exclude_none=True) if thresholds else {}
    )
    order = {"when": asked.diagnose or DiagnoseWhen.ON_FAILURE, "thresholds": given}
    conversion = resolved.spec.conversion
    quantization = conversion.quantization if conversion and resolved.amct_image else None
    if quantization is None:
        return order
    return order | {
        "quantized": True,
        "rawConfig": quantization.raw_config is not None,
        "skipLayers": list(quantization.skip_layers or ()),
        "jointQuantization": bool(quantization.joint_quantization),
        "calibrationBatches": quantization.calibration.batches or DEFAULT_CALIBRATION_BATCHES,
    }


def _spread(preprocessing: dict[str, Any]) -> None:
    """Write one number for all colours once for each: AIPP wants as many as there are channels."""
    if preprocessing.get("pixelFormat") in {None, "YUV400"}:
        return
    for name in ("mean", "std"):
        values = preprocessing.get(name)
        if values and len(values) == 1:
            preprocessing[name] = values * 3


def _batch_sizes(resolved: Resolved) -> list[int] | None:
    """Of an OM only what is declared: the file tells its own, and both are compared."""
    if resolved.format is not ModelFormat.OM:
        return list(resolved.batch_sizes)
    conversion = resolved.spec.conversion
    return conversion.batch_sizes if conversion else None


def _own_means(resolved: Resolved) -> dict[str, str]:
    """Return what the object brings itself and what an artifact may be made wrongly by.

    It becomes a part of the content key: other objects never take what was made with it.
    """
    conversion = resolved.spec.conversion
    quantization = conversion.quantization if conversion else None
    means = {
        "convert": conversion.image if conversion else None,
        "quantize": quantization.image if quantization else None,
        "opCache": resolved.op_cache_claim,
    }
    return {name: value for name, value in means.items() if value}
