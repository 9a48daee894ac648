"""The rules of an OM that is served as it is, case by case."""

from __future__ import annotations

from tests.cluster.rule_cases import PREFERRED, TOO_LARGE, case

OM = {"model.uri": "pvc://m/r.om"}
OPTIONS = "remove from conversion what changes the model; an OM is served as it is"
CHIP = "write an Ascend chip; an OM runs on the chip it was made for, not on a CPU"
OUTPUTS = {"model.outputs": [{"name": "logits", "dataType": "FP32", "dims": [1000]}]}
WEIGHTS = {"model.uri": "pvc://m/r.pth", "model.pytorch": {"architecture": "resnet50"}}

OM_RULES = [
    case(
        "an OM on a CPU, by its suffix",
        refused={"model.uri": "https://h/r.OM?x=1", "accelerator.chip": "CPU"},
        message=CHIP,
        accepted={"model.uri": "https://h/r.OM?x=1", "accelerator.chip": "Ascend310P3"},
    ),
    case(
        "an OM on a CPU, as declared",
        refused={"model.format": "OM", "accelerator.chip": "CPU"},
        message=CHIP,
        accepted={"model.uri": "pvc://m/a.om", "model.format": "ONNX", "accelerator.chip": "CPU"},
    ),
    *[
        case(
            f"{field} is for what ATC converts",
            refused={**OM, f"conversion.{field}": value},
            message=OPTIONS,
            accepted={**OM, "conversion.batchSizes": [1, 4], "conversion.image": "cann:1"},
        )
        for field, value in [
            ("inputShapes", {"input": [3, 224, 224]}),
            ("precisionMode", "FP16"),
            ("opSelectImplMode", "HighPrecision"),
            ("preprocessing", {"rawAIPP": "aipp_op {}"}),
            ("quantization", {"calibration": {"uri": "pvc://data/pictures.tar"}}),
            ("smallChannel", False),
            ("outputType", "FP16"),
            ("firstLayerQuantization", False),
            ("hostArchitecture", "arm64"),
            ("configFiles", {"fusionSwitch": "{}"}),
            ("opCompilerCache", {"persistentVolumeClaim": "cache"}),
            ("extraArgs", {"--buffer_optimize": "off_optimize"}),
        ]
    ],
    case(
        "an OM tells its batch sizes itself: no default bounds the largest",
        refused={"serving.batching.maxBatchSize": 16},
        message=TOO_LARGE,
        accepted={**OM, "serving.batching.maxBatchSize": 16},
    ),
    case(
        "declared batch sizes of an OM count as any",
        refused={**OM, "conversion.batchSizes": [4], "serving.batching.maxBatchSize": 8},
        message=TOO_LARGE,
        accepted={**OM, "conversion.batchSizes": [8], "serving.batching.maxBatchSize": 8},
    ),
    case(
        "and its preferred sizes",
        refused={"serving.batching.preferredBatchSizes": [16]},
        message=PREFERRED,
        accepted={**OM, "serving.batching.preferredBatchSizes": [16]},
    ),
    case(
        "what is exported tells its outputs",
        refused={**WEIGHTS, **OUTPUTS},
        message="remove model.outputs; the exported model tells them itself",
        accepted={**OM, **OUTPUTS},
    ),
]
