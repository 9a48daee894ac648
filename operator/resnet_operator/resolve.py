"""From spec and settings to one flat set of decided values. Pure.

All defaults are resolved here, none in the schema, so that a stored object stays as the user
wrote it. `source_key` and `declared_digest` are over what is *declared*: a new version of the
operator with other defaults must not convert again or restart anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from resnet_operator.api.spec import BatchingMode, ResNetServiceSpec, Warmup
from resnet_operator.errors import InvalidSpec
from resnet_operator.names import digest
from resnet_operator.settings import AdoptNewDefaults, Settings, by_longest_prefix

# Raised by hand when the Job would make another artifact from the same declaration.
RECIPE = 1
DEFAULT_BATCH_SIZES = (1, 2, 4, 8)
CPU = "CPU"
ASCEND_OM = "AscendOM"
ONNX_RUNTIME = "ONNXRuntime"


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Everything that was decided; `spec` stays at hand for what is passed through."""

    spec: ResNetServiceSpec
    model_name: str
    chip: str
    on_chip: bool
    chip_count: int
    resource: str | None
    runtime: str
    batch_sizes: tuple[int, ...]
    converter_image: str | None
    serving_image: str
    max_batch_size: int
    preferred_batch_sizes: tuple[int, ...]
    dynamic_batching: bool
    max_queue_delay_microseconds: int
    instances: int
    warmup: bool
    load_timeout_seconds: int
    timeout_seconds: int
    retries: int
    progress_deadline_seconds: int
    replicas: int
    suspended: bool
    source_key: str


def resolve(*, name: str, uid: str, spec: ResNetServiceSpec, settings: Settings) -> Resolved:
    """Decide every value; raises InvalidSpec where spec and settings do not fit."""
    _check_uri(spec.model.uri)
    chip = spec.accelerator.chip
    on_chip = chip != CPU
    runtime = ASCEND_OM if on_chip else ONNX_RUNTIME
    conversion, batching = spec.conversion, spec.serving.batching
    batch_sizes = tuple((conversion and conversion.batch_sizes) or DEFAULT_BATCH_SIZES)
    count = spec.accelerator.count or 1
    max_batch_size = (batching and batching.max_batch_size) or batch_sizes[-1]
    if max_batch_size > batch_sizes[-1]:
        raise InvalidSpec(
            f"serving.batching.maxBatchSize is {max_batch_size}, the largest of "
            f"conversion.batchSizes is {batch_sizes[-1]}; raise batchSizes or lower maxBatchSize"
        )
    dynamic = not (batching and batching.mode is BatchingMode.DISABLED)
    delay = batching.max_queue_delay_microseconds if batching else None
    return Resolved(
        spec=spec,
        model_name=spec.model.name or name,
        chip=chip,
        on_chip=on_chip,
        chip_count=count,
        resource=_resource(spec, settings) if on_chip else None,
        runtime=runtime,
        batch_sizes=batch_sizes,
        converter_image=_converter_image(spec, settings) if on_chip else None,
        serving_image=_serving_image(spec, settings, runtime),
        max_batch_size=max_batch_size,
        preferred_batch_sizes=_preferred(spec, batch_sizes, max_batch_size),
        dynamic_batching=dynamic,
        max_queue_delay_microseconds=1000 if delay is None else delay,
        instances=count * (spec.serving.instances_per_chip or 1),
        warmup=spec.serving.warmup is not Warmup.DISABLED,
        load_timeout_seconds=spec.serving.load_timeout_seconds or 300,
        timeout_seconds=(conversion and conversion.timeout_seconds) or 3600,
        retries=2 if conversion is None or conversion.retries is None else conversion.retries,
        progress_deadline_seconds=(spec.rollout and spec.rollout.progress_deadline_seconds) or 1800,
        replicas=spec.serving.replicas,
        suspended=bool(spec.suspend),
        source_key=source_key(uid=uid, spec=spec),
    )


