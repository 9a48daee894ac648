"""`spec.model`: where the model lies and what it is called."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import ApiModel, Sha256, cel, rule, text
from resnet_operator.api.pod import ConfigMapKeyRef


class ModelFormat(StrEnum):
    ONNX = "ONNX"


class ClassLabels(ApiModel):
    config_map_key_ref: ConfigMapKeyRef = Field(
        description="ConfigMap key that holds one label a line, the first line being class 0."
    )


class Model(ApiModel):
    """Where the model lies and what it is called."""

    uri: str = Field(
        min_length=1,
        max_length=2048,
        description=(
            "Where the model lies: pvc://<claim>/<path>, configmap://<name>/<key>, "
            "http://… or https://…."
        ),
        json_schema_extra=cel(
            rule(
                "self.startsWith('pvc://') || self.startsWith('configmap://') || "
                "self.startsWith('http://') || self.startsWith('https://')",
                "write pvc://<claim>/<path>, configmap://<name>/<key>, http://… or https://…; "
                "other schemes are not supported yet",
            ),
            rule(
                "!self.matches('^https?://[^/]*@')",
                "remove the user and password from the URI; anyone who may read the object "
                "could read them",
            ),
            rule(
                "!self.startsWith('pvc://') || "
                "self.matches('^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[^/].*$')",
                "write pvc://<claim>/<path to the file>, for example pvc://models/resnet50.onnx",
            ),
            rule(
                "!self.startsWith('configmap://') || "
                "self.matches('^configmap://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+$')",
                "write configmap://<name>/<key>, for example configmap://models/digits.onnx",
            ),
            rule("!self.contains('/../') && !self.endsWith('/..')", "remove '..' from the path"),
            rule(
                r"!self.matches('^https?://') || self.matches(r'^https?://[^/?#\s]+/\S+$')",
                "write the host and the path of the file, without spaces, for example "
                "https://models.example.com/resnet50.onnx",
            ),
        ),
    )
    sha256: Sha256 | None = Field(
        default=None,
        description=(
            "SHA-256 of the model file in hexadecimal; checked after the download, and objects "
            "with the same digest and options share one conversion."
        ),
    )
    refetch: str | None = Field(
        default=None,
        max_length=64,
        description="Free text; change it to have a URI without sha256 fetched again.",
    )
    format: ModelFormat | None = Field(
        default=None, description="Format of the file; default ONNX."
    )
    name: (
        Annotated[
            str,
            text(
                r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
                "write letters, digits, '_', '.' and '-', beginning with a letter or a digit",
                max_length=128,
            ),
        ]
        | None
    ) = Field(default=None, description="Name of the model in Triton; default metadata.name.")
    class_labels: ClassLabels | None = Field(
        default=None,
        description="Names of the classes, which Triton returns for a request with class_count.",
    )
