"""`resolve`: every default, and every way a spec and the settings do not fit."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import pytest
from tests.support.builders import CHIP, NAME, RESOURCE, a_service, a_settings, parsed, resolved

from resnet_operator.api.reasons import Reason
from resnet_operator.api.rollout import Strategy
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.rollout import RolloutOptions
from resnet_operator.resolve.source_key import source_key
from resnet_operator.settings.operator import by_longest_prefix

DEFAULTS: dict[str, Any] = {
    "model_name": NAME,
    "chip": CHIP,
    "on_chip": True,
    "chip_count": 1,
    "resource": RESOURCE,
    "more_resources": {},
    "share_bytes": None,
    "virtual_device": False,
    "runtime": "AscendOM",
    "batch_sizes": (1, 2, 4, 8),
    "format": "ONNX",
    "small_channel": False,
    "amct_image": None,
    "export_image": None,
    "converter_image": "registry.example/cann-310p:1",
    "serving_image": "registry.example/serving:1",
    "max_batch_size": 8,
    "preferred_batch_sizes": (4, 8),
    "dynamic_batching": True,
    "max_queue_delay_microseconds": 1000,
    "instances": 1,
    "warmup": True,
    "load_timeout_seconds": 300,
    "timeout_seconds": 3600,
    "retries": 2,
    "rollout": RolloutOptions(
        strategy=Strategy.AUTO,
        surge_wait_seconds=60,
        progress_deadline_seconds=1800,
        history_limit=3,
        rolls_back=True,
        pin=None,
    ),
    "replicas": 1,
    "suspended": False,
    "tuned": None,
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_default(name: str) -> None:
    assert getattr(resolved(), name) == DEFAULTS[name]


def test_every_value_has_its_default_tested() -> None:
    assert set(DEFAULTS) == {one.name for one in fields(resolved())} - {"spec", "source_key"}


def test_replicas_are_one_without_the_schema_default() -> None:
    assert resolved({"serving": None}).replicas == 1


def batching(**values: Any) -> dict[str, Any]:
    return {"serving": {"batching": values}}


def conversion(**values: Any) -> dict[str, Any]:
    return {"conversion": values}


def serving(**values: Any) -> dict[str, Any]:
    return {"serving": values}


@dataclass(frozen=True)
class Given:
    reason: str
    spec: dict[str, Any]
    want: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)


CPU = {"accelerator": {"chip": "CPU"}}
PREPROCESSING = {"pixelFormat": "RGB888", "source": {"height": 32, "width": 32}}
QUANTIZATION = {"calibration": {"uri": "pvc://data/pictures.tar"}}
TOOLS = {"amct_image": "registry.example/amct:1", "export_image": "registry.example/export:1"}
PICTURE = {"name": "input", "dataType": "FP32", "dims": [3, 224, 224]}
GIVEN = (
    Given(
        "a quantized model has one batch size, and needs AMCT's image",
        conversion(quantization=QUANTIZATION),
        {"batch_sizes": (8,), "amct_image": "registry.example/amct:1"},
        TOOLS,
    ),
    Given(
        "AMCT's image may be named by the object",
        conversion(quantization={**QUANTIZATION, "image": "mine:1"}),
        {"amct_image": "mine:1"},
    ),
    Given(
        "structured preprocessing makes ATC use small channels",
        conversion(preprocessing=PREPROCESSING),
        {"small_channel": True},
    ),
    Given(
        "raw AIPP does not",
        conversion(preprocessing={"rawAIPP": "aipp_op {}"}),
        {"small_channel": False},
    ),
    Given(
        "and it may be switched off",
        conversion(preprocessing=PREPROCESSING, smallChannel=False),
        {"small_channel": False},
    ),
    Given(
        "weights need no image with torch",
        {"model": {"uri": "pvc://m/r.pth", "pytorch": {"architecture": "resnet18"}}},
        {"format": "PyTorch", "export_image": None},
        TOOLS,
    ),
    *[
        Given(f"what hubs hold is weights: {uri}", {"model": {"uri": uri}}, {"format": "PyTorch"})
        for uri in (
            "hf://timm/resnet50.a1_in1k/model.safetensors",
            "hf://microsoft/resnet-50/pytorch_model.bin@main",
            "https://host/a/R.SAFETENSORS?x=1",
            "pvc://m/r.pth",
        )
    ],
    Given(
        "TorchScript is exported by one",
        {"model": {"uri": "pvc://m/r.torchscript", "inputs": [PICTURE]}},
        {"format": "TorchScript", "export_image": "registry.example/export:1"},
        TOOLS,
    ),
    Given(
        "the same name for weights, which say so",
        {
            "model": {
                "uri": "pvc://m/r.pt",
                "format": "PyTorch",
                "pytorch": {"architecture": "resnet18"},
            }
        },
        {"format": "PyTorch", "export_image": None},
        TOOLS,
    ),
    Given(
        "the suffix tells an OM",
        {"model": {"uri": "https://host/a/R.OM?x=1"}},
        {"format": "OM", "export_image": None},
    ),
    Given(
        "an OM tells its batch sizes itself, later",
        {
            "model": {"uri": "pvc://m/r.om"},
            "serving": {"batching": {"maxBatchSize": 99}},
        },
        {"batch_sizes": (), "max_batch_size": 0, "preferred_batch_sizes": ()},
    ),
    Given(
        "what is declared of an OM counts at once",
        {"model": {"uri": "pvc://m/r.om"}, "conversion": {"batchSizes": [2, 16]}},
        {"batch_sizes": (2, 16), "max_batch_size": 16, "preferred_batch_sizes": (2, 16)},
    ),
    *[
        Given(f"the suffix before a revision: {uri}", {"model": {"uri": uri}}, {"format": "OM"})
        for uri in ("hf://o/n/a/r.om@v1", "modelscope://o/n@v1/r.om", "hf://o/n/r.om@refs/pr/1")
    ],
    Given(
        "the suffix of an artifact's file",
        {"model": {"uri": "oci://r.test:5000/m.onnx:v1#a/r.om"}},
        {"format": "OM"},
    ),
    Given(
        "an artifact tells nothing by its name",
        {"model": {"uri": "oci://r.test/m:v1"}},
        {"format": "ONNX"},
    ),
    Given(
        "what is declared wins over the suffix",
        {"model": {"uri": "pvc://m/r.om", "format": "ONNX"}},
        {"format": "ONNX"},
    ),
    Given(
        "a slice has a resource of its own",
        {"accelerator": {"slice": "vir04_3c"}},
        {"resource": "huawei.com/Ascend310P-4c.3cpu"},
    ),
    Given(
        "and the object's resource name still wins",
        {"accelerator": {"slice": "vir04_3c", "resourceName": "a.b/c"}},
        {"resource": "a.b/c"},
    ),
    Given(
        "CPU is served by ONNX Runtime and asks for nothing",
        CPU,
        {
            "on_chip": False,
            "runtime": "ONNXRuntime",
            "resource": None,
            "converter_image": None,
            "serving_image": "registry.example/serving-cpu:1",
            "batch_sizes": (1, 2, 4, 8),
        },
    ),
    Given("a name for Triton", {"model": {"name": "digits"}}, {"model_name": "digits"}),
    Given(
        "the largest batch size is Triton's, the two largest are preferred",
        conversion(batchSizes=[1, 4, 16, 32]),
        {"max_batch_size": 32, "preferred_batch_sizes": (16, 32)},
    ),
    Given(
        "a static batch prefers itself",
        conversion(batchSizes=[24]),
        {"max_batch_size": 24, "preferred_batch_sizes": (24,)},
    ),
    Given(
        "a batch of 1 is never preferred: it would defeat the queue delay",
        conversion(batchSizes=[1]),
        {"max_batch_size": 1, "preferred_batch_sizes": ()},
    ),
    Given(
        "preferred sizes stay below a lower maximum",
        batching(maxBatchSize=6),
        {"max_batch_size": 6, "preferred_batch_sizes": (2, 4)},
    ),
    Given(
        "preferred sizes are the user's",
        batching(preferredBatchSizes=[2]),
        {"preferred_batch_sizes": (2,)},
    ),
    Given("batching can be off", batching(mode="Disabled"), {"dynamic_batching": False}),
    Given("batching can be said to be on", batching(mode="Dynamic"), {"dynamic_batching": True}),
    Given(
        "a queue delay of 0 is a statement",
        batching(maxQueueDelayMicroseconds=0),
        {"max_queue_delay_microseconds": 0},
    ),
    Given(
        "instances are spread over the chips",
        {"accelerator": {"count": 2}, "serving": {"instancesPerChip": 3}},
        {"chip_count": 2, "instances": 6},
    ),
    Given("no warm-up", serving(warmup="Disabled"), {"warmup": False}),
    Given("0 retries are a statement", conversion(retries=0), {"retries": 0}),
    Given(
        "limits of time",
        {
            "conversion": {"timeoutSeconds": 60},
            "serving": {"loadTimeoutSeconds": 20},
            "rollout": {"progressDeadlineSeconds": 90},
        },
        {"timeout_seconds": 60, "load_timeout_seconds": 20, "progress_deadline_seconds": 90},
    ),
    Given("0 replicas are a statement", serving(replicas=0), {"replicas": 0}),
    Given("suspended", {"suspend": True}, {"suspended": True}),
    Given(
        "images of the object",
        {"conversion": {"image": "mine/cann:1"}, "serving": {"image": "mine/triton:1"}},
        {"converter_image": "mine/cann:1", "serving_image": "mine/triton:1"},
    ),
    Given(
        "a resource of the object",
        {"accelerator": {"resourceName": "huawei.com/ascend-310"}},
        {"resource": "huawei.com/ascend-310"},
    ),
    Given(
        "the longest prefix wins",
        {"accelerator": {"chip": "Ascend310B4"}},
        {"resource": "huawei.com/Ascend310", "converter_image": "for 310B"},
        {"converter_images": {"": "any", "Ascend310": "for 310", "Ascend310B": "for 310B"}},
    ),
    Given(
        "an empty prefix fits every chip",
        {"accelerator": {"chip": "Ascend910B4"}},
        {"converter_image": "any"},
        {"converter_images": {"": "any"}},
    ),
)


@pytest.mark.parametrize("case", GIVEN, ids=lambda case: case.reason)
def test_given(case: Given) -> None:
    found = resolved(case.spec, settings=a_settings(**case.settings))
    assert {name: getattr(found, name) for name in case.want} == case.want, case.reason


@dataclass(frozen=True)
class Refused:
    reason: str
    spec: dict[str, Any]
    words: str
    settings: dict[str, Any] = field(default_factory=dict)


REFUSED = (
    Refused(
        "a network without weights",
        {"model": {"pytorch": {"architecture": "resnet18"}}},
        "spec.model: remove pytorch, or write format: PyTorch; only bare weights need a network",
    ),
    Refused(
        "two kinds of file have this suffix",
        {"model": {"uri": "https://host/a/R.PT?x=1"}},
        "spec.model: write format: PyTorch or TorchScript; files of both are called .pt",
        TOOLS,
    ),
    Refused(
        "a script does not know its pictures' size",
        {"model": {"uri": "pvc://m/r.pt", "format": "TorchScript"}},
        "spec.model: write inputs, for example [{name: input, dataType: FP32, dims: [3, 224",
        TOOLS,
    ),
    Refused(
        "an ONNX model does",
        {"model": {"inputs": [PICTURE]}},
        "spec.model: remove inputs; an ONNX model names them itself",
    ),
    Refused(
        "AMCT makes no weights",
        {"model": {"uri": "pvc://m/r.pt", "format": "TorchScript", "quantized": True}},
        "spec.model: remove quantized; only an ONNX model can come quantized",
        TOOLS,
    ),
    Refused(
        "an OM that says it is quantized",
        {"model": {"uri": "pvc://m/r.om", "quantized": True}},
        "spec.model: remove quantized; only an ONNX model can come quantized",
    ),
    Refused(
        "an OM on a CPU",
        {"model": {"uri": "pvc://m/r.om"}, "accelerator": {"chip": "CPU"}},
        "spec: write an Ascend chip; an OM runs on the chip it was made for, not on a CPU",
    ),
    Refused(
        "an OM that is to be converted",
        {"model": {"uri": "pvc://m/r.om"}, "conversion": {"precisionMode": "FP16"}},
        "spec: remove from conversion what changes the model; an OM is served as it is",
    ),
    Refused(
        "an OM with a cache for what is not compiled",
        {
            "model": {"uri": "pvc://m/r.om"},
            "conversion": {"opCompilerCache": {"persistentVolumeClaim": "c"}},
        },
        "spec: remove from conversion what changes the model; an OM is served as it is",
    ),
    Refused(
        "no image with AMCT",
        conversion(quantization=QUANTIZATION),
        "no image with amct_onnx is set, and none is public",
    ),
    Refused(
        "no image with torch",
        {"model": {"uri": "pvc://m/r.torchscript", "inputs": [PICTURE]}},
        "format TorchScript needs an image with torch; set images.export",
    ),
    Refused(
        "a slice that MindCluster does not have",
        {"accelerator": {"slice": "vir99"}},
        "no resource name is known for slice vir99 of Ascend310P3 in dialect MindCluster; "
        "write one of vir01",
    ),
    Refused(
        "maxBatchSize above what was converted",
        batching(maxBatchSize=16),
        "spec: serving.batching.maxBatchSize may not be above the largest of conversion.batchSizes",
    ),
    Refused(
        "a preferred size above the largest",
        batching(preferredBatchSizes=[4, 9]),
        "spec: remove what is above the largest batch",
    ),
    Refused(
        "a chip without a resource name",
        {"accelerator": {"chip": "Ascend777"}},
        "no resource name is known for chip Ascend777 in dialect MindCluster; set "
        "accelerator.resourceName",
    ),
    Refused(
        "a chip without a CANN image",
        {"accelerator": {"chip": "Ascend910B4"}},
        "no CANN image is set for chip Ascend910B4; set conversion.image",
    ),
    Refused(
        "a runtime without an image",
        {},
        "no serving image is set for runtime AscendOM; set serving.image",
        {"serving_images": {}},
    ),
    Refused(
        "a URI that Python cannot take apart, though it has a host and a path",
        {"model": {"uri": "http://[1:2]/resnet50.onnx"}},
        "spec.model.uri: cannot be read ('1:2' does not appear to be an IPv4 or IPv6 address); "
        "correct it",
    ),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.reason)
def test_refused(case: Refused) -> None:
    settings = a_settings(**case.settings)
    with pytest.raises(InvalidSpec) as caught:
        resolved(case.spec, settings=settings)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert caught.value.message.startswith(case.words), case.reason
    service = a_service(case.spec, settings=settings)
    assert service.invalid == caught.value.message
    assert service.resolved is None
    assert service.claims == ()


def test_what_the_schema_would_refuse_names_the_field() -> None:
    """An older CRD may let through what this operator does not know."""
    service = a_service({"accelerator": {"chip": None}})
    assert service.invalid == "spec.accelerator.chip: Field required"
    service = a_service({"conversion": {"precisionMode": "FP4"}})
    assert (service.invalid or "").startswith("spec.conversion.precisionMode: Input should be ")


def test_a_field_of_a_newer_crd_is_no_reason_to_refuse() -> None:
    service = a_service({"pipeline": {"decode": {}}})
    assert service.invalid is None


def test_claims_that_the_spec_names() -> None:
    assert a_service().claims == ("models",)
    assert a_service({"model": {"uri": "https://example.com/a.onnx"}}).claims == ()


def test_a_table_without_a_fitting_prefix() -> None:
    assert by_longest_prefix({"Ascend310P": "x"}, "Ascend910") is None


# The source key: what makes another artifact, and what must not.

HEX = "0" * 64
PICTURES = {"pixelFormat": "RGB888", "source": {"height": 32, "width": 32}}


def key(changes: dict[str, Any] | None = None, *, uid: str = "uid-1") -> str:
    return source_key(uid=uid, spec=parsed(changes))


OTHER_ARTIFACT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("another file", {"model": {"uri": "pvc://models/other.onnx"}}),
    ("the file is pinned", {"model": {"sha256": HEX}}),
    ("it is to be fetched again", {"model": {"refetch": "2"}}),
    ("another chip", {"accelerator": {"chip": "Ascend910B4"}}),
    ("other batch sizes", conversion(batchSizes=[8])),
    ("an input shape", conversion(inputShapes={"input": [3, 32, 32]})),
    ("a precision", conversion(precisionMode="ForceFP16")),
    ("another choice of operators", conversion(opSelectImplMode="HighPrecision")),
    ("another compiler image", conversion(image="mine/cann:1")),
    ("hosts of one kind", conversion(hostArchitecture="amd64")),
    ("hosts of the other kind", conversion(hostArchitecture="arm64")),
    ("another first layer", conversion(preprocessing=PICTURES, smallChannel=False)),
    ("other pictures", conversion(preprocessing=PICTURES)),
    ("another type of answers", conversion(outputType="FP16")),
    ("an option of ATC", conversion(extraArgs={"--oo_level": "O3"})),
    ("a file of ATC", conversion(configFiles={"keepDtype": "conv1"})),
    ("quantized before", {"model": {"quantized": True}}),
    ("a part of a chip", {"accelerator": {"slice": "vir01"}}),
)
SAME_ARTIFACT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("nothing was changed", {}),
    ("an empty conversion is none", {"conversion": {}}),
    ("batching is Triton's affair", batching(maxBatchSize=4, mode="Disabled")),
    ("more replicas", serving(replicas=3)),
    ("no replicas", serving(replicas=0)),
    ("suspended", {"suspend": True}),
    ("more chips for each replica", {"accelerator": {"count": 2}}),
    ("another resource name", {"accelerator": {"resourceName": "huawei.com/npu"}}),
    ("another serving image", serving(image="mine/triton:1")),
    ("another name in Triton", {"model": {"name": "digits"}}),
    (
        "labels",
        {"model": {"classLabels": {"configMapKeyRef": {"name": "labels", "key": "l.txt"}}}},
    ),
    ("more attempts", conversion(retries=5)),
    ("more time", conversion(timeoutSeconds=60)),
    ("more memory for the compiler", conversion(resources={"limits": {"memory": "8Gi"}})),
    ("another node for the compiler", conversion(nodeSelector={"a": "b"})),
    ("a taint of that node", conversion(tolerations=[{"key": "a"}])),
    ("another rollout", {"rollout": {"progressDeadlineSeconds": 60}}),
    ("compiled operators are kept", conversion(opCompilerCache={"persistentVolumeClaim": "ops"})),
)


@pytest.mark.parametrize(("reason", "changes"), OTHER_ARTIFACT)
def test_source_key_changes(reason: str, changes: dict[str, Any]) -> None:
    assert key(changes) != key(), reason


def test_source_keys_are_all_different() -> None:
    found = [key(changes) for _, changes in OTHER_ARTIFACT]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(("reason", "changes"), SAME_ARTIFACT)
def test_source_key_stays(reason: str, changes: dict[str, Any]) -> None:
    assert key(changes) == key(), reason


def test_a_source_without_digest_is_not_shared() -> None:
    """`latest.onnx` may be another file next week."""
    assert key(uid="uid-1") != key(uid="uid-2")


def test_a_pinned_source_is_shared() -> None:
    pinned = {"model": {"sha256": HEX}}
    assert key(pinned, uid="uid-1") == key(pinned, uid="uid-2")
    again = {"model": {"sha256": HEX, "refetch": "2"}}
    assert key(pinned) == key(again), "a pinned file is the same file when fetched again"


def test_source_key_does_not_depend_on_the_order_of_shapes() -> None:
    one = conversion(inputShapes={"a": [1], "b": [2]})
    other = conversion(inputShapes={"b": [2], "a": [1]})
    assert key(one) == key(other)


def test_source_key_is_for_ever() -> None:
    """Another key converts every model of every user again; raise RECIPE if that is meant."""
    assert key() == "7f21e7e3c9d1c968"


def test_settings_do_not_change_the_source_key() -> None:
    """A new default image converts nothing again."""
    other = a_settings(converter_images={"": "registry.example/cann:2"})
    assert resolved().source_key == resolved(settings=other).source_key
