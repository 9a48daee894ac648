"""`spec.model`: where the model lies and what it is called."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resnet_contract.address import SHOWN
from resnet_contract.networks import Architecture, Stem, Style
from resnet_contract.words import MOST_CLASSES, ModelFormat, TensorType
from resnet_operator.api.base import ApiModel, Sha256, optional, text
from resnet_operator.api.pod import ConfigMapKeyRef, LocalObjectReference
from resnet_operator.api.rules import Rule
from resnet_operator.api.serving.oneflow import oneflow_model_rules
from resnet_operator.api.source.formats import (
    AMBIGUOUS,
    FORMAT,
    IS_REPOSITORY,
    format_of,
    has_suffix,
    is_ambiguous,
    is_repository,
)
from resnet_operator.api.source.uri import ModelUri


class PyTorch(ApiModel):
    architecture: Architecture | None = optional(
        "Network that the weights must be of, by timm's and torchvision's names; default the "
        "one that is found in them. Runtime TorchAIE needs it."
    )
    classes: int | None = optional(
        "Number of classes that the weights must have; default as found. For runtime TorchAIE "
        "default 1000.",
        ge=1,
        le=MOST_CLASSES,
    )
    checkpoint_key: str | None = optional(
        "Key of the weights in the checkpoint, for example state_dict; default as found.",
        min_length=1,
        max_length=128,
    )
    strip_prefix: str | None = optional(
        "Prefix to remove from the weights' names, for example 'module.'; default that of "
        "known wrappers.",
        min_length=1,
        max_length=128,
    )
    style: Style | None = optional(
        "Which convolution of a bottleneck halves: the 3x3 (PyTorch) or the first 1x1 (Caffe), "
        "where a checkpoint of mmcls does not tell it."
    )
    stem: Stem | None = optional(
        "CIFAR: the first convolution is 3x3, and the stem neither halves nor pools; where the "
        "weights do not tell it."
    )


class DeclaredTensor(ApiModel):
    name: Annotated[str, Field(min_length=1, max_length=127)] = Field(
        description="Name of the tensor."
    )
    data_type: TensorType = Field(description="Triton type, for example FP32.")
    dims: Annotated[
        list[Annotated[int, Field(ge=1, le=1048576)]], Field(min_length=1, max_length=8)
    ] = Field(description="Shape without the batch dimension.")


DeclaredTensors = Annotated[
    list[DeclaredTensor],
    Field(
        min_length=1,
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    ),
]


class ClassLabels(ApiModel):
    config_map_key_ref: ConfigMapKeyRef = Field(
        description=(
            "ConfigMap key that holds one label a line, the first line being class 0; or JSON: a "
            "list, or an object such as a hub's id2label."
        )
    )
    output: Annotated[str, Field(min_length=1, max_length=127)] | None = optional(
        "Output whose classes are named; default the one with as many classes."
    )


class Model(ApiModel):
    """Where the model lies and what it is called."""

    uri: ModelUri = Field(
        description=f"Where the model lies: {SHOWN}. ONNX weights in other files are fetched from "
        "beside it, but for configmap."
    )
    sha256: Sha256 | None = optional(
        "SHA-256 of the model file in hexadecimal; checked after the download, and objects "
        "with the same digest and options share one conversion."
    )
    refetch: str | None = optional(
        "Free text; change it to have a URI without sha256 fetched again.", max_length=64
    )
    format: ModelFormat | None = optional(
        "Format of the file; default by its suffix: .onnx, .om, .torchscript, or .pth, .bin "
        "and .safetensors for PyTorch, else ONNX; of a hub's repository without a path "
        "PyTorch. OneFlow is a folder, or an archive of one."
    )
    pytorch: PyTorch | None = optional(
        "What is known of the weights in a PyTorch or safetensors file, where they do not tell "
        "it themselves."
    )
    quantized: bool | None = optional(
        "True for an ONNX model that AMCT has quantized already; default false."
    )
    name: (
        Annotated[
            str,
            *text(
                r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
                "write letters, digits, '_', '.' and '-', beginning with a letter or a digit",
                max_length=128,
            ),
        ]
        | None
    ) = optional("Name of the model in Triton; default metadata.name.")
    class_labels: ClassLabels | None = optional(
        "Names of the classes, which Triton returns for a request with class_count."
    )
    credentials_secret_ref: LocalObjectReference | None = optional(
        "Secret with the login of the sources, mounted where they are fetched and nowhere "
        "else, for example AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, HF_TOKEN, "
        "or username and password."
    )
    ca_bundle_config_map_key_ref: ConfigMapKeyRef | None = optional(
        "ConfigMap key with PEM certificates that the sources' servers are trusted by."
    )
    inputs: DeclaredTensors | None = optional(
        "The model's inputs, where a TorchScript file, an OM or a OneFlow graph does not tell them."
    )
    outputs: DeclaredTensors | None = optional(
        "The model's outputs, where an OM, a quantized model or a OneFlow graph does not tell "
        "them, or with runtime TorchAIE."
    )

    RULES = (
        Rule(
            f"has(self.format) || {IS_REPOSITORY} || !{has_suffix(AMBIGUOUS)}",
            is_ambiguous,
            "write format: PyTorch or TorchScript; files of both are called .pt",
        ),
        Rule(
            f"!has(self.pytorch) || {FORMAT} == 'PyTorch'",
            lambda it: it.pytorch is not None and format_of(it) is not ModelFormat.PYTORCH,
            "remove pytorch, or write format: PyTorch; only bare weights need a network",
        ),
        Rule(
            f"!has(self.quantized) || !self.quantized || {FORMAT} == 'ONNX'",
            lambda it: it.quantized and format_of(it) is not ModelFormat.ONNX,
            "remove quantized; only an ONNX model can come quantized",
        ),
        Rule(
            f"has(self.inputs) || {FORMAT} != 'TorchScript'",
            lambda it: it.inputs is None and format_of(it) is ModelFormat.TORCH_SCRIPT,
            "write inputs, for example [{name: input, dataType: FP32, dims: [3, 224, 224]}]; "
            "a TorchScript file does not tell how large they are",
        ),
        Rule(
            f"!has(self.inputs) || {FORMAT} != 'ONNX'",
            lambda it: it.inputs is not None and format_of(it) is ModelFormat.ONNX,
            "remove inputs; an ONNX model names them itself, and conversion.inputShapes closes "
            "their open dimensions",
        ),
        Rule(
            f"!{IS_REPOSITORY} || {FORMAT} != 'OneFlow'",
            lambda it: is_repository(it) and format_of(it) is ModelFormat.ONEFLOW,
            "write the path of the archive behind the repository; a OneFlow graph is a folder",
        ),
        *oneflow_model_rules(),
    )
