#!/usr/bin/env python3
"""Write light-resnet50.onnx: a full-size ResNet-50 for speed tests, from the `onnx` package.

    python samples/light_resnet50.py [FILE]      # needs onnx; the file is about 66 KB

The package ships the network for its own tests. Its weights are constants (made by ConstantOfShape
nodes, so the file is small): the arithmetic has ResNet-50's size, but every picture gets the same
answer. The original is opset 9 and fixed at batch 1; here it becomes opset 13 with an open batch.
`tests/perf/triton_ratio.py` uses it too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

RENAMED = {"gpu_0/data_0": "data", "gpu_0/softmax_1": "softmax"}


def light_resnet50() -> Any:
    """Return the model as an onnx.ModelProto: data [N, 3, 224, 224] -> softmax [N, 1000]."""
    import onnx
    from onnx import numpy_helper, version_converter

    original = Path(onnx.__file__).parent / "backend/test/data/light/light_resnet50.onnx"
    model = version_converter.convert_version(onnx.load(original), 13)
    model.ir_version = 7  # older ones want the weights among the inputs
    graph = model.graph
    constants = {initializer.name: initializer for initializer in graph.initializer}
    for value in [*graph.input]:
        if value.name in constants:  # the style of old exporters: weights listed as inputs
            graph.input.remove(value)
    for node in graph.node:
        if node.op_type == "Reshape":  # [1, 2048]: the batch of the export is baked in
            shape = constants[node.input[1]]
            rows = numpy_helper.to_array(shape).copy()
            rows[0] = 0  # 0 = as in the input
            shape.CopyFrom(numpy_helper.from_array(rows, shape.name))
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = RENAMED.get(name, name)
    for value in [*graph.input, *graph.output]:
        value.name = RENAMED[value.name]
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del graph.value_info[:]  # shapes of batch 1
    used = {name for node in graph.node for name in node.input}
    for name in constants.keys() - used:
        graph.initializer.remove(constants[name])
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "light-resnet50.onnx")
    target.write_bytes(light_resnet50().SerializeToString())
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
