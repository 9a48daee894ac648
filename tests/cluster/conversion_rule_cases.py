"""The rules of sources, formats, preprocessing, quantization and validation, case by case."""

from __future__ import annotations

from typing import Any

from tests.cluster.rule_cases import USERINFO, case, one, uri

PRE, QUANT = "conversion.preprocessing", "conversion.quantization"
CALIBRATION = {"calibration": {"uri": "pvc://data/pictures.tar"}}
GATE = "validation"
DATASET = {"uri": "pvc://data/test.tar", "format": "ImageFolder"}
BAR = "write one of minTop1, maxTop1Drop, minCosineSimilarity and minTop1Agreement"
ANY_BAR = (
    "write at least one threshold: a field of thresholds, benchmark.minImagesPerSecond or "
    "benchmark.maxP99Milliseconds"
)
STATED = "write load: a latency is only comparable at a stated load, for example {concurrency: 4}"
ONE_LOAD = "write one of concurrency and requestsPerSecond"
LARGE_LOAD = "write a validation.benchmark.load.batchSize that is not above the largest batch"
SHARE = "write a decimal from 0 to 1 in quotes, for example '0.7855'"
INSIDE = "write the path from the top of the data set, without '..'"
S3 = "write the bucket and the key, for example s3://models/resnet50.onnx"
HUB = "write the owner, the repository and the path of the file"
OCI = "write registry, repository and tag or digest"
FILES = "write pvc://<claim>/<folder or archive>, for example pvc://data/cifar100.tar"
SIZE = {"height": 256, "width": 256}
OPTION = "remove from conversion what is not batchSizes or inputShapes; chip CPU"
COLOURS = "write one number for all colours or one for each of the three (YUV400 has one)"


def at_load(load: dict[str, int], **thresholds: int) -> dict[str, Any]:
    return {GATE: {"dataset": DATASET, "benchmark": {"load": load, **thresholds}}}


def picture(**fields: Any) -> dict[str, Any]:
    return {PRE: {"pixelFormat": "RGB888", "source": SIZE} | fields}


def pictures(reason: str, refused: dict[str, Any], message: str, accepted: dict[str, Any]) -> Any:
    return case(reason, refused=picture(**refused), message=message, accepted=picture(**accepted))


NETWORK = {"architecture": "resnet50"}
PICTURE = [{"name": "input", "dataType": "FP32", "dims": [3, 224, 224]}]
QUANTIZED_ELSEWHERE: list[tuple[str, dict[str, Any]]] = [
    ("pth", {"pytorch": NETWORK}),
    ("torchscript", {"inputs": PICTURE}),
]


def model(reason: str, refused: dict[str, Any], message: str, accepted: dict[str, Any]) -> Any:
    return case(reason, refused={"model": refused}, message=message, accepted={"model": accepted})


