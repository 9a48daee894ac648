"""From spec and settings to one flat set of decided values. Pure.

All defaults are resolved here, none in the schema, so that a stored object stays as the user
wrote it. `declared_digest` and the source key are over what is *declared*: a new version of the
operator with other defaults must not convert again or restart anybody.
"""

from __future__ import annotations

from resnet_contract.words import DEFAULT_TIMEOUT_SECONDS, ModelFormat
from resnet_operator.api.conversion import Conversion
from resnet_operator.api.kubernetes.reserved import NAME_RULES
from resnet_operator.api.serving.serving import BatchingMode, Warmup
from resnet_operator.api.source.formats import format_of
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.batches import declared_batches
from resnet_operator.resolve.order import check_order
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.rollout import rollout_options
from resnet_operator.resolve.runtimes.devices import device_request
from resnet_operator.resolve.runtimes.images import (
    amct_image,
    converter_image,
    export_image,
    serving_image,
)
from resnet_operator.resolve.runtimes.oneflow import CPU, GPU, check_triton, gpu_request
from resnet_operator.resolve.runtimes.rows import ROWS, runtime_of
from resnet_operator.resolve.secrets import check_secrets
from resnet_operator.resolve.source_key import source_key
from resnet_operator.resolve.thresholds import check_bars, check_tuning
from resnet_operator.settings.operator import Settings


def resolve(*, name: str, uid: str, spec: ResNetServiceSpec, settings: Settings) -> Resolved:
    """Decide every value; raises InvalidSpec where spec and settings do not fit."""
    check_secrets(spec, settings)
    if broken := next((row for row in NAME_RULES if row.broken(name)), None):
        raise InvalidSpec(broken.message)
    if spec.serving.http_route and not settings.gateway_api:
        raise InvalidSpec(
            "serving.httpRoute: the Gateway API is switched off here; set gatewayAPI in the "
            "operator's settings, or write serving.ingress"
        )
    chip = spec.accelerator.chip
    on_chip = chip not in {CPU, GPU}
    conversion, batching = spec.conversion, spec.serving.batching
    model_format = format_of(spec.model)
    check_bars(spec, model_format)
    runtime = runtime_of(spec, model_format)
    check_triton(spec, model_format)
    check_tuning(spec, runtime)
    row = ROWS[runtime]
    converts = on_chip and row.converts
    batches = declared_batches(spec, model_format)
    is_oneflow = model_format is ModelFormat.ONEFLOW
    devices = device_request(spec, settings) if on_chip else None
    if chip == GPU:
        devices = gpu_request(spec, settings)
    count = spec.accelerator.count or 1
    dynamic = not (batching and batching.mode is BatchingMode.DISABLED)
    delay = batching.max_queue_delay_microseconds if batching else None
    load_timeout = spec.serving.load_timeout_seconds or row.load_seconds
    resolved = Resolved(
        spec=spec,
        model_name=spec.model.name or name,
        chip=chip,
        on_chip=on_chip,
        chip_count=count,
        resource=devices.resource if devices else None,
        more_resources=devices.more if devices else {},
        share_bytes=devices.memory if devices else None,
        virtual_device=bool(devices and devices.virtual),
        runtime=runtime,
        format=model_format,
        batch_sizes=batches.sizes,
        small_channel=_small_channel(conversion),
        amct_image=amct_image(conversion, settings) if converts else None,
        export_image=export_image(model_format, settings, runtime),
        converter_image=converter_image(spec, settings) if converts else None,
        serving_image=serving_image(spec, settings, runtime),
        max_batch_size=batches.largest,
        preferred_batch_sizes=batches.preferred,
        dynamic_batching=dynamic and not (is_oneflow and batches.largest == 1),
        max_queue_delay_microseconds=1000 if delay is None else delay,
        instances=count * (spec.serving.instances_per_chip or 1),
        warmup=spec.serving.warmup is not Warmup.DISABLED and row.warms_up,
        load_timeout_seconds=load_timeout,
        timeout_seconds=(conversion and conversion.timeout_seconds) or DEFAULT_TIMEOUT_SECONDS,
        retries=2 if conversion is None or conversion.retries is None else conversion.retries,
        rollout=rollout_options(
            spec.rollout,
            load_timeout_seconds=load_timeout,
            runtime=runtime,
            routed=spec.serving.http_route is not None,
        ),
        replicas=spec.serving.replicas,
        suspended=bool(spec.suspend),
        source_key=source_key(uid=uid, spec=spec),
    )
    check_order(resolved)
    return resolved


def _small_channel(conversion: Conversion | None) -> bool:
    """Return what is declared, else true with the fields of preprocessing."""
    if conversion is None:
        return False
    if conversion.small_channel is not None:
        return conversion.small_channel
    return conversion.preprocessing is not None and conversion.preprocessing.raw_aipp is None
