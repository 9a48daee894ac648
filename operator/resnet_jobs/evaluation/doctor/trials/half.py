"""What the network would answer with some of its numbers in half precision, in ONNX Runtime.

An imitation as `predict` is one: an AI Core stores what an operator makes in FP16, and multiplies
FP16. Numbers above 65504 stay there, as on the chips before the 910B.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.evaluation.doctor.graph import MATRIX

if TYPE_CHECKING:
    from collections.abc import Collection

LARGEST = 65504.0


def halved(model: Any, *, kept: Collection[str] = (), matrix_only: bool = False) -> Any:
    """A copy that rounds what its operators make, but for the kept ones.

    With `matrix_only` the inputs of matrix operators alone are rounded, and no result is.
    """
    import onnx
    from onnx import helper, numpy_helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    floats = _floats(copy)
    for name, value in (("half/lowest", -LARGEST), ("half/highest", LARGEST)):
        graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    nodes: list[Any] = []

    def rounded(source: str, target: str) -> None:
        clip, narrow = f"{target}/half/clip", f"{target}/half/narrow"
        limits = ["half/lowest", "half/highest"]
        nodes.append(helper.make_node("Clip", [source, *limits], [clip]))
        nodes.append(helper.make_node("Cast", [clip], [narrow], to=onnx.TensorProto.FLOAT16))
        nodes.append(helper.make_node("Cast", [narrow], [target], to=onnx.TensorProto.FLOAT))

    for number, node in enumerate(graph.node):
        is_matrix = node.op_type in MATRIX
        if node.name in kept or (matrix_only and not is_matrix):
            nodes.append(node)
            continue
        if is_matrix:
            for place, source in enumerate(node.input):
                if source in floats:
                    node.input[place] = f"{source}/half/{number}"
                    rounded(source, node.input[place])
        made = [] if matrix_only else [name for name in node.output if name in floats]
        for name in made:
            node.output[list(node.output).index(name)] = f"{name}/wide"
        nodes.append(node)
        for name in made:
            rounded(f"{name}/wide", name)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return copy


def _floats(model: Any) -> set[str]:
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    single = onnx.TensorProto.FLOAT
    typed = (*graph.input, *graph.value_info, *graph.output)
    found = {value.name for value in typed if value.type.tensor_type.elem_type == single}
    return found | {one.name for one in graph.initializer if one.data_type == single}
