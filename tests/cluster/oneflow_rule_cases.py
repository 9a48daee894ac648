"""The rules of format OneFlow and chip GPU, case by case."""

from __future__ import annotations

from typing import Any

from tests.cluster.rule_cases import DEVICE, case


def tensors(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "dataType": "FP32", "dims": [3, 224, 224]} for name in names]


GPU: dict[str, Any] = {
    "model.uri": "pvc://models/resnet50/model",
    "model.format": "OneFlow",
    "model.inputs": tensors("INPUT_0"),
    "model.outputs": tensors("OUTPUT_0"),
    "accelerator.chip": "GPU",
}
CPU = {**GPU, "accelerator.chip": "CPU"}
INPUTS = "write inputs in the order of the graph, and name them INPUT_0, INPUT_1 and so on"
OUTPUTS = "write outputs in the order of the graph, and name them OUTPUT_0, OUTPUT_1 and so on"
CHIP = "write chip GPU (or CPU) with model.format OneFlow, and an Ascend chip or CPU with others"
XRT = "write xrt TensorRT with chip GPU, or OpenVINO with chip CPU"

GATE: dict[str, Any] = {
    "dataset": {"uri": "pvc://data/test.tar", "format": "ImageFolder"},
    "thresholds": {"minTop1": "0.5"},
}

ONEFLOW_RULES = [
    *[
        case(reason, refused={**GPU, **refused}, message=message, accepted={**GPU, **accepted})
        for reason, refused, message, accepted in [
            ("a name of the user's own", {"model.inputs": tensors("image")}, INPUTS, {}),
            (
                "an input is left out",
                {"model.inputs": tensors("INPUT_0", "INPUT_2")},
                INPUTS,
                {"model.inputs": tensors("INPUT_0", "INPUT_1", "INPUT_2")},
            ),
            (
                "another order than the graph's",
                {"model.inputs": tensors("INPUT_1", "INPUT_0")},
                INPUTS,
                {"model.inputs": tensors("INPUT_0", "INPUT_1")},
            ),
            (
                "the same number, written otherwise",
                {"model.outputs": tensors("OUTPUT_00")},
                OUTPUTS,
                {"model.outputs": tensors(*(f"OUTPUT_{index}" for index in range(16)))},
            ),
        ]
    ],
    case(
        "nobody can read a graph's inputs here",
        refused={key: value for key, value in GPU.items() if key != "model.inputs"},
        message=INPUTS,
        accepted=GPU,
    ),
    case(
        "nor its outputs",
        refused={key: value for key, value in GPU.items() if key != "model.outputs"},
        message=OUTPUTS,
        accepted=GPU,
    ),
    case(
        "ONNX on a GPU: there is no runtime for it",
        refused={"accelerator.chip": "GPU"},
        message=CHIP,
        accepted=GPU,
    ),
    case(
        "OneFlow on an NPU",
        refused={**GPU, "accelerator.chip": "Ascend310P3"},
        message=CHIP,
        accepted=CPU,
    ),
    case(
        "a slice of a GPU",
        refused={**GPU, "accelerator.slice": "vir02"},
        message="remove accelerator.slice, or write an Ascend chip and count 1",
        accepted={**GPU, "accelerator.count": 2, "accelerator.resourceName": "nvidia.com/mig-1g"},
    ),
    *[
        case(
            f"{field} is for what is converted",
            refused={**GPU, f"conversion.{field}": value},
            message="remove from conversion what changes the model; a OneFlow graph is served",
            accepted={**GPU, "conversion.timeoutSeconds": 60, "conversion.retries": 0},
        )
        for field, value in [
            ("batchSizes", [1]),
            ("inputShapes", {"INPUT_0": [3, 224, 224]}),
            ("image", "cann:1"),
            ("precisionMode", "FP16"),
            ("preprocessing", {"rawAIPP": "aipp_op {}"}),
            ("quantization", {"calibration": {"uri": "pvc://data/pictures.tar"}}),
            ("extraArgs", {"--buffer_optimize": "off_optimize"}),
        ]
    ],
    case(
        "instances of one process wait for each other",
        refused={**GPU, "serving.instancesPerChip": 2},
        message="remove serving.instancesPerChip and raise serving.replicas",
        accepted={**GPU, "serving.instancesPerChip": 1},
    ),
    case(
        "every run is padded to the largest",
        refused={**GPU, "serving.batching": {"maxBatchSize": 32, "preferredBatchSizes": [8]}},
        message="remove preferredBatchSizes; OneFlow's backend pads every run to maxBatchSize",
        accepted={**GPU, "serving.batching": {"maxBatchSize": 32}},
    ),
    case(
        "GPUs are counted like other chips",
        refused={**GPU, "serving.resources.limits": {"nvidia.com/gpu": 2}},
        message=DEVICE,
        accepted={**GPU, "accelerator.count": 2},
    ),
    case(
        "no quantiles in Triton of 2021",
        refused={**GPU, "rollout.analysis": {"maxP99Increase": "0.5"}},
        message="remove rollout.analysis.maxP99Increase",
        accepted={**GPU, "rollout.analysis": {}},
    ),
    case(
        "a backend that compares no answers",
        refused={**GPU, "rollout.analysis": {"minAgreement": "0.9"}},
        message="remove rollout.analysis.minAgreement",
        accepted={**GPU, "rollout.analysis": {}},
    ),
    case(
        "nobody can say what a graph should answer",
        refused={**GPU, "validation": GATE},
        message="remove validation; nothing here can compute what OneFlow should answer",
        accepted={"validation": GATE},
    ),
    case(
        "a setting of another backend",
        refused={"serving.oneflow": {}},
        message="remove serving.oneflow, or write model.format: OneFlow",
        accepted={**GPU, "serving.oneflow": {}},
    ),
    case(
        "OpenVINO on a GPU",
        refused={**GPU, "serving.oneflow.xrt": "OpenVINO"},
        message=XRT,
        accepted={**GPU, "serving.oneflow.xrt": "TensorRT"},
    ),
    case(
        "TensorRT without a GPU",
        refused={**CPU, "serving.oneflow.xrt": "TensorRT"},
        message=XRT,
        accepted={**CPU, "serving.oneflow.xrt": "OpenVINO"},
    ),
    case(
        "the backend reads no other files",
        refused={"serving.runtime": "OneFlow"},
        message="remove serving.runtime, or write model.format: OneFlow; it runs no other model",
        accepted={**GPU, "serving.runtime": "OneFlow"},
    ),
]
