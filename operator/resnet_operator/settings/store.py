"""The settings of the artifact store; a part of `settings`, by the variable RESNET_STORE."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

CONFIG = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class StoreType(StrEnum):
    SERVER = "Server"
    SHARED_CLAIM = "SharedClaim"
    S3 = "S3"


class S3Settings(BaseModel):
    """A bucket. Secret and ConfigMap are of the same name in each namespace with ResNetServices.

    The Secret has AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if need be, AWS_SESSION_TOKEN; the
    ConfigMap has ca.crt.
    """

    model_config = CONFIG

    endpoint: str = Field(pattern=r"^https?://[^/?#@]+/?$")
    bucket: str = Field(min_length=3)
    region: str = ""
    prefix: str = ""
    secret_name: str = Field(min_length=1)
    ca_bundle_config_map: str | None = None


class StoreSettings(BaseModel):
    """Where artifacts lie between the Job that makes them and the pods that serve them."""

    model_config = CONFIG

    type: StoreType = StoreType.SERVER
    image: str = ""
    size: str = "20Gi"
    storage_class_name: str | None = None
    claim_name: str | None = None
    s3: S3Settings | None = None
    # Artifacts that nobody uses go after so many days; None keeps them all.
    keep_unused_days: float | None = Field(default=7, gt=0)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.type is StoreType.S3 and self.s3 is None:
            raise ValueError("store.type S3 needs store.s3")
        return self

    def children(self) -> dict[str, Any]:
        """Return what the store's own objects are made of."""
        return self._without("keep_unused_days")

    def place(self) -> dict[str, Any]:
        """Return what serving pods see of it: a change of the rest restarts none of them."""
        return self._without("keep_unused_days", "image", "size", "storage_class_name")

    def _without(self, *names: str) -> dict[str, Any]:
        value = self.model_dump(mode="json", exclude=set(names))
        return value if value["s3"] else {key: value[key] for key in value if key != "s3"}
