"""Builds a ResNet as an ONNX model from its weights. Called by `convert`. Pure.

Batch normalization is folded into the convolution before it, computed in FP64: what compilers do
anyway, and quantizers want. Operators and names are plain ones that ATC and AMCT know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from resnet_jobs.checkpoints.architecture import Architecture, Stem
from resnet_jobs.checkpoints.weights_file import Entry

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

OPSET = 13
IR_VERSION = 8
BATCH = "batch"


def build(
    architecture: Architecture,
    weights: Mapping[str, Entry],
    *,
    name: str,
    output: str,
    size: tuple[int, int],
) -> onnx.ModelProto:
    """Pictures [batch, channels, *size] in, scores [batch, classes] out, no softmax."""
    graph = _Graph(weights, architecture.epsilon)
    height, width = size
    value = _stem(graph, architecture, name)
    inputs = value
    for stage, count in enumerate(architecture.blocks, start=1):
        for index in range(count):
            halves = index == 0 and (stage > 1 or architecture.halves_at_once)
            inputs = _block(
                graph, architecture, f"layer{stage}.{index}", inputs, stride=2 if halves else 1
            )
    pooled = graph.node("GlobalAveragePool", [inputs], "avgpool")
    flat = graph.node("Flatten", [pooled], "flatten", axis=1)
    graph.dense(flat, output)
    picture = helper.make_tensor_value_info(
        name, TensorProto.FLOAT, [BATCH, architecture.channels, height, width]
    )
    scores = helper.make_tensor_value_info(output, TensorProto.FLOAT, [BATCH, architecture.classes])
    made = helper.make_graph(graph.nodes, architecture.name, [picture], [scores], graph.constants)
    return helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="resnet-operator",
    )


def _stem(graph: _Graph, architecture: Architecture, picture: str) -> str:
    if architecture.stem is Stem.SMALL:
        return graph.convolution(picture, "conv1", "bn1", stride=1)
    if architecture.stem is Stem.DEEP:
        value = graph.convolution(picture, "conv1.0", "conv1.1", stride=2)
        value = graph.convolution(value, "conv1.3", "conv1.4", stride=1)
        value = graph.convolution(value, "conv1.6", "bn1", stride=1)
    else:
        value = graph.convolution(picture, "conv1", "bn1", stride=2)
    return graph.node(
        "MaxPool", [value], "maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    )


def _block(
    graph: _Graph, architecture: Architecture, block: str, inputs: str, *, stride: int
) -> str:
    names = ("1", "2", "3") if architecture.bottleneck else ("1", "2")
    strided = "2" if architecture.bottleneck and not architecture.stride_in_first else "1"
    value = inputs
    for name in names:
        groups = architecture.groups if name == "2" else 1
        value = graph.convolution(
            value,
            f"{block}.conv{name}",
            f"{block}.bn{name}",
            stride=stride if name == strided else 1,
            groups=groups,
            with_relu=name != names[-1],
        )
    around = _shortcut(graph, block, inputs, stride=stride)
    total = graph.node("Add", [value, around], f"{block}.add")
    return graph.node("Relu", [total], f"{block}.relu")


def _shortcut(graph: _Graph, block: str, inputs: str, *, stride: int) -> str:
    number = next((n for n in (0, 1) if f"{block}.downsample.{n}.weight" in graph.weights), None)
    if number is None:
        return inputs
    pools = number == 1 and stride > 1
    if pools:
        inputs = graph.node(
            "AveragePool",
            [inputs],
            f"{block}.downsample.0",
            kernel_shape=[stride, stride],
            strides=[stride, stride],
            ceil_mode=1,
            count_include_pad=0,
        )
    return graph.convolution(
        inputs,
        f"{block}.downsample.{number}",
        f"{block}.downsample.{number + 1}",
        stride=1 if pools else stride,
        with_relu=False,
    )


class _Graph:
    """Nodes and constants as they are added, in order."""

    def __init__(self, weights: Mapping[str, Entry], epsilon: float) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._epsilon = epsilon

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolution(
        self,
        inputs: str,
        name: str,
        norm: str,
        *,
        stride: int,
        groups: int = 1,
        with_relu: bool = True,
    ) -> str:
        kernel, bias = self._folded(name, norm)
        side = kernel.shape[-1]
        value = self.node(
            "Conv",
            [inputs, *self._constants(name, kernel, bias)],
            name,
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[side // 2] * 4,
            group=groups,
            dilations=[1, 1],
        )
        return self.node("Relu", [value], f"{name}.relu") if with_relu else value

    def dense(self, inputs: str, output: str) -> None:
        kernel = self._load("fc.weight")
        bias = self._load("fc.bias") if "fc.bias" in self.weights else np.zeros(len(kernel))
        constants = self._constants("fc", kernel, bias)
        self.nodes.append(
            helper.make_node("Gemm", [inputs, *constants], [output], name="fc", transB=1)
        )

    def _folded(self, name: str, norm: str) -> tuple[Array, Array]:
        """The convolution with the normalization behind it in its weights."""
        scale = self._load(f"{norm}.weight") / np.sqrt(
            self._load(f"{norm}.running_var") + self._epsilon
        )
        bias = self._load(f"{norm}.bias") - self._load(f"{norm}.running_mean") * scale
        return self._load(f"{name}.weight") * scale[:, None, None, None], bias

    def _load(self, name: str) -> Array:
        return self.weights[name].load().astype(np.float64)

    def _constants(self, name: str, *values: Array) -> list[str]:
        """Weight and bias. Quantizers add constants of their own, called name.weight and alike."""
        names = [f"{name}_{part}" for part in ("weight", "bias")]
        for one, value in zip(names, values, strict=True):
            self.constants.append(numpy_helper.from_array(value.astype(np.float32), one))
        return names
