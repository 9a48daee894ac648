"""The settings of the cluster's chips; a part of `settings`, by the variable RESNET_DEVICES."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from resnet_operator.settings.store import CONFIG

ChipMemory = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}[MG]i$")]


class Dialect(StrEnum):
    """Whose device plugin and scheduler hand out the chips."""

    MIND_CLUSTER = "MindCluster"
    MIND_CLUSTER_VOLCANO = "MindClusterVolcano"
    HAMI = "HAMi"
    CCE = "CCE"


class Driver(StrEnum):
    """How the driver's libraries come into a pod."""

    RUNTIME = "Runtime"
    CLAIM = "PersistentVolumeClaim"
    HOST_PATH = "HostPath"


class DeviceSettings(BaseModel):
    """What describes the cluster's chips."""

    model_config = CONFIG

    dialect: Dialect = Dialect.MIND_CLUSTER
    # Whether serving pods select nodes by MindCluster's label of the chip: old plugins have none.
    select_chip: bool = False
    # How often MindCluster's device plugin offers each chip: its flag -shareDevCount.
    share_count: int = Field(default=1, ge=1, le=100)
    # What pods can have of a chip's memory, by the beginning of its name, before our own table.
    chip_memory: dict[str, ChipMemory] = Field(default_factory=dict)
    driver: Driver = Driver.RUNTIME
    driver_claim_name: str = Field(default="ascend-driver", min_length=1)
    driver_path: str = Field(default="/usr/local/Ascend/driver", pattern=r"^/")