FORMAT_RULES = [
    *[
        model(
            f"a graph of OneFlow is no file of {address}",
            {"uri": address, "format": "OneFlow"},
            "write the path of the archive behind the repository",
            {"uri": address, "pytorch": NETWORK},
        )
        for address in (
            "hf://timm/resnet50.a1_in1k",
            "hf://timm/resnet50.a1_in1k@main",
            "modelscope://org/net.pt@refs%2Fpr%2F1",
            "hf://org/net.om",
            "hf://org/net.torchscript",
        )
    ],
    model(
        "a hub's repository alone means weights",
        {"uri": "hf://org/resnet50.onnx", "format": "ONNX", "pytorch": NETWORK},
        "remove pytorch, or write format: PyTorch",
        {"uri": "hf://org/resnet50.onnx", "pytorch": NETWORK},
    ),
    model(
        "a hub's repository with an ONNX",
        {"uri": "hf://org/net", "format": "TorchScript"},
        "write inputs, for example",
        {"uri": "hf://org/net", "format": "ONNX"},
    ),
    *[
        model(
            f"the suffix in {address}",
            {"uri": address, "quantized": True},
            "remove quantized; only an ONNX model can come quantized",
            {"uri": address, "pytorch": NETWORK},
        )
        for address in (
            "hf://org/net/model.safetensors",
            "hf://org/net/pytorch_model.bin@v1",
            "hf://org/net/r.pth@v1",
            "hf://org/net@v1/r.pth",
            "modelscope://org/net/r.pth@v1",
            "oci://r.test/m:v1#a/r.pth",
        )
    ],
    model(
        "weights and scripts have the same suffix",
        {"uri": "https://h/r.PT?x=1", "pytorch": NETWORK},
        "write format: PyTorch or TorchScript; files of both are called .pt",
        {"uri": "https://h/r.PT?x=1", "pytorch": NETWORK, "format": "PyTorch"},
    ),
    model(
        "a suffix in the query is none",
        {"uri": "https://h/r.onnx?name=a.pth", "pytorch": NETWORK},
        "remove pytorch, or write format: PyTorch",
        {"uri": "https://h/r.pth?name=a.onnx", "pytorch": NETWORK},
    ),
    model(
        "a script has its network in it",
        {"uri": "pvc://m/r.torchscript", "pytorch": NETWORK, "inputs": PICTURE},
        "remove pytorch, or write format: PyTorch",
        {"uri": "pvc://m/r.torchscript", "inputs": PICTURE},
    ),
    model(
        "a script does not know its pictures' size",
        {"uri": "pvc://m/r.pt", "format": "TorchScript"},
        "write inputs, for example [{name: input, dataType: FP32, dims: [3, 224, 224]}]",
        {"uri": "pvc://m/r.pt", "format": "TorchScript", "inputs": PICTURE},
    ),
    model(
        "an ONNX model does",
        {"uri": "pvc://m/r.onnx", "inputs": PICTURE},
        "remove inputs; an ONNX model names them itself",
        {"uri": "pvc://m/r.pth", "pytorch": NETWORK, "inputs": PICTURE},
    ),
    *[
        model(
            "AMCT's result is an ONNX model",
            {"uri": f"pvc://m/r.{suffix}", "quantized": True, **more},
            "remove quantized; only an ONNX model can come quantized",
            {"uri": f"pvc://m/r.{suffix}", "quantized": False, **more},
        )
        for suffix, more in QUANTIZED_ELSEWHERE
    ],
]

