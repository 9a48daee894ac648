"""The operator's settings: what describes the cluster, by environment variables RESNET_*.

The chart sets them from its values. A ResNetService says nothing of the cluster, so that it can
move to another one unchanged.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from resnet_operator.settings.autoscaling import AutoscalingSettings
from resnet_operator.settings.devices import DeviceSettings
from resnet_operator.settings.pods import ContainerResources, HelperPods, Maker, PodSecurity
from resnet_operator.settings.store import S3Settings, StoreSettings, StoreType

__all__ = ["AdoptNewDefaults", "S3Settings", "Settings", "StoreSettings", "StoreType"]


class AdoptNewDefaults(StrEnum):
    ON_SPEC_CHANGE = "OnSpecChange"
    IMMEDIATELY = "Immediately"


class Settings(BaseSettings):
    """All settings; read once at start."""

    model_config = SettingsConfigDict(env_prefix="RESNET_", frozen=True, extra="ignore")

    namespaces: tuple[str, ...] = ()
    jobs_image: str
    # Of the containers that only move files, and small for it; empty: the jobs image.
    fetch_image: str = ""
    converter_images: dict[str, str] = Field(default_factory=dict)
    serving_images: dict[str, str] = Field(default_factory=dict)
    amct_image: str = ""
    export_image: str = ""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    store: StoreSettings = StoreSettings()
    # Of the containers that fetch: proxies, endpoints of object stores and hubs.
    source_environment: dict[str, str] = Field(default_factory=dict)
    devices: DeviceSettings = DeviceSettings()
    # Beside the dialect's own; the longest prefix wins.
    chip_resources: dict[str, str] = Field(default_factory=dict)
    runtime_class_name: str = ""
    gpu_runtime_class_name: str = ""
    scheduler_name: str = ""
    device_group: int = 1000
    # For a Prometheus that finds pods by prometheus.io/scrape and not by a PodMonitor.
    scrape_annotations: bool = True
    pod_security: PodSecurity = PodSecurity()
    helper_pods: HelperPods = HelperPods()
    container_resources: dict[Maker, ContainerResources] = Field(default_factory=dict)
    autoscaling: AutoscalingSettings = AutoscalingSettings()
    # Whether HTTPRoutes are watched and made; without it the chart gives no right to.
    gateway_api: bool = False
    # Whether bytes of downloads are read from logs; without it the chart gives no right to.
    progress_from_logs: bool = True
    # The local disk that a Job may use for the model and all that is made of it.
    scratch_size: str = Field(default="50Gi", pattern=r"^[1-9][0-9]*(Mi|Gi|Ti)$")
    adopt_new_defaults: AdoptNewDefaults = AdoptNewDefaults.ON_SPEC_CHANGE
    cluster_domain: str = "cluster.local"
    # Empty: those of the operator's own pod; see `cluster.families`.
    ip_families: tuple[Literal["IPv4", "IPv6"], ...] = ()
    workers: int = Field(default=16, ge=1, le=256)
    resync_seconds: float = Field(default=600, ge=1)
    retry_seconds: tuple[float, ...] = Field(default=(300, 900, 3600), min_length=1)
    # Of the pods of batches; empty: as the cluster gives to pods that name none.
    batch_priority_class: str = ""
    http_port: int = 8080
    # Where operators of one installation agree who acts; without a name there is only one.
    lease_name: str = ""
    lease_namespace: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "plain"] = "json"

    @property
    def installation(self) -> str:
        """Return the name by which other installations know this one; empty if it has none."""
        return f"{self.lease_namespace}/{self.lease_name}" if self.lease_name else ""

    @property
    def optional_kinds(self) -> frozenset[str]:
        """Return the kinds that are watched here and that a cluster may lack."""
        kinds = {
            "ResNetBatch": True,
            "HTTPRoute": self.gateway_api,
            "ScaledObject": self.autoscaling.provider == "KEDA",
        }
        return frozenset(kind for kind, is_on in kinds.items() if is_on)

    @property
    def has_ipv6(self) -> bool:
        """Tell whether pods may be asked by IPv6; nobody knows better where nothing is said."""
        return not self.ip_families or "IPv6" in self.ip_families


def by_longest_prefix(table: dict[str, str], chip: str) -> str | None:
    """Return the value whose key is the longest prefix of `chip`; key "" is the default."""
    fitting = [key for key in table if chip.startswith(key)]
    return table[max(fitting, key=len)] if fitting else None
