"""Runtime TorchAIE: what is decided."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import (
    ARTIFACT_SHA256,
    a_meta,
    a_settings,
    an_artifact,
    merged,
    resolved,
)

from resnet_contract.order import parse_job
from resnet_operator.api.reasons import Reason
from resnet_operator.errors import InvalidSpec
from resnet_operator.render.conversion import job_spec
from resnet_operator.render.serving import pod_template, runtime_config_map
from resnet_operator.render.triton import files as model_files
from resnet_operator.render.triton.config import config_pbtxt
from resnet_operator.resolve.declared import declared_digest
from resnet_operator.resolve.resolved import Resolved

SCORES = [{"name": "scores", "dataType": "FP32", "dims": [1000]}]
SPEC: dict[str, Any] = {
    "model": {"uri": "pvc://models/r.pth", "pytorch": {"architecture": "resnet50"}},
    "serving": {"runtime": "TorchAIE", "image": "registry.example/torch-aie:1"},
}
SCRIPT: dict[str, Any] = {
    "uri": "pvc://models/r.torchscript",
    "pytorch": None,
    "inputs": [{"name": "image", "dataType": "FP32", "dims": [3, 224, 224]}],
}


def compiled(changes: dict[str, Any] | None = None) -> Resolved:
    return resolved(merged(SPEC, changes or {}))


def test_nothing_is_converted_and_loading_takes_long() -> None:
    """Neither CANN nor torch is asked for in the Job: the settings have no image with torch."""
    found = compiled()
    assert (found.converter_image, found.export_image, found.amct_image) == (None, None, None)
    assert (found.on_chip, found.resource) == (True, "huawei.com/Ascend310P")
    assert found.load_timeout_seconds == 1800
    assert found.progress_deadline_seconds == 3600, "a load may fail and be tried once more"
    assert (found.batch_sizes, found.max_batch_size) == ((8,), 8)
    assert compiled({"serving": {"loadTimeoutSeconds": 60}}).load_timeout_seconds == 60


def test_the_job_understands_its_order() -> None:
    order = parse_job(
        json.dumps(job_spec(namespace="models", resolved=compiled(), settings=a_settings()))
    )
    assert order.compiles_at_load
    assert not order.has_export
    assert not order.is_compiled
    assert order.pytorch is not None
    assert order.pytorch.architecture == "resnet50"


def test_an_exported_model_is_another_artifact() -> None:
    """The same file is converted for AscendOM, and stored as it is for TorchAIE."""
    exported = resolved(merged(SPEC, {"serving": {"runtime": None, "image": None}}))
    assert exported.converter_image
    assert exported.source_key != compiled().source_key


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": {"pytorch": {"classes": 7}}}, "another network of the same file"),
        ({"model": {"pytorch": {"checkpointKey": "ema"}}}, "other weights in the same file"),
        ({"model": {"outputs": SCORES}}, "another name of the output"),
        ({"conversion": {"inputShapes": {"input": [3, 32, 32]}}}, "another size"),
        ({"serving": {"precisionPolicy": "FP16"}}, "another precision"),
    ],
)
def test_the_file_alone_names_no_revision(changes: dict[str, Any], reason: str) -> None:
    def name(found: Resolved) -> str:
        return declared_digest(
            resolved=found, artifact_sha256=ARTIFACT_SHA256, labels=None, settings=a_settings()
        )

    assert name(compiled(changes)) != name(compiled()), reason


def test_config_tells_the_network() -> None:
    network = {"checkpointKey": "state_dict", "stripPrefix": 'a"b.'}
    found = compiled({"model": {"pytorch": network}})
    text = config_pbtxt(resolved=found, artifact=an_artifact(file="model.pth"))
    for key, value in {
        "architecture": "resnet50",
        "classes": "1000",
        "checkpoint_key": "state_dict",
        "strip_prefix": 'a\\"b.',
        "precision_policy": "FP32",
        "soc_version": "Ascend310P3",
        "model_file": "/artifact/model.pth",
    }.items():
        assert f'key: "{key}" value {{ string_value: "{value}" }}' in text
    script = compiled({"model": {**SCRIPT, "outputs": SCORES}})
    text = config_pbtxt(resolved=script, artifact=an_artifact())
    assert "architecture" not in text


def test_the_pod_has_the_loader_of_pytorch_files() -> None:
    """Every file that the ConfigMap is asked for is in it, and others' pods are as they were."""

    def mounted(found: Resolved) -> list[dict[str, str]]:
        template = pod_template(
            service=a_meta(),
            resolved=found,
            artifact=an_artifact(file="model.pth"),
            revision="r",
            classes=None,
            settings=a_settings(),
        )
        sources = template["spec"]["volumes"][0]["projected"]["sources"]
        items: list[dict[str, str]] = sources[1]["configMap"]["items"]
        return items

    items = mounted(compiled())
    data = runtime_config_map("models")["data"]
    assert {item["key"] for item in items} <= set(data)
    paths = {item["path"]: data[item["key"]] for item in items}
    assert "def load_network(" in paths["1/driver/torch_source.py"]
    assert "TorchAIE" in paths["1/model.py"]
    assert not any(item["path"].startswith("1/driver/") for item in mounted(resolved()))
    assert sum(len(text) for text in data.values()) < 500_000, "a ConfigMap holds one MiB"


def test_the_loader_imports_nothing_that_is_not_mounted() -> None:
    names = {name.removesuffix(".py") for name in model_files.DRIVER}
    for key, text in model_files.driver_data().items():
        folder = "saved/" if key.startswith("driver.saved.") else ""
        wanted = [
            line.split()[1] for line in text.splitlines() if line.strip().startswith("from .")
        ]
        found = {
            ("" if name.startswith("..") else folder) + name.lstrip(".").replace(".", "/")
            for name in wanted
        }
        assert found <= names, key


def test_there_is_no_image_of_ours() -> None:
    with pytest.raises(InvalidSpec) as raised:
        compiled({"serving": {"image": None}})
    assert raised.value.message == (
        "no serving image is set for runtime TorchAIE; set serving.image, or images.serving in "
        "the operator's settings"
    )
    assert raised.value.reason == Reason.INVALID_SPEC