CONVERSION_RULES = [
    uri("a bucket alone", "s3://models", S3, "s3://models/a/b.onnx"),
    uri("a bucket with a capital", "obs://Models/a", S3, "obs://models/A"),
    uri(
        "a login for an object store",
        "s3://key:secret@models/a",
        "remove the user and password from the URI",
        "s3://models/a@b",
    ),
    uri("an owner alone", "hf://org", HUB, "hf://org/net/m.onnx"),
    uri("a repository that ends in a slash", "hf://org/net/", HUB, "modelscope://org/net/a/m.onnx"),
    uri("no owner", "modelscope://net@v1", HUB, "modelscope://org/net@v1/m.onnx"),
    uri("a revision without a name", "hf://org/net/m.onnx@", HUB, "hf://org/net/m.onnx@refs/pr/1"),
    uri(
        "a file of a set without its name", "hf://datasets/org/set", HUB, "hf://datasets/o/s/a.tar"
    ),
    uri("a login at a hub", "hf://me:s@org/net/m.onnx", USERINFO, "hf://org/net@v1/a/m.onnx"),
    uri("an artifact without a tag", "oci://r.test/models/m", OCI, "oci://r.test/models/m:v1"),
    uri("a registry's port is no tag", "oci://r.test:5000/m", OCI, "oci://r.test:5000/m:v1"),
    uri("a repository is lower case", "oci://r/Models/m:v1", OCI, "oci://R.test/models/m:V_1"),
    uri("half a digest", "oci://r/m@sha256:0a", OCI, f"oci://r/m@sha256:{'0a' * 32}"),
    uri(
        "a file without its name", "oci://r/m:v1#", OCI, f"oci://r/m:v1@sha256:{'0a' * 32}#n/m.onnx"
    ),
    uri("a login at a registry", "oci://me:s@r/m:v1", USERINFO, "oci://[fd00::1]:5000/m:v1"),
    one("a slice by its size", "accelerator.slice", "2c", "write a vNPU template", "vir02_1c"),
    case(
        "a slice of a CPU",
        refused={"accelerator": {"chip": "CPU", "slice": "vir02"}},
        message="remove accelerator.slice, or write an Ascend chip and count 1",
        accepted={"accelerator": {"chip": "Ascend310P3", "slice": "vir02"}},
    ),
    case(
        "two slices in a pod",
        refused={"accelerator.slice": "vir02", "accelerator.count": 2},
        message="remove accelerator.slice, or write an Ascend chip and count 1",
        accepted={"accelerator.slice": "vir02", "accelerator.count": 1},
    ),
    case(
        "a share of a CPU",
        refused={"accelerator": {"chip": "CPU", "share": {}}},
        message="remove accelerator.share, or write an Ascend chip and count 1",
        accepted={"accelerator": {"chip": "Ascend310P3", "share": {}}},
    ),
    case(
        "shares may lie on one chip, so two of them are no two chips",
        refused={"accelerator.share": {"memory": "4Gi"}, "accelerator.count": 2},
        message="remove accelerator.share, or write an Ascend chip and count 1",
        accepted={"accelerator.share": {"memory": "4Gi"}, "accelerator.count": 1},
    ),
    case(
        "a template by both of its names",
        refused={"accelerator.share": {"template": "vir02"}, "accelerator.slice": "vir02"},
        message="remove accelerator.slice; accelerator.share.template is its new name",
        accepted={"accelerator.share": {"template": "vir02"}},
    ),
    case(
        "memory beside a template",
        refused={"accelerator.share": {"template": "vir02", "memory": "4Gi"}},
        message="remove memory or template; a template has its own memory",
        accepted={"accelerator.share": {"memory": 1}},
    ),
    one(
        "a share by its size",
        "accelerator.share.template",
        "2c",
        "write a vNPU template",
        "vir02_1c",
    ),
    *[
        case(
            f"{field} is the chip's, and a CPU has no ATC",
            refused={"accelerator.chip": "CPU", f"conversion.{field}": value},
            message=OPTION,
            accepted={f"conversion.{field}": value},
        )
        for field, value in [
            ("preprocessing", {"rawAIPP": "aipp_op {}"}),
            ("quantization", CALIBRATION),
            ("smallChannel", False),
            ("outputType", "FP16"),
            ("firstLayerQuantization", False),
            ("hostArchitecture", "arm64"),
            ("configFiles", {"fusionSwitch": "UBFusion:off"}),
            ("opCompilerCache", {"persistentVolumeClaim": "op-cache"}),
            ("extraArgs", {"--log": "info"}),
        ]
    ],
    case(
        "neither fields nor text",
        refused={PRE: {}},
        message="write pixelFormat and source, or rawAIPP alone",
        accepted={PRE: {"rawAIPP": "aipp_op {}"}},
    ),
    pictures(
        "text beside a field",
        {"rawAIPP": "aipp_op {}"},
        "write pixelFormat and source, or rawAIPP alone",
        {},
    ),
    case(
        "text beside a mean",
        refused={PRE: {"rawAIPP": "aipp_op {}", "mean": [128]}},
        message="remove the fields beside rawAIPP; it replaces them",
        accepted=picture(mean=[128]),
    ),
    case(
        "full-width colons, as in a real recipe",
        refused={PRE: {"rawAIPP": "aipp_op { src_image_size_w\uff1a256 }"}},
        message="write plain ASCII; full-width colons, for example, are refused by ATC",
        accepted={PRE: {"rawAIPP": "aipp_op {\n\tsrc_image_size_w: 256\n}"}},
    ),
    pictures(
        "a mean without its deviation",
        {"mean": [1.5, 2, 3], "std": [1]},
        "write as many numbers in std as in mean",
        {"mean": [1.5, 2, 3], "std": [1, 1, 1]},
    ),
    pictures(
        "torchvision's numbers",
        {"mean": [0.485, 0.456, 0.406]},
        "these look like 0..1: multiply by 255",
        {"mean": [0, 0, 0]},
    ),
    pictures(
        "deviations of another scale, without a mean",
        {"std": [0.229, 0.224, 0.225]},
        "these look like 0..1: multiply by 255",
        {"std": [58.395, 57.12, 57.375]},
    ),
    pictures("two numbers for three colours", {"mean": [1, 2]}, COLOURS, {"mean": [78]}),
    pictures("two deviations for three colours", {"std": [1, 2]}, COLOURS, {"std": [70]}),
    pictures(
        "three numbers for grey",
        {"pixelFormat": "YUV400", "mean": [1, 2, 3]},
        COLOURS,
        {"pixelFormat": "YUV400", "mean": [2]},
    ),
    pictures(
        "colours of grey exchanged",
        {"pixelFormat": "YUV400", "swapRedBlue": True},
        "remove swapRedBlue; YUV400 has no colours",
        {"pixelFormat": "YUV400", "swapRedBlue": False},
    ),
    *(
        pictures(
            f"an odd {side} of YUV420SP",
            {"pixelFormat": "YUV420SP", "crop": {side: 3, "height": 8, "width": 8}},
            "write an even crop.top and crop.left",
            {"pixelFormat": "YUV420SP", "crop": {side: 2, "height": 7, "width": 7}},
        )
        for side in ("top", "left")
    ),
    pictures("a division by nothing", {"std": [0]}, "above 0", {"std": [0.5, 1, 1]}),
    pictures(
        "half a colour",
        {"pixelFormat": "YUV420SP", "source": {"height": 31, "width": 32}},
        "write an even height and width",
        {"pixelFormat": "YUV420SP", "source": {"height": 32, "width": 32}},
    ),
    pictures(
        "a crop larger than the picture",
        {"crop": {"height": 257, "width": 1}},
        "write a crop that lies within source",
        {"crop": {"height": 256, "width": 256}},
    ),
    pictures(
        "a crop that leaves the picture",
        {"crop": {"left": 33, "height": 224, "width": 224}},
        "write a crop that lies within source",
        {"crop": {"left": 32, "top": 32, "height": 224, "width": 224}},
    ),
    one(
        "a claim without pictures",
        f"{QUANT}.calibration.uri",
        "pvc://data",
        FILES,
        "pvc://data/pictures",
    ),
    case(
        "text beside layers",
        refused={QUANT: CALIBRATION | {"rawConfig": "joint_quant: true", "skipLayers": ["a"]}},
        message="remove skipLayers and jointQuantization, or rawConfig",
        accepted={QUANT: CALIBRATION | {"rawConfig": "joint_quant: true"}},
    ),
    case(
        "full-width text for AMCT",
        refused={QUANT: CALIBRATION | {"rawConfig": "joint_quant\uff1atrue"}},
        message="write plain ASCII; full-width colons, for example, are refused by AMCT",
        accepted={QUANT: CALIBRATION | {"rawConfig": "joint_quant: true"}},
    ),
    case(
        "quantized profiles",
        refused={QUANT: CALIBRATION, "conversion.batchSizes": [1, 8]},
        message="write one batch size with quantization",
        accepted={QUANT: CALIBRATION, "conversion.batchSizes": [24]},
    ),
    *[
        case(
            f"{mode} undoes the quantization",
            refused={QUANT: CALIBRATION, "conversion.precisionMode": mode},
            message="choose another precisionMode; ATC refuses ForceFP32",
            accepted={QUANT: CALIBRATION, "conversion.precisionMode": "ForceFP16"},
        )
        for mode in ("ForceFP32", "MustKeepOriginDtype", "Origin")
    ],
    case(
        "small channels without AIPP",
        refused={"conversion.smallChannel": True},
        message="remove smallChannel or add preprocessing",
        accepted=picture() | {"conversion.smallChannel": True},
    ),
    case(
        "a first layer without AIPP",
        refused={"conversion.firstLayerQuantization": True},
        message="remove firstLayerQuantization or add preprocessing",
        accepted=picture() | {"conversion.firstLayerQuantization": True},
    ),
    one(
        "an option that the operator sets",
        "conversion.extraArgs",
        {"--soc_version": "Ascend310P3"},
        "remove what is no field and not one of --ac_parallel_enable",
        {"--buffer_optimize": "off_optimize"},
    ),
    one(
        "an option's name without end",
        "conversion.extraArgs",
        {"-" * 65: "1"},
        "write keys of at most 64 characters",
        {"--log": "info"},
    ),
    case(
        "a gate without a bar",
        refused={GATE: {"dataset": DATASET}},
        message=ANY_BAR,
        accepted={GATE: {"dataset": DATASET, "thresholds": {"minTop1": "0.5"}}},
    ),
    case(
        "how speed is measured is no bar",
        refused={GATE: {"dataset": DATASET, "benchmark": {"loops": 10}}},
        message=ANY_BAR,
        accepted={GATE: {"dataset": DATASET, "benchmark": {"loops": 10, "minImagesPerSecond": 1}}},
    ),
    case(
        "how latency is measured is no threshold",
        refused=at_load({"concurrency": 4}),
        message=ANY_BAR,
        accepted=at_load({"concurrency": 4}, maxP99Milliseconds=20),
    ),
    case(
        "a latency at no load",
        refused={GATE: {"dataset": DATASET, "benchmark": {"maxP99Milliseconds": 20}}},
        message=STATED,
        accepted=at_load({"requestsPerSecond": 100}, maxP99Milliseconds=20),
    ),
    *[
        case(
            f"a load of {load}",
            refused=at_load(load, maxP99Milliseconds=20),
            message=ONE_LOAD,
            accepted=at_load({"concurrency": 1}, maxP99Milliseconds=20),
        )
        for load in ({"batchSize": 2}, {"concurrency": 2, "requestsPerSecond": 2})
    ],
    *[
        case(
            f"requests of more pictures than {reason}",
            refused=at_load({"concurrency": 2, "batchSize": size + 1}, minImagesPerSecond=1) | more,
            message=LARGE_LOAD,
            accepted=at_load({"concurrency": 2, "batchSize": size}, minImagesPerSecond=1) | more,
        )
        for reason, size, more in (
            ("the default's largest batch", 8, {}),
            ("the largest of batchSizes", 4, {"conversion": {"batchSizes": [2, 4]}}),
            ("maxBatchSize", 2, {"serving": {"batching": {"maxBatchSize": 2}}}),
        )
    ],
    case(
        "thresholds without one",
        refused={
            GATE: {"dataset": DATASET, "thresholds": {}, "benchmark": {"minImagesPerSecond": 1}}
        },
        message=BAR,
        accepted={
            GATE: {
                "dataset": DATASET,
                "thresholds": {"maxTop1Drop": "0.01"},
                "benchmark": {"minImagesPerSecond": 1},
            }
        },
    ),
    *[
        one(f"a share written as {value!r}", f"{GATE}.thresholds.minTop1", value, SHARE, good)
        for value, good in [
            ("78.55", "0.7855"),
            ("1.01", "1.0"),
            (".5", "0.5"),
            ("1e-1", "0.1"),
            ("-0.1", "0"),
            ("50%", "1"),
            ("1.", "1"),
        ]
    ],
    one(
        "a data set is a file of a repository",
        f"{GATE}.dataset.uri",
        "hf://datasets/o/n",
        HUB,
        "hf://datasets/o/n/a.tar",
    ),
    one(
        "a data set has no file that we could find",
        f"{GATE}.dataset.uri",
        "modelscope://o/n@v1",
        "write the path of the file behind the repository",
        "modelscope://o/n/a.tar@v1",
    ),
    one("labels from elsewhere", f"{GATE}.dataset.labels", "/etc/passwd", INSIDE, "etc/passwd"),
    one("labels above the set", f"{GATE}.dataset.labels", "a/../../b", INSIDE, "a/..b"),
    one(
        "a claim without a data set", f"{GATE}.dataset.uri", "pvc://data", FILES, "pvc://data/test"
    ),
]
