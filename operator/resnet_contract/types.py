"""The data of the order's optional blocks; `blocks` fills it, every command reads it.

Apart from the parsing so that a module can name a type without pulling in the checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resnet_contract.address import SourceSpec


@dataclass(frozen=True)
class DeclaredTensor:
    """An input or output as its author declares it: `dims` without the batch dimension."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    layout: str | None = None


@dataclass(frozen=True)
class PyTorch:
    """What the object says of the network that the file holds only the weights of."""

    architecture: str | None = None
    classes: int | None = None
    checkpoint_key: str | None = None
    strip_prefix: str | None = None
    style: str | None = None
    stem: str | None = None


@dataclass(frozen=True)
class Crop:
    """`top` and `left` are None where the window is centred."""

    top: int | None
    left: int | None
    height: int
    width: int


@dataclass(frozen=True)
class Preprocessing:
    """What AIPP does to a picture on the chip. With `raw_aipp` nothing else is set.

    `short_side` and `interpolation` are the client's part: how a picture is resized before the
    middle is cut out; without the first it just covers what is sent.
    """

    pixel_format: str
    source_height: int
    source_width: int
    crop: Crop | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    swap_red_blue: bool
    raw_aipp: str | None
    short_side: int | None = None
    interpolation: str = "Bilinear"
    says_colours: bool = False  # whether the object says the order of the colours at all


@dataclass(frozen=True)
class Pictures:
    """How pictures become the floats of a network that nothing scales for."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    swap_red_blue: bool
    short_side: int | None
    interpolation: str


@dataclass(frozen=True)
class Calibration:
    """The pictures that quantization measures its ranges with."""

    source: SourceSpec
    sha256: str | None
    format: str
    batches: int


@dataclass(frozen=True)
class Quantization:
    """What AMCT does. With `raw_config` nothing but the calibration is set."""

    calibration: Calibration
    skip_layers: tuple[str, ...]
    joint_quantization: bool
    raw_config: str | None


@dataclass(frozen=True)
class Dataset:
    """The labelled pictures the gate measures with; `labels` is a path inside them."""

    source: SourceSpec
    sha256: str | None
    format: str
    labels: str | None


@dataclass(frozen=True)
class StatedLoad:
    """The load at which latency is measured: one of requests in flight and requests a second."""

    concurrency: int | None
    requests_per_second: int | None
    batch: int


@dataclass(frozen=True)
class Diagnose:
    """When to look for causes; thresholds as floats: they decide about the looking alone."""

    when: str
    thresholds: Mapping[str, float]
    quantized: bool = False
    skip_layers: tuple[str, ...] | None = ()  # None where a text of AMCT's own says it
    joint: bool = False
    calibration_batches: int | None = None


@dataclass(frozen=True)
class TritonSettings:
    """What is tuned; `instances` are those of one chip."""

    max_batch: int
    preferred: tuple[int, ...]
    delay_microseconds: int
    instances: int

    def to_json(self) -> dict[str, Any]:
        """Under the names that spec.serving has for them."""
        return {
            "maxBatchSize": self.max_batch,
            "preferredBatchSizes": list(self.preferred),
            "maxQueueDelayMicroseconds": self.delay_microseconds,
            "instancesPerChip": self.instances,
        }


def preferred_by_default(sizes: tuple[int, ...], largest: int) -> tuple[int, ...]:
    """What is preferred of ascending batch sizes where the object says nothing.

    Never 1: a preferred size of 1 sends every request alone and defeats the queue delay.
    """
    return tuple(size for size in sizes if 1 < size <= largest)[-2:]


@dataclass(frozen=True)
class Tuning:
    """What to look for, among which settings, and for how long; `declared` is where it begins."""

    objective: str
    p99_milliseconds: int | None
    batch_sizes: tuple[int, ...]
    instances: int
    chips: int
    seconds: int
    applies: bool
    declared: TritonSettings


@dataclass(frozen=True)
class ServedModel:
    """What Triton offers: names, types and shapes as a client sees them.

    `artifact` is the SHA-256 of the file it serves, None from an operator that does not tell.
    """

    name: str
    inputs: tuple[DeclaredTensor, ...]
    outputs: tuple[DeclaredTensor, ...]
    max_batch_size: int
    artifact: str | None = None
