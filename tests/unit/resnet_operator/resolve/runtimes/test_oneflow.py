"""Format OneFlow and chip GPU: what is decided, and what no rule of the CRD can see."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import a_settings, an_artifact, merged, resolved

from resnet_contract.words import ModelFormat
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.errors import InvalidSpec
from resnet_operator.record.artifact import TensorInfo
from resnet_operator.render.pods.devices import device_parts
from resnet_operator.render.triton.config import config_pbtxt, output_types
from resnet_operator.resolve.declared import declared_digest
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.settings.operator import Settings


def tensor(name: str, *dims: int) -> dict[str, Any]:
    return {"name": name, "dataType": "FP32", "dims": list(dims)}


SPEC: dict[str, Any] = {
    "model": {
        "uri": "pvc://models/resnet50/model",
        "format": "OneFlow",
        "inputs": [tensor("INPUT_0", 3, 224, 224)],
        "outputs": [tensor("OUTPUT_0", 1000)],
    },
    "accelerator": {"chip": "GPU"},
}


def on_gpu(changes: dict[str, Any] | None = None, **settings: Any) -> Resolved:
    return resolved(merged(SPEC, changes or {}), settings=a_settings(**settings))


def test_a_gpu_is_asked_for_and_nothing_is_converted() -> None:
    found = on_gpu()
    assert (found.resource, found.chip_count, found.on_chip) == ("nvidia.com/gpu", 1, False)
    assert (found.runtime, found.format) == (Runtime.ONEFLOW, ModelFormat.ONEFLOW)
    assert found.converter_image is None
    assert found.export_image is None
    assert found.serving_image == "registry.example/oneflow-serving:0.0.1"


@pytest.mark.parametrize(
    ("changes", "settings", "wanted", "reason"),
    [
        ({}, {"chip_resources": {"GPU": "nvidia.com/mig-1g.5gb"}}, "nvidia.com/mig-1g.5gb", "map"),
        ({}, {"chip_resources": {"": "huawei.com/npu"}}, "nvidia.com/gpu", "that is for Ascend"),
        (
            {"accelerator": {"resourceName": "nvidia.com/gpu.shared"}},
            {},
            "nvidia.com/gpu.shared",
            "by the object itself",
        ),
        ({"accelerator": {"chip": "CPU"}}, {}, None, "a CPU is no device"),
    ],
)
def test_the_resource(
    changes: dict[str, Any], settings: dict[str, Any], wanted: str | None, reason: str
) -> None:
    assert on_gpu(changes, **settings).resource == wanted, reason


@pytest.mark.parametrize(
    ("batching", "largest", "dynamic", "preferred", "reason"),
    [
        (None, 1, False, (), "padded to 1: nothing to gather"),
        ({"maxBatchSize": 16}, 16, True, (16,), "only the whole batch is worth waiting for"),
        ({"maxBatchSize": 16, "mode": "Disabled"}, 16, False, (16,), "clients send batches"),
    ],
)
def test_batches(
    batching: dict[str, Any] | None,
    largest: int,
    dynamic: bool,
    preferred: tuple[int, ...],
    reason: str,
) -> None:
    found = on_gpu({"serving": {"batching": batching}} if batching else None)
    assert found.max_batch_size == largest, reason
    assert found.dynamic_batching is dynamic
    assert found.preferred_batch_sizes == preferred
    assert not found.warmup, "Triton 21.10 cannot read it"


def test_another_batch_is_the_same_artifact() -> None:
    larger = on_gpu({"serving": {"batching": {"maxBatchSize": 16}}})
    assert larger.source_key == on_gpu().source_key


def digest_of(found: Resolved, settings: Settings | None = None) -> str:
    return declared_digest(
        resolved=found,
        artifact_sha256="a" * 64,
        labels=None,
        settings=settings or a_settings(),
    )


def test_another_contract_of_the_same_graph_is_another_revision() -> None:
    """The tar is the same, config.pbtxt is not."""
    other = on_gpu({"model": {"outputs": [tensor("OUTPUT_0", 10)]}})
    assert other.source_key != on_gpu().source_key
    assert digest_of(other) != digest_of(on_gpu())


def test_the_runtime_class_of_gpus() -> None:
    settings = a_settings(gpu_runtime_class_name="nvidia", runtime_class_name="ascend")
    parts = device_parts(resolved=on_gpu(), artifact=an_artifact(), settings=settings)
    assert parts.runtime_class_name == "nvidia"
    assert parts.node_selector == {}
    on_cpu = on_gpu({"accelerator": {"chip": "CPU"}})
    assert not device_parts(
        resolved=on_cpu, artifact=an_artifact(), settings=settings
    ).runtime_class_name


def test_a_new_runtime_class_restarts_gpus_alone_and_only_if_asked_to() -> None:
    changed = {"gpu_runtime_class_name": "nvidia"}
    assert digest_of(on_gpu(), a_settings(**changed)) == digest_of(on_gpu())
    now = a_settings(adopt_new_defaults="Immediately")
    then = a_settings(adopt_new_defaults="Immediately", **changed)
    assert digest_of(on_gpu(), now) != digest_of(on_gpu(), then)
    assert digest_of(resolved(), now) == digest_of(resolved(), then)


def test_on_a_cpu() -> None:
    found = on_gpu({"accelerator": {"chip": "CPU"}, "serving": {"oneflow": {"xrt": "OpenVINO"}}})
    artifact = an_artifact(
        file="model.tar",
        inputs=(TensorInfo("INPUT_0", "FP32", (3, 224, 224)),),
        outputs=(TensorInfo("OUTPUT_0", "FP16", (1000,)),),
    )
    text = config_pbtxt(resolved=found, artifact=artifact)
    assert "instance_group [ { count: 1 kind: KIND_CPU } ]" in text
    assert 'key: "xrt" value { string_value: "openvino" }' in text
    assert "data_type: TYPE_FP16" in text, "OneFlow's backend casts nothing"
    assert output_types(artifact)[0].data_type == "FP16", "so the status says"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "what the backend reads",
        {"serving": {"configOverrides": 'parameters { key: "xrt" value { string_value: "x" } }'}},
        "remove parameters xrt; the runtime sets it",
    ),
    (
        "another kind of instance",
        {"serving": {"configOverrides": "instance_group { kind: KIND_CPU }"}},
        "remove instance_group.kind; to Triton this runtime is KIND_GPU",
    ),
]


@pytest.mark.parametrize(("reason", "changes", "said"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_does_not_go_together(reason: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        on_gpu(changes)
    assert said in raised.value.message, reason
