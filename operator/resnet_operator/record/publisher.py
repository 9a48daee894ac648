"""What the publisher of a model says of it, as a message or a record holds it.

It is text from strangers, checked in the Job and again here. A record is written once, so what a
revision takes from it stays as it is when the publisher writes something else. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from resnet_contract.words import Interpolation

Side = Annotated[int, Field(ge=8, le=4096)]
Means = Annotated[tuple[Annotated[float, Field(ge=0, le=255)], ...], Field(max_length=3)]
Scales = Annotated[tuple[Annotated[float, Field(ge=0.001, le=65504)], ...], Field(max_length=3)]


@dataclass(frozen=True, slots=True)
class PublishedLabels:
    """One label a line, a file of the store under its digest."""

    count: Annotated[int, Field(ge=1, le=100_000)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=1, le=2_000_000, validation_alias="sizeBytes")]

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "sha256": self.sha256, "sizeBytes": self.size_bytes}


@dataclass(frozen=True, slots=True)
class Publisher:
    """`source` names the files, `input_size` is height and width, `mean` and `std` are on the scale
    0..255, `crop_pct` is the input's part of the short side that a picture is resized to.
    """

    source: Annotated[str, Field(max_length=512)] = ""
    labels: PublishedLabels | None = None
    input_size: Annotated[tuple[Side, Side] | None, Field(validation_alias="inputSize")] = None
    mean: Means = ()
    std: Scales = ()
    swap_red_blue: Annotated[bool | None, Field(validation_alias="swapRedBlue")] = None
    crop_pct: Annotated[float | None, Field(ge=0.1, le=1, validation_alias="cropPct")] = None
    interpolation: Interpolation | None = None

    @property
    def has_scale(self) -> bool:
        return len(self.mean) == len(self.std) and len(self.mean) in {1, 3}

    def to_json(self) -> dict[str, Any]:
        """Return it as the Job wrote it."""
        value: Mapping[str, Any] = {
            "source": self.source,
            "labels": self.labels and self.labels.to_json(),
            "inputSize": self.input_size and list(self.input_size),
            "mean": list(self.mean),
            "std": list(self.std),
            "swapRedBlue": self.swap_red_blue,
            "cropPct": self.crop_pct,
            "interpolation": self.interpolation,
        }
        return {key: item for key, item in value.items() if item not in (None, [])}

    def shown(self) -> dict[str, Any]:
        """Return it as a status says it: of the labels how many there are."""
        return self.to_json() | ({"labels": self.labels.count} if self.labels else {})