def source_key(*, uid: str, spec: ResNetServiceSpec) -> str:
    """Return the 16-digit key of what is declared about the artifact.

    A source with a digest is the same file for everybody, so objects share the record and the
    Job. Without one it may be another file next week: the key then belongs to this object.
    The URI is part of the key in both cases: a corrected URI must be tried anew. The same file at
    two places still converts once, because the store is asked by content after the download.
    """
    conversion = spec.conversion
    declared: dict[str, Any] = {
        "recipe": RECIPE,
        "uri": spec.model.uri,
        "sha256": spec.model.sha256,
        "format": spec.model.format,
        "chip": spec.accelerator.chip,
        "conversion": conversion.model_dump(
            mode="json",
            exclude_none=True,
            include={
                "image",
                "batch_sizes",
                "input_shapes",
                "precision_mode",
                "op_select_impl_mode",
            },
        )
        if conversion
        else {},
    }
    if not spec.model.sha256:
        declared |= {"uid": uid, "refetch": spec.model.refetch}
    return digest(declared, 16)


def declared_digest(
    *, resolved: Resolved, artifact_sha256: str, labels: str | None, settings: Settings
) -> str:
    """Return the 10-digit name of a revision: the declared serving spec and the artifact."""
    spec = resolved.spec
    declared: dict[str, Any] = {
        "name": resolved.model_name,
        "labels": digest(labels) if labels is not None else None,
        "accelerator": spec.accelerator.model_dump(mode="json", exclude_none=True),
        "batchSizes": spec.conversion and spec.conversion.batch_sizes,
        "serving": spec.serving.model_dump(
            mode="json", exclude_none=True, exclude={"replicas", "service"}
        ),
        "artifact": artifact_sha256,
    }
    if settings.adopt_new_defaults is AdoptNewDefaults.IMMEDIATELY:
        declared["settings"] = settings.model_dump(
            mode="json", include={"jobs_image", "serving_images", "chip_resources", "store"}
        )
    return digest(declared, 10)


def _check_uri(uri: str) -> None:
    try:
        urlsplit(uri)
    except ValueError as error:
        # The CRD's rules cannot see every one, an unclosed [ of an IPv6 address for example.
        raise InvalidSpec(f"spec.model.uri cannot be read ({error}); correct it") from error


def _resource(spec: ResNetServiceSpec, settings: Settings) -> str:
    chip = spec.accelerator.chip
    resource = spec.accelerator.resource_name or by_longest_prefix(settings.chip_resources, chip)
    if not resource:
        raise InvalidSpec(
            f"no resource name is known for chip {chip}; set accelerator.resourceName, "
            "or chipResources in the operator's settings"
        )
    return resource


def _converter_image(spec: ResNetServiceSpec, settings: Settings) -> str:
    chip = spec.accelerator.chip
    image = (spec.conversion and spec.conversion.image) or by_longest_prefix(
        settings.converter_images, chip
    )
    if not image:
        raise InvalidSpec(
            f"no CANN image is set for chip {chip}; set conversion.image, "
            "or images.converter in the operator's settings"
        )
    return image


def _serving_image(spec: ResNetServiceSpec, settings: Settings, runtime: str) -> str:
    image = spec.serving.image or settings.serving_images.get(runtime)
    if not image:
        raise InvalidSpec(
            f"no serving image is set for runtime {runtime}; set serving.image, "
            "or images.serving in the operator's settings"
        )
    return image


def _preferred(
    spec: ResNetServiceSpec, batch_sizes: tuple[int, ...], max_batch_size: int
) -> tuple[int, ...]:
    batching = spec.serving.batching
    if batching and batching.preferred_batch_sizes:
        too_large = [size for size in batching.preferred_batch_sizes if size > max_batch_size]
        if too_large:
            raise InvalidSpec(
                f"serving.batching.preferredBatchSizes has {too_large[0]}, above the largest "
                f"batch {max_batch_size}; remove it"
            )
        return tuple(batching.preferred_batch_sizes)
    # Never 1: a preferred size of 1 sends every request alone and defeats the queue delay.
    return tuple(size for size in batch_sizes if 1 < size <= max_batch_size)[-2:]
