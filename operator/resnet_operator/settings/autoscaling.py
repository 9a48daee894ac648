"""What makes autoscalers of `serving.autoscaling`; a part of `settings`, by RESNET_AUTOSCALING."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


class AutoscalingSettings(BaseModel):
    """KEDA asks Prometheus itself, so its address is needed; an HPA asks the metrics APIs."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    provider: Literal["HPA", "KEDA"] = "HPA"
    prometheus_address: str = ""

    @model_validator(mode="after")
    def _has_what_keda_asks(self) -> Self:
        if self.provider == "KEDA" and not self.prometheus_address:
            raise ValueError("autoscaling.prometheusAddress: write the address of Prometheus")
        return self
