"""What `resolve` decided about one ResNetService; everything below works from this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resnet_contract.types import TritonSettings
from resnet_contract.words import ModelFormat
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.resolve.rollout import RolloutOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """Everything that was decided; `spec` stays at hand for what is passed through."""

    spec: ResNetServiceSpec
    model_name: str
    chip: str
    on_chip: bool
    chip_count: int
    resource: str | None
    more_resources: Mapping[str, str]
    share_bytes: int | None  # what a replica may take of its chip's memory, where that is bounded
    virtual_device: bool
    runtime: Runtime
    format: ModelFormat
    batch_sizes: tuple[int, ...]
    small_channel: bool
    converter_image: str | None
    amct_image: str | None
    export_image: str | None
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
    rollout: RolloutOptions
    replicas: int
    suspended: bool
    source_key: str
    tuned: TritonSettings | None = None  # what the gate has found and apply: Auto gives to pods

    @property
    def progress_deadline_seconds(self) -> int:
        return self.rollout.progress_deadline_seconds

    @property
    def uris(self) -> tuple[str, ...]:
        """Return where the Jobs fetch from, the model first."""
        conversion = self.spec.conversion
        quantization = conversion.quantization if conversion and self.amct_image else None
        more = (quantization.calibration.uri,) if quantization else ()
        return (self.spec.model.uri, *more, *self.gate_uris[1:])

    @property
    def gate_uris(self) -> tuple[str, ...]:
        """Return where the gate's Job fetches from, the model first; nothing without a gate."""
        validation = self.spec.validation
        return (self.spec.model.uri, validation.dataset.uri) if validation else ()

    @property
    def op_cache_claim(self) -> str | None:
        """Return the claim on which ATC keeps compiled operators."""
        conversion = self.spec.conversion
        cache = conversion.op_compiler_cache if conversion and self.on_chip else None
        return cache.persistent_volume_claim if cache else None
