"""The rules of a pipeline, case by case."""

from __future__ import annotations

from typing import Any

from tests.cluster.rule_cases import case, one

AIPP: dict[str, Any] = {
    "conversion.preprocessing": {"pixelFormat": "RGB888", "source": {"height": 32, "width": 32}}
}
TENSOR = {"dataType": "FP32", "dims": [3, 8, 8]}
GRAPH: dict[str, Any] = {
    "accelerator.chip": "GPU",
    "model.format": "OneFlow",
    "model.inputs": [{"name": "INPUT_0", **TENSOR}],
    "model.outputs": [{"name": "OUTPUT_0", **TENSOR}],
}
ON_CHIP = "remove mean, std and swapRedBlue from serving.pipeline; conversion.preprocessing does"
RAW = "write conversion.preprocessing by its fields, or remove serving.pipeline"

PIPELINE_RULES = [
    one(
        "means on the scale 0..1",
        "serving.pipeline",
        {"mean": [0.485, 0.456, 0.406]},
        "these look like 0..1: multiply by 255",
        {"mean": [123.675, 116.28, 103.53]},
    ),
    one(
        "nothing can be divided by 0",
        "serving.pipeline",
        {"std": [58.4, 0, 57.4]},
        "write standard deviations above 0",
        {"std": [58.4, 0.5, 57.4]},
    ),
    *[
        one(
            f"{field} of two colours",
            "serving.pipeline",
            {field: [58.4, 57.4]},
            "write one number for all colours or one for each of the three",
            {field: [58.4]},
        )
        for field in ("mean", "std")
    ],
    *[
        case(
            f"the chip does {field} already",
            refused={**AIPP, "serving.pipeline": {field: value}},
            message=ON_CHIP,
            accepted={**AIPP, "serving.pipeline": {"resizeShortSide": 36}},
        )
        for field, value in [("mean", [5]), ("std", [5]), ("swapRedBlue", True)]
    ],
    case(
        "what raw AIPP wants to be sent is in no field",
        refused={"conversion.preprocessing": {"rawAIPP": "aipp_op {}"}, "serving.pipeline": {}},
        message=RAW,
        accepted={**AIPP, "serving.pipeline": {}},
    ),
    case(
        "OneFlow's image is somebody else's",
        refused={**GRAPH, "serving.pipeline": {"std": [255]}},
        message="remove serving.pipeline; OneFlow's image",
        accepted=GRAPH,
    ),
]
