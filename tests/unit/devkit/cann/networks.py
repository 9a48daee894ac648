"""Small networks with seeded weights, and a short way to convert and run them."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PICTURE = (3, 12, 12)
CLASSES = 5


def small_network(
    *,
    opset: int = 13,
    batch: int | str = "N",
    domains: Sequence[tuple[str, int]] = (),
    replaced: dict[str, tuple[str, str]] | None = None,
    reshape: Sequence[int] | None = None,
    hooks: dict[str, str] | None = None,
) -> onnx.ModelProto:
    """Conv, BatchNormalization, Relu, a residual Conv, pooling, Gemm: a ResNet in small.

    `replaced` gives a node, by its operator, another (operator, domain); `reshape` flattens by a
    Reshape to this shape.
    """
    random = np.random.default_rng(7)
    weights = {
        "w1": random.standard_normal((8, 3, 3, 3)) * 0.2,
        "b1": random.standard_normal(8),
        "scale": random.uniform(0.5, 1.5, 8),
        "shift": random.standard_normal(8),
        "mean": random.standard_normal(8),
        "variance": random.uniform(0.5, 1.5, 8),
        "w2": random.standard_normal((8, 8, 3, 3)) * 0.2,
        "w3": random.standard_normal((CLASSES, 8)),
        "b3": random.standard_normal(CLASSES),
    }
    constants = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    if reshape:
        constants.append(numpy_helper.from_array(np.array(reshape, np.int64), "flat_shape"))
    node = helper.make_node
    flatten = (
        node("Reshape", ["pooled", "flat_shape"], ["flat"], name="Reshape_7")
        if reshape
        else node("Flatten", ["pooled"], ["flat"], name="Flatten_7")
    )
    nodes = [
        node("Conv", ["input", "w1", "b1"], ["c1"], name="Conv_0", pads=[1, 1, 1, 1]),
        node(
            "BatchNormalization",
            ["c1", "scale", "shift", "mean", "variance"],
            ["n1"],
            name="BatchNormalization_1",
        ),
        node("Relu", ["n1"], ["r1"], name="Relu_2"),
        node("Conv", ["r1", "w2"], ["c2"], name="Conv_3", pads=[1, 1, 1, 1]),
        node("Add", ["c2", "r1"], ["a"], name="Add_4"),
        node("Relu", ["a"], ["r2"], name="Relu_5"),
        node("GlobalAveragePool", ["r2"], ["pooled"], name="GlobalAveragePool_6"),
        flatten,
        node("Gemm", ["flat", "w3", "b3"], ["output"], name="Gemm_8", transB=1),
    ]
    for entry in nodes:
        if entry.op_type in (replaced or {}):
            entry.op_type, entry.domain = (replaced or {})[entry.op_type]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, *PICTURE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, CLASSES])],
        constants,
    )
    imports = [helper.make_opsetid(domain, version) for domain, version in [("", opset), *domains]]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    helper.set_model_props(model, hooks or {})
    return model


def pictures(count: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, *PICTURE)).astype(np.float32)


def reference(model: onnx.ModelProto, batch: np.ndarray) -> np.ndarray:
    """What ONNX Runtime makes of it in single precision."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0])


def convert(*options: str, model: str = "net.onnx", output: str = "net") -> int:
    """Run the simulated atc in this process; the exit status."""
    from ascend_simulator.atc import main

    needed = ["--framework=5", f"--model={model}", f"--output={output}"]
    chosen = "" if any(o.startswith("--soc_version") for o in options) else "Ascend310P3"
    needed += [f"--soc_version={chosen}"] if chosen else []
    return main([*needed, *options], {"HOME": "home"})


def picture_network(height: int, width: int, channels: int = 3) -> bytes:
    """A network that hands its input on, so that a test sees what AIPP made."""
    shape = ["N", channels, height, width]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["seen"], name="Identity_0")],
        "picture",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("seen", TensorProto.FLOAT, shape)],
    )
    opsets = [helper.make_opsetid("", 11)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def through_aipp(
    folder: Path, text: str, picture: np.ndarray, size: tuple[int, int], channels: int = 3
) -> np.ndarray:
    """The picture as the network sees it: float32 [C,H,W]."""
    from ascend_simulator import om

    (folder / "picture.onnx").write_bytes(picture_network(*size, channels))
    (folder / "aipp.conf").write_text(text)
    shape = f"--input_shape=image:1,{channels},{size[0]},{size[1]}"
    assert convert(shape, "--insert_op_conf=aipp.conf", model="picture.onnx", output="picture") == 0
    header, graph = om.split((folder / "picture.om").read_bytes())
    (tensor,) = header.inputs
    assert (tensor.dtype, tensor.format, tensor.dims) == (4, 1, (1, *picture.shape))
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": picture[None]})[0][0])


class Chip:
    """pyACL as a program uses it: shortens the long way from a file to an answer."""

    def __init__(self) -> None:
        self.forget()
        self.acl: Any = importlib.import_module("acl")

    @staticmethod
    def forget() -> None:
        """The library's state is global: the next test imports it again."""
        for name in [name for name in sys.modules if name == "acl" or name.startswith("acl.")]:
            del sys.modules[name]

    def open(self, device: int = 0) -> None:
        assert self.acl.init() == 0
        assert self.acl.rt.set_device(device) == 0

    def load(self, path: Path | str) -> tuple[int, int]:
        """(model id, description)"""
        model, code = self.acl.mdl.load_from_file(str(path))
        assert code == 0, (code, self.acl.get_recent_err_msg())
        desc = self.acl.mdl.create_desc()
        assert self.acl.mdl.get_desc(desc, model) == 0
        return model, desc

    def dataset(self, sizes: Sequence[int]) -> tuple[int, list[int]]:
        """A dataset over fresh device memory, and the addresses."""
        dataset = self.acl.mdl.create_dataset()
        addresses = []
        for size in sizes:
            address, code = self.acl.rt.malloc(size, 0)
            assert code == 0
            buffer = self.acl.create_data_buffer(address, size)
            assert self.acl.mdl.add_dataset_buffer(dataset, buffer) == (dataset, 0)
            addresses.append(address)
        return dataset, addresses

    def datasets(self, desc: int) -> tuple[int, list[int], int, list[int]]:
        """Inputs and outputs as large as the description says."""
        mdl = self.acl.mdl
        ins = [mdl.get_input_size_by_index(desc, i) for i in range(mdl.get_num_inputs(desc))]
        outs = [mdl.get_output_size_by_index(desc, i) for i in range(mdl.get_num_outputs(desc))]
        return (*self.dataset(ins), *self.dataset(outs))

    def upload(self, address: int, array: np.ndarray) -> None:
        data = array.tobytes()
        pointer = self.acl.util.bytes_to_ptr(data)
        assert self.acl.rt.memcpy(address, len(data), pointer, len(data), 1) == 0

    def download(self, address: int, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        host, code = self.acl.rt.malloc_host(size)
        assert code == 0
        assert self.acl.rt.memcpy(host, size, address, size, 2) == 0
        data = self.acl.util.ptr_to_bytes(host, size)
        assert self.acl.rt.free_host(host) == 0
        return np.frombuffer(data, dtype).reshape(shape)
