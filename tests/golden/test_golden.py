"""Every child as a whole, for a reader to look at: cases/<name>/in.yaml makes want/*.

The store and the files of the runtime, which a namespace has once, are in namespaces/<name>.

After a change that is meant: `python -m pytest tests/golden --update-golden`, then read the diff.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tests.golden.rendering import (
    CASE_NAMES,
    CASES,
    NAMESPACE_NAMES,
    NAMESPACES,
    VECTORS,
    Case,
    namespace_texts,
)
from tritonclient.grpc import model_config_pb2

from resnet_operator.seen.compare import is_subset
from resnet_operator.settings.devices import Driver


@pytest.fixture(params=CASE_NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def parse(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def test_children(name: str, update: bool) -> None:
    compare(CASES / name / "want", Case.read(name).texts(), update=update)


@pytest.mark.parametrize("name", NAMESPACE_NAMES)
def test_what_a_namespace_has_once(name: str, update: bool) -> None:
    compare(NAMESPACES / name / "want", namespace_texts(name), update=update)


def compare(folder: Path, texts: dict[str, str], *, update: bool) -> None:
    if update:
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for file, text in texts.items():
            (folder / file).write_text(text)
    found = {path.name: path.read_text() for path in sorted(folder.glob("*"))}
    assert set(found) == set(texts), "run: python -m pytest tests/golden --update-golden"
    for file, text in texts.items():
        assert text == found[file], f"{folder.parent.name}/want/{file}"


def test_rendering_twice_is_the_same(name: str) -> None:
    first, second = Case.read(name), Case.read(name)
    assert json.dumps(first.children()) == json.dumps(second.children())


def test_a_child_is_a_subset_of_itself(name: str) -> None:
    for child in Case.read(name).children().values():
        assert is_subset(child, json.loads(json.dumps(child)))


# config.pbtxt


def test_config_is_what_triton_can_parse(name: str) -> None:
    case = Case.read(name)
    config = parse(case.config())
    assert config.name == case.resolved.model_name
    assert config.max_batch_size == case.resolved.max_batch_size >= 1
    assert [tensor.name for tensor in config.input] == [t.name for t in case.artifact.inputs]
    group = config.instance_group[0]
    assert group.count * max(len(group.gpus), 1) == case.resolved.instances


@pytest.mark.parametrize(
    ("case", "vector"),
    [
        ("npu-two-chips", "torchvision-two-chips"),
        ("r1", "r1"),
        ("torch-aie", "r0"),
        ("oneflow", "r3"),
    ],
)
def test_config_equals_the_verified_one(case: str, vector: str) -> None:
    """The vectors were loaded by a real tritonserver; r3 is the guide's, for want of a GPU."""
    assert parse(Case.read(case).config()) == parse((VECTORS / f"{vector}.pbtxt").read_text())


def test_half_precision_is_answered_as_single() -> None:
    """class_count refuses FP16, so model.py casts; the input stays as the model has it."""
    config = parse(Case.read("static-batch").config())
    types = model_config_pb2.DataType.Name
    assert [types(t.data_type) for t in config.input] == ["TYPE_FP16", "TYPE_INT64"]
    assert [types(t.data_type) for t in config.output] == ["TYPE_FP32", "TYPE_FP32"]
    assert not config.HasField("dynamic_batching")
    assert [warmup.batch_size for warmup in config.model_warmup] == [24]


# What the API server and Pod Security ask of every pod.


def pods(children: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in children.items():
        if child["kind"] in {"Job", "Deployment"}:
            yield name, child["spec"]["template"]["spec"]


VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def test_the_login_is_mounted_where_sources_are_fetched_and_nowhere_else() -> None:
    pod = dict(pods(Case.read("r1").children()))["job"]
    seen = {
        container["name"]
        for container in [*pod["initContainers"], *pod["containers"]]
        for mount in container["volumeMounts"]
        if mount["name"] == "credentials"
    }
    assert seen == {"fetch"}


def test_every_pod_is_restricted(name: str) -> None:
    for child, pod in pods(Case.read(name).children()):
        assert pod["automountServiceAccountToken"] is False, child
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert (security["runAsUser"], security["runAsGroup"]) == (1000, 1000)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, container["name"]
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        asked = Case.read(name).settings.devices.driver is Driver.HOST_PATH
        assert kinds - VOLUMES == ({"hostPath"} if asked and child == "deployment" else set()), (
            child
        )


def test_every_mount_has_its_volume_and_every_volume_a_mount(name: str) -> None:
    for child, pod in pods(Case.read(name).children()):
        mounted = {
            mount["name"]
            for container in [*pod.get("initContainers", ()), *pod["containers"]]
            for mount in container["volumeMounts"]
        }
        assert mounted == {volume["name"] for volume in pod["volumes"]}, child


def test_names_and_labels_fit(name: str) -> None:
    for child in Case.read(name).children().values():
        meta = child["metadata"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", meta["name"])
        assert all(len(value) <= 63 for value in meta.get("labels", {}).values())
        assert meta["namespace"]


def test_selectors_select_the_pods(name: str) -> None:
    children = Case.read(name).children()
    labels = children["deployment"]["spec"]["template"]["metadata"]["labels"]
    assert children["service"]["spec"]["selector"].items() <= labels.items()
    wanted = children["deployment"]["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= labels.items()
    if "store-service" in children:
        store = children["store-deployment"]["spec"]["template"]["metadata"]["labels"]
        assert children["store-service"]["spec"]["selector"].items() <= store.items()
        assert not wanted.items() <= store.items(), "the store is no serving pod"


def test_all_containers_of_the_job_are_told_the_same(name: str) -> None:
    pod = dict(pods(Case.read(name).children()))["job"]
    told = set()
    for container in [*pod["initContainers"], *pod["containers"]]:
        told |= {item["value"] for item in container["env"] if item["name"] == "RESNET_JOB"}
    (text,) = told
    always = {"uri", "sha256", "format", "chip", "batchSizes", "timeoutSeconds", "store"}
    assert set(json.loads(text)) >= always


def test_a_chip_is_asked_for_by_triton_alone(name: str) -> None:
    """A conversion needs no NPU: asking for one would wait for the pods that it is made for."""
    case = Case.read(name)
    found = dict(pods(case.children()))
    for child, pod in found.items():
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            limits = container["resources"].get("limits", {})
            asks = any("/" in resource for resource in limits)
            assert asks == (container["name"] == "triton" and bool(case.resolved.resource)), child
