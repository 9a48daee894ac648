"""The order is parsed once; whatever is wrong with it ends in a sentence saying what to write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.resnet_jobs.conftest import ORDER

from resnet_contract.fields import OrderError
from resnet_contract.order import parse_job
from resnet_contract.store import StoreSpec
from resnet_contract.types import Crop, DeclaredTensor, Preprocessing, PyTorch


def parsed(**changes: Any) -> Any:
    return parse_job(json.dumps({**ORDER, **changes}))


def test_the_whole_order_is_read() -> None:
    spec = parsed(
        uri="https://models.example:8443/a/resnet.onnx?sig=1",
        sha256="AB" * 32,
        inputShapes={"input": [3, 224, 224]},
        precisionMode="FP16",
        store={"type": "SharedClaim", "path": "/store"},
    )
    assert spec.source.host == "models.example"
    assert spec.source.label == "https://models.example:8443/a/resnet.onnx"
    assert spec.sha256 == "ab" * 32
    assert spec.batch_sizes == (1, 2, 4, 8)
    assert dict(spec.input_shapes) == {"input": (3, 224, 224)}
    assert spec.store == StoreSpec(type="SharedClaim", location="/store")
    assert not spec.is_cpu


def test_fields_left_out_get_the_defaults() -> None:
    spec = parsed(batchSizes=None, timeoutSeconds=None, inputShapes=None, precisionMode=None)
    assert (spec.batch_sizes, spec.timeout_seconds) == ((1, 2, 4, 8), 3600)
    assert dict(spec.input_shapes) == {}
    assert spec.precision_mode is None


def test_a_pvc_path_is_tidied() -> None:
    assert parsed(uri="pvc://models//a/./b.onnx").source.path == "a/b.onnx"


PYTORCH = {"architecture": "resnet50", "classes": 1000}
CALIBRATION = {"uri": "pvc://data/pictures.tar", "format": "Images", "batches": 5}


def picture(**changes: Any) -> dict[str, Any]:
    block = {"pixelFormat": "RGB888", "source": {"height": 32, "width": 32}, **changes}
    return {"preprocessing": block}


def calibrated(**changes: Any) -> dict[str, Any]:
    return {"quantization": {"calibration": {**CALIBRATION, **changes}}}


def test_what_a_minimal_order_leaves_out() -> None:
    spec = parsed()
    assert spec.format == "ONNX"
    assert not spec.has_export
    assert (spec.pytorch, spec.preprocessing, spec.quantization) == (None, None, None)
    assert (spec.dataset, spec.served, spec.validation_key) == (None, None, None)
    assert (spec.declared_inputs, spec.declared_outputs) == ((), ())
    assert not any((spec.quantized, spec.small_channel, spec.virtual_device))
    assert not any((spec.first_layer_quantization, spec.op_compiler_cache))
    assert (dict(spec.config_files), dict(spec.extra_args)) == ({}, {})
    assert spec.loops == 100


def test_weights_and_their_network() -> None:
    spec = parsed(format="PyTorch", pytorch={**PYTORCH, "stripPrefix": "module."})
    assert (spec.has_weights, spec.has_export) == (True, False)
    assert spec.pytorch == PyTorch("resnet50", 1000, None, "module.")
    assert parsed(format="PyTorch").has_weights, "they tell which network they are of"


def test_preprocessing() -> None:
    block = {
        "pixelFormat": "RGB888",
        "source": {"height": 256, "width": 256},
        "crop": {"height": 224, "width": 224},
        "mean": [123.675, 116.28, 103.53],
        "std": [1, 1.0, 1],
        "swapRedBlue": True,
    }
    assert parsed(preprocessing=block).preprocessing == Preprocessing(
        pixel_format="RGB888",
        source_height=256,
        source_width=256,
        crop=Crop(top=None, left=None, height=224, width=224),
        mean=(123.675, 116.28, 103.53),
        std=(1.0, 1.0, 1.0),
        swap_red_blue=True,
        raw_aipp=None,
        says_colours=True,
    )
    raw = parsed(preprocessing={"rawAIPP": "aipp_op {}", "swapRedBlue": False}).preprocessing
    assert raw.raw_aipp == "aipp_op {}"


def test_quantization() -> None:
    block = {"calibration": CALIBRATION, "skipLayers": ["fc"], "jointQuantization": True}
    quantization = parsed(quantization=block).quantization
    assert quantization.calibration.source.host == "data"
    assert (quantization.calibration.format, quantization.calibration.batches) == ("Images", 5)
    assert quantization.skip_layers == ("fc",)
    assert quantization.joint_quantization
    assert quantization.raw_config is None
    short = parsed(quantization={"calibration": {"uri": "pvc://d/t.tar"}}).quantization
    assert (short.calibration.format, short.calibration.batches) == ("Images", 5)


def test_the_gates_order() -> None:
    tensor = {"name": "input", "dataType": "UINT8", "dims": [32, 32, 3], "layout": "NHWC"}
    scores = {"name": "scores", "dataType": "FP32", "dims": [100]}
    spec = parsed(
        dataset={"uri": "pvc://data/test.tar", "format": "ImageList", "labels": "labels.txt"},
        benchmark={"loops": 7},
        validationKey="ab" * 16,
        model={"name": "r", "inputs": [tensor], "outputs": [scores], "maxBatchSize": 24},
    )
    assert (spec.dataset.format, spec.dataset.labels) == ("ImageList", "labels.txt")
    assert (spec.loops, spec.validation_key) == (7, "ab" * 16)
    assert spec.served.inputs == (DeclaredTensor("input", "UINT8", (32, 32, 3), "NHWC"),)
    assert spec.served.max_batch_size == 24


def test_options_of_the_compiler() -> None:
    spec = parsed(
        smallChannel=True,
        virtualDevice=True,
        hostArchitecture="arm64",
        outputType="FP16",
        configFiles={"mixList": "{}", "keepDtype": None},
        extraArgs={"--buffer_optimize": "off_optimize"},
    )
    assert spec.small_channel
    assert spec.virtual_device
    assert (spec.host_architecture, spec.output_type) == ("arm64", "FP16")
    assert dict(spec.config_files) == {"mixList": "{}"}
    assert dict(spec.extra_args) == {"--buffer_optimize": "off_optimize"}


REFUSED = [
    ("a file of the container is no source", {"uri": "file:///etc/passwd"}, "no supported scheme"),
    ("a path needs a scheme", {"uri": "resnet.onnx"}, "no supported scheme"),
    ("a source is needed", {"uri": None}, "spec.model.uri is missing"),
    ("passwords stay out of specs", {"uri": "https://u:p@h/a"}, "user name or password"),
    ("a user name alone as well", {"uri": "http://u@h/a"}, "user name or password"),
    ("claims have no users", {"uri": "pvc://u@models/a"}, "user name or password"),
    ("a URL needs a host", {"uri": "http:///a.onnx"}, "names no host"),
    ("a port is a number", {"uri": "http://h:no/a"}, "not a valid address"),
    ("a claim needs a path", {"uri": "pvc://models"}, "pvc://<claim>/<path>"),
    ("a slash is no path", {"uri": "pvc://models/"}, "pvc://<claim>/<path>"),
    ("a ConfigMap needs a key", {"uri": "configmap://m"}, "configmap://<name>/<key>"),
    ("no way out of the claim", {"uri": "pvc://models/../../etc/passwd"}, 'must not contain ".."'),
    ("not in the middle either", {"uri": "pvc://models/a/../b.onnx"}, 'must not contain ".."'),
    ("a digest has 64 digits", {"sha256": "abc"}, "64 hexadecimal digits"),
    ("a digest is hexadecimal", {"sha256": "z" * 64}, "64 hexadecimal digits"),
    ("formats have names", {"format": "Keras"}, "write one of ONNX, OM, PyTorch, TorchScript"),
    ("an OM is for a chip", {"format": "OM", "chip": "CPU"}, "not on the CPU"),
    (
        "pods that build the network need its name",
        {"format": "PyTorch", "runtime": "TorchAIE"},
        "know resnet18, resnet34",
    ),
    (
        "and know torchvision's alone",
        {"format": "PyTorch", "runtime": "TorchAIE", "pytorch": {"architecture": "resnet50d"}},
        "know resnet18, resnet34",
    ),
    ("a network is for weights", {"pytorch": PYTORCH}, "belongs to format PyTorch"),
    (
        "ResNets only",
        {"format": "PyTorch", "pytorch": {**PYTORCH, "architecture": "vgg16"}},
        'spec.model.pytorch.architecture "vgg16" is not known; write one of resnet10t',
    ),
    (
        "a style is one of two",
        {"format": "PyTorch", "pytorch": {"style": "tensorflow"}},
        'spec.model.pytorch.style "tensorflow" is not known; write one of PyTorch, Caffe',
    ),
    ("AMCT writes ONNX", {"format": "TorchScript", "quantized": True}, "and this is TorchScript"),
    ("a flag is no text", {"quantized": "yes"}, "spec.model.quantized must be true or false"),
    (
        "a declared input has a type",
        {"declaredInputs": [{"name": "x", "dims": [3]}]},
        "spec.model.inputs[0].dataType is missing",
    ),
    (
        "a declared output has dims",
        {"declaredOutputs": [{"name": "x", "dataType": "FP32", "dims": [-1]}]},
        "spec.model.outputs[0].dims must be positive",
    ),
    ("chips have names", {"chip": "Tesla"}, "write Ascend310P3 or CPU"),
    ("a chip is needed", {"chip": None}, "write Ascend310P3 or CPU"),
    ("batch sizes ascend", {"batchSizes": [4, 2]}, "write [2, 4]"),
    ("batch sizes differ", {"batchSizes": [2, 2]}, "write [2]"),
    ("zero pictures are none", {"batchSizes": [0, 1]}, "positive whole numbers"),
    ("true is no number", {"batchSizes": [True]}, "positive whole numbers"),
    ("at least one size", {"batchSizes": []}, "positive whole numbers"),
    ("ATC takes 100", {"batchSizes": list(range(1, 102))}, "1 to 100"),
    ("shapes are a map", {"inputShapes": [3, 224, 224]}, "must map an input's name"),
    ("shapes are positive", {"inputShapes": {"input": [3, -1]}}, "without the batch"),
    ("a mode is a text", {"precisionMode": 1}, "precisionMode must be a string"),
    ("a block is an object", {"preprocessing": []}, "preprocessing must be an object"),
    ("pixels have a format", {"preprocessing": {}}, "preprocessing.pixelFormat is missing"),
    ("pictures have a size", picture(source=None), "source is missing; write the size"),
    ("a picture is a picture", picture(source={"height": 32}), "source.width is missing"),
    ("AIPP starts at two wide", picture(source={"height": 1, "width": 1}), "from 2 to 4096"),
    ("AIPP ends at 4096", picture(source={"height": 4097, "width": 2}), "from 1 to 4096"),
    ("raw text stands alone", picture(rawAIPP="aipp_op {}"), "stands alone: remove pixelFormat"),
    ("a crop lies inside", picture(crop={"height": 33, "width": 8}), "reaches 33 pixels in height"),
    (
        "where it begins counts",
        picture(crop={"left": 25, "height": 8, "width": 8}),
        "reaches 33 pixels in width",
    ),
    (
        "YUV420SP comes in pairs",
        picture(pixelFormat="YUV420SP", source={"height": 33, "width": 32}),
        "source.height 33 must be even",
    ),
    (
        "so does the crop's origin",
        picture(pixelFormat="YUV420SP", crop={"top": 1, "height": 8, "width": 8}),
        "crop.top 1 must be even",
    ),
    ("one of each a channel", picture(mean=[1.5, 2, 3], std=[1.0]), "mean has 3 numbers and std 1"),
    ("no division by zero", picture(std=[1, 0, 1]), "std must be above 0"),
    ("means of 0..1", picture(mean=[0.485, 0.456, 0.406]), "multiply by 255"),
    ("deviations of 0..1", picture(std=[0.229, 0.224, 0.225]), "multiply by 255"),
    ("means are pixels", picture(mean=[-300, 99, 99]), "far outside of 0..255"),
    ("numbers only", picture(mean=["a"]), "mean must be a list of numbers"),
    ("a number is finite", picture(mean=[float("nan")]), "mean must be a list of numbers"),
    ("calibration needs data", {"quantization": {}}, "quantization.calibration is missing"),
    (
        "from a source",
        calibrated(uri=None),
        "spec.conversion.quantization.calibration.uri is missing",
    ),
    ("in a known form", calibrated(format="Jpeg"), "write one of Images, RawBatches, Npy"),
    ("at least one batch", calibrated(batches=0), "batches must be a whole number from 1"),
    (
        "a raw configuration stands alone",
        {"quantization": {"calibration": CALIBRATION, "rawConfig": "x", "skipLayers": ["a"]}},
        "stands alone: remove skipLayers",
    ),
    ("two architectures", {"hostArchitecture": "riscv64"}, "write one of amd64, arm64"),
    ("four output types", {"outputType": "FP64"}, "write one of FP32, FP16, UINT8, INT8"),
    ("four files", {"configFiles": {"other": "x"}}, 'configFiles "other" is not known'),
    ("arguments have dashes", {"extraArgs": {"log": "debug"}}, "must be an option with its value"),
    ("arguments have values", {"extraArgs": {"--log": None}}, "must be an option with its value"),
    (
        "labels are in the dataset",
        {"dataset": {"uri": "pvc://d/t.tar", "format": "ImageList", "labels": "../x"}},
        "spec.validation.dataset.labels",
    ),
    ("a dataset has a form", {"dataset": {"uri": "pvc://d/t.tar"}}, "dataset.format is missing"),
    ("measuring is finite", {"benchmark": {"loops": 0}}, "loops must be a whole number"),
    (
        "a load of no kind",
        {"benchmark": {"load": {}}},
        "benchmark.load needs one of concurrency and requestsPerSecond",
    ),
    (
        "a load of both kinds",
        {"benchmark": {"load": {"concurrency": 1, "requestsPerSecond": 1}}},
        "benchmark.load needs one of concurrency and requestsPerSecond",
    ),
    ("a key is hexadecimal", {"validationKey": "../../x"}, "lower-case hexadecimal digits"),
    ("time runs forward", {"timeoutSeconds": 0}, "positive whole number"),
    ("a store is needed", {"store": None}, "store setting"),
    ("a server has a URL", {"store": {"type": "Server"}}, "store setting"),
]


@pytest.mark.parametrize(("reason", "changes", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refused(reason: str, changes: dict[str, Any], want: str) -> None:
    with pytest.raises(OrderError) as caught:
        parsed(**changes)
    assert want in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_no_order_at_all(text: str | None) -> None:
    with pytest.raises(OrderError):
        parse_job(text)


def test_a_password_is_never_repeated() -> None:
    with pytest.raises(OrderError) as caught:
        parsed(uri="https://user:s3cret@host/a.onnx")
    assert "s3cret" not in str(caught.value)


def test_a_long_address_leaves_room_for_the_sentence() -> None:
    label = parsed(uri="https://host/" + "a" * 1900 + "/m.onnx").source.label
    assert len(label) < 100
    assert label.startswith("https://host/a")
    assert label.endswith("a/m.onnx")
