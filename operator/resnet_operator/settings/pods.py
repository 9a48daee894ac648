"""What a cluster asks of every pod that is made: users, quotas, meshes. Part of `settings`."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field, model_validator

from resnet_operator.settings.store import CONFIG

QuantityMap = dict[str, str | int]


class Maker(StrEnum):
    """All containers of the pods that the operator makes."""

    FETCH = "fetch"
    EXPORT = "export"
    PREPARE = "prepare"
    PUBLISH = "publish"
    EVALUATE = "evaluate"
    ARTIFACT = "artifact"
    STORE = "store"
    QUANTIZE = "quantize"
    CONVERT = "convert"
    TRITON = "triton"


class ContainerResources(BaseModel):
    """Beside or instead of the container's own defaults, resource by resource."""

    model_config = CONFIG

    requests: QuantityMap = Field(default_factory=dict)
    limits: QuantityMap = Field(default_factory=dict)


class PodSecurity(BaseModel):
    """Null leaves a field out: OpenShift then takes it from the namespace's range."""

    model_config = CONFIG

    run_as_user: int | None = Field(default=1000, ge=1)
    run_as_group: int | None = Field(default=1000, ge=1)
    fs_group: int | None = Field(default=1000, ge=1)


# A sidecar that never ends would keep a Job from ending; the store is reached from Jobs and from
# init containers, which have none.
NO_SIDECAR = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "kuma.io/sidecar-injection": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
}
NO_SIDECAR_LABELS = {
    key: NO_SIDECAR[key] for key in ("sidecar.istio.io/inject", "kuma.io/sidecar-injection")
}


class HelperPods(BaseModel):
    """Labels and annotations of the pods that convert, measure and store."""

    model_config = CONFIG

    labels: dict[str, str] = Field(default_factory=lambda: dict(NO_SIDECAR_LABELS))
    annotations: dict[str, str] = Field(default_factory=lambda: dict(NO_SIDECAR))

    @model_validator(mode="after")
    def _ours_stay(self) -> HelperPods:
        ours = ("app.kubernetes.io/", "serving.resnet-operator.io/")
        if taken := sorted(key for key in self.labels if key.startswith(ours)):
            raise ValueError(f"helperPods.labels may not have {taken[0]}: the operator sets it")
        return self
