"""Puts AIPP in front of a compiled graph, as ordinary operators. Called by compiler.py.

The input becomes uint8 NHWC of the source's size. The order is the hardware's: channel swap, crop,
colour conversion, (x - mean - min) * reciprocal, padding; the numbers behind the conversion are
half precision. The colour conversion is whole-number arithmetic, `>> 8`, limited to 0..255; a
chroma value stands for its four pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ascend_simulator.errors import AtcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ascend_simulator.aipp import Aipp

CHANNELS = {"YUV420SP_U8": 1, "XRGB8888_U8": 4, "RGB888_U8": 3, "YUV400_U8": 1}
"""C of the served input. A YUV420SP picture is H*3/2 rows of one channel: Y, then U and V."""
WIDEST_PADDED = 1080
"""On 310P and 910; 4096 elsewhere."""


def fit(model: onnx.ModelProto, ops: Sequence[Aipp], soc_version: str) -> dict[str, Aipp]:
    """Input name -> its AIPP, with every size filled in from the network."""
    inputs = list(model.graph.input)
    fitted = {}
    for op in ops:
        if op.rank >= len(inputs):
            raise AtcError(
                "E10052", f"related_input_rank is {op.rank}; the model has {len(inputs)} inputs"
            )
        value = inputs[op.rank]
        dims = value.type.tensor_type.shape.dim
        if len(dims) != 4:
            raise AtcError("E10052", f"input {value.name} is no picture: it has {len(dims)} sizes")
        channels, height, width = (dim.dim_value for dim in list(dims)[1:])
        fitted[value.name] = _fit(op, channels, height, width, soc_version)
    return fitted


def _fit(op: Aipp, channels: int, height: int, width: int, soc_version: str) -> Aipp:
    op = replace(op, source_h=op.source_h or height, source_w=op.source_w or width)
    produced_h, produced_w = op.source_h, op.source_w
    if op.crop:
        top, left, crop_h, crop_w = op.crop
        crop_h, crop_w = crop_h or height, crop_w or width
        if top + crop_h > op.source_h or left + crop_w > op.source_w:
            raise AtcError("E10052", "the crop of the network's size does not lie in the source")
        op = replace(op, crop=(top, left, crop_h, crop_w))
        produced_h, produced_w = crop_h, crop_w
    if op.padding:
        produced_w += op.padding[0] + op.padding[1]
        produced_h += op.padding[2] + op.padding[3]
        widest = WIDEST_PADDED if soc_version.startswith(("Ascend310P", "Ascend910A")) else 4096
        if produced_w > widest:
            raise AtcError("E10052", f"the padded width is {produced_w}, more than {widest}")
    if (produced_h, produced_w) != (height, width):
        raise AtcError(
            "E10052",
            f"AIPP gives {produced_h} rows of {produced_w} pixels; "
            f"the model takes {height} of {width}",
        )
    made = _made(op)
    if channels > made:
        raise AtcError("E10052", f"the model takes {channels} channels; AIPP gives {made}")
    return op


def _made(op: Aipp) -> int:
    """How many channels come out, before the network takes the first of them."""
    three = op.matrix or op.input_format == "YUV420SP_U8"
    return 3 if three else CHANNELS[op.input_format]


def insert(model: onnx.ModelProto, fitted: dict[str, Aipp]) -> None:
    """Change the graph: the named inputs become pictures."""
    for value in model.graph.input:
        if value.name in fitted:
            _Front(model, value, fitted[value.name]).build()


class _Front:
    """The operators in front of one input."""

    def __init__(self, model: onnx.ModelProto, value: onnx.ValueInfoProto, op: Aipp) -> None:
        self.graph = model.graph
        self.value = value
        self.op = op
        self.nodes: list[onnx.NodeProto] = []
        dims = value.type.tensor_type.shape.dim
        self.batch: int | str = dims[0].dim_value or dims[0].dim_param
        self.channels = dims[1].dim_value
        self.type = value.type.tensor_type.elem_type

    def build(self) -> None:
        network_input = f"{self.value.name}/aipp"
        for node in self.graph.node:
            node.input[:] = [network_input if n == self.value.name else n for n in node.input]
        yuv420 = self.op.input_format == "YUV420SP_U8"
        planes = self._yuv420() if yuv420 else self._packed()
        planes = self._crop(planes)
        if self.op.matrix:
            planes = self._convert(planes)
        planes = self._take_channels(planes)
        planes = self._normalise(planes)
        planes = self._pad(planes)
        self._add("Cast", [planes], name=network_input, to=self.type)
        body = list(self.graph.node)
        del self.graph.node[:]
        self.graph.node.extend([*self.nodes, *body])
        rows = self.op.source_h * 3 // 2 if yuv420 else self.op.source_h
        shape = [self.batch, rows, self.op.source_w, CHANNELS[self.op.input_format]]
        self.value.CopyFrom(
            helper.make_tensor_value_info(self.value.name, TensorProto.UINT8, shape)
        )

    def _add(self, operator: str, inputs: list[str], name: str = "", **attributes: object) -> str:
        output = name or f"{self.value.name}/aipp/{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, array: np.ndarray | np.floating) -> str:
        name = f"{self.value.name}/aipp/c{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _ints(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def _slice(self, source: str, axis: int, start: int, end: int) -> str:
        return self._add("Slice", [source, self._ints(start), self._ints(end), self._ints(axis)])

    def _packed(self) -> str:
        """NHWC bytes to floating NCHW, channels in the order in which AIPP counts them."""
        wide = self._add("Cast", [self.value.name], to=TensorProto.FLOAT)
        planes = self._add("Transpose", [wide], perm=[0, 3, 1, 2])
        order = list(range(CHANNELS[self.op.input_format]))
        if self.op.swap_ax and len(order) == 4:  # XRGB to RGBX
            order = [*order[1:], order[0]]
        if self.op.swap_rb and len(order) > 1:
            order[0], order[2] = order[2], order[0]
        if order == sorted(order):
            return planes
        return self._add("Gather", [planes, self._ints(*order)], axis=1)

    def _yuv420(self) -> str:
        """NV12 bytes to three planes Y, U, V of the picture's size."""
        height, width = self.op.source_h, self.op.source_w
        wide = self._add("Cast", [self.value.name], to=TensorProto.FLOAT)
        luma = self._add(
            "Reshape", [self._slice(wide, 1, 0, height), self._ints(-1, 1, height, width)]
        )
        pairs = self._add(
            "Reshape",
            [
                self._slice(wide, 1, height, height * 3 // 2),
                self._ints(-1, height // 2, width // 2, 2),
            ],
        )
        chroma = self._add("Transpose", [pairs], perm=[0, 3, 1, 2])
        if self.op.swap_rb:  # NV21
            chroma = self._add("Gather", [chroma, self._ints(1, 0)], axis=1)
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        chroma = self._add(
            "Resize",
            [chroma, self._constant(np.zeros(0, np.float32)), scales],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return self._add("Concat", [luma, chroma], axis=1)

    def _crop(self, planes: str) -> str:
        if not self.op.crop:
            return planes
        top, left, height, width = self.op.crop
        return self._slice(self._slice(planes, 2, top, top + height), 3, left, left + width)

    def _convert(self, planes: str) -> str:
        """All sums stay below 2 ** 24, so that single precision is exact."""
        matrix = np.array(self.op.matrix, np.float32).reshape(3, 3)
        bias = np.array(self.op.bias, np.float32)
        if CHANNELS[self.op.input_format] == 4:
            planes = self._slice(planes, 1, 0, 3)
        if self.op.input_format == "YUV400_U8":
            matrix = matrix[:, :1]
        before = -matrix @ bias[: matrix.shape[1]] if self.op.is_yuv else np.zeros(3, np.float32)
        weights = self._constant(matrix[:, :, None, None].astype(np.float32))
        sums = self._add("Conv", [planes, weights, self._constant(before.astype(np.float32))])
        shifted = self._add("Mul", [sums, self._constant(np.float32(1 / 256))])
        whole = self._add("Floor", [shifted])
        if not self.op.is_yuv:
            whole = self._add("Add", [whole, self._constant(bias.reshape(1, 3, 1, 1))])
        limits = [self._constant(np.float32(limit)) for limit in (0, 255)]
        return self._add("Clip", [whole, *limits])

    def _take_channels(self, planes: str) -> str:
        if self.channels == _made(self.op):
            return planes
        return self._slice(planes, 1, 0, self.channels)

    def _normalise(self, planes: str) -> str:
        def channels(values: Sequence[float]) -> np.ndarray:
            return np.array(values[: self.channels], np.float32).reshape(1, -1, 1, 1)

        minimum = channels(self.op.minimum).astype(np.float16).astype(np.float32)
        shift = channels(self.op.mean) + minimum
        factor = channels(self.op.reciprocal).astype(np.float16).astype(np.float32)
        if shift.any():
            planes = self._half(self._add("Sub", [planes, self._constant(shift)]))
        if (factor != 1).any():
            planes = self._half(self._add("Mul", [planes, self._constant(factor)]))
        return planes

    def _half(self, planes: str) -> str:
        narrow = self._add("Cast", [planes], to=TensorProto.FLOAT16)
        return self._add("Cast", [narrow], to=TensorProto.FLOAT)

    def _pad(self, planes: str) -> str:
        if not self.op.padding:
            return planes
        left, right, top, bottom = self.op.padding
        pads = self._ints(0, 0, top, left, 0, 0, bottom, right)
        value = np.float32(np.float16(self.op.padding_value))
        return self._add("Pad", [planes, pads, self._constant(value)])
