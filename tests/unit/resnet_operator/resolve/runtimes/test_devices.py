"""The dialects: what a replica asks for, which nodes it selects, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import a_meta, a_settings, an_artifact, resolved

from resnet_operator.errors import InvalidSpec
from resnet_operator.render.serving import pod_template
from resnet_operator.resolve.runtimes.devices import CHIP_LABEL, DIALECTS

ANY_IMAGE = {"converter_images": {"": "registry.example/cann:1"}}
NPU_LABEL = "accelerator/huawei-npu"


def pod_of(
    accelerator: dict[str, Any], devices: dict[str, Any], *, arch: str | None = None, **more: Any
) -> dict[str, Any]:
    """Return the pod's spec for an accelerator in a cluster."""
    settings = a_settings(**ANY_IMAGE, devices=devices, **more)
    found = resolved({"accelerator": accelerator}, settings=settings)
    template = pod_template(
        service=a_meta(),
        resolved=found,
        artifact=an_artifact(arch=arch),
        revision="resnet50-1",
        classes=None,
        settings=settings,
    )
    spec: dict[str, Any] = template["spec"]
    return spec


def asked(pod: dict[str, Any]) -> dict[str, str]:
    resources = pod["containers"][0]["resources"]
    found = {key: value for key, value in resources["limits"].items() if "/" in key}
    assert found == {k: v for k, v in resources["requests"].items() if "/" in k}, "as the API wants"
    return found


@dataclass(frozen=True)
class Asked:
    dialect: str
    chip: str
    resources: dict[str, str]
    part: str = ""
    nodes: dict[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return f"{self.dialect} {self.chip} {self.part}".strip()


def one(resource: str) -> dict[str, str]:
    return {f"huawei.com/{resource}": "1"}


ASKED = (
    Asked("MindCluster", "Ascend310", one("Ascend310")),
    Asked("MindCluster", "Ascend310B4", one("Ascend310")),
    Asked("MindCluster", "Ascend310P3", one("Ascend310P")),
    Asked("MindCluster", "Ascend910B4", one("Ascend910")),
    Asked("MindCluster", "Ascend910_9392", one("Ascend910")),
    Asked("MindCluster", "Ascend950PR_9589", one("npu")),
    Asked("MindCluster", "Ascend310P3", one("Ascend310P-4c.3cpu"), "vir04_3c"),
    Asked("MindClusterVolcano", "Ascend310P3", one("Ascend310P-2c"), "vir02"),
    Asked("HAMi", "Ascend310P3", one("Ascend310P")),
    Asked("HAMi", "Ascend910A", one("Ascend910A")),
    Asked("HAMi", "Ascend910B3", one("Ascend910B3")),
    Asked("HAMi", "Ascend910B4", one("Ascend910B4")),
    Asked("HAMi", "Ascend910B4-1", one("Ascend910B4-1")),
    Asked("HAMi", "Ascend910_9392", one("Ascend910C")),
    Asked(
        "HAMi",
        "Ascend310P3",
        one("Ascend310P") | {"huawei.com/Ascend310P-memory": "12288"},
        "vir04",
    ),
    Asked(
        "HAMi",
        "Ascend910B4",
        one("Ascend910B4") | {"huawei.com/Ascend910B4-memory": "8192"},
        "vir05_1c_8g",
    ),
    Asked("CCE", "Ascend310", one("ascend-310"), nodes={NPU_LABEL: "ascend-310"}),
    Asked("CCE", "Ascend310P3", one("ascend-310"), nodes={NPU_LABEL: "ascend-310"}),
    Asked("CCE", "Ascend910B4", one("ascend-1980"), nodes={NPU_LABEL: "ascend-1980"}),
    Asked("CCE", "Ascend910_9392", one("ascend-1980")),
)


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.reason)
def test_what_a_replica_asks_for(case: Asked) -> None:
    for name in ({"slice": case.part}, {"share": {"template": case.part}}) if case.part else ({},):
        pod = pod_of({"chip": case.chip, **name}, {"dialect": case.dialect})
        assert asked(pod) == case.resources
        assert pod.get("nodeSelector", {}) == case.nodes


def test_every_dialect_is_in_the_table() -> None:
    assert {case.dialect for case in ASKED} == {dialect.value for dialect in DIALECTS}


REFUSED = (
    ("HAMi", {"chip": "Ascend310B4"}, "chip Ascend310B4 in dialect HAMi; set accelerator"),
    ("CCE", {"chip": "Ascend310B4"}, "chip Ascend310B4 in dialect CCE; set accelerator"),
    ("CCE", {"chip": "Ascend310P3", "slice": "vir02"}, "in dialect CCE; set accelerator"),
    ("HAMi", {"chip": "Ascend310P3", "slice": "vir02_1c"}, "write one of vir01, vir02, vir04, or"),
    ("HAMi", {"chip": "Ascend910B4-1", "slice": "vir10_3c_16g"}, "remove accelerator.slice"),
    ("MindCluster", {"chip": "Ascend310P3", "slice": "vir99"}, "write one of vir01, vir02, vir04,"),
)


@pytest.mark.parametrize(("dialect", "accelerator", "words"), REFUSED)
def test_what_a_dialect_does_not_know_is_refused(
    dialect: str, accelerator: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidSpec, match="no resource name is known for") as refused:
        pod_of(accelerator, {"dialect": dialect})
    assert words in refused.value.message


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_name_of_the_objects_own_is_taken_as_it_is(dialect: str) -> None:
    """Administrators can rename every resource."""
    accelerator = {"chip": "Ascend310P3", "slice": "vir02", "resourceName": "example.com/npu-2c"}
    assert asked(pod_of(accelerator, {"dialect": dialect})) == {"example.com/npu-2c": "1"}


def test_the_settings_names_come_before_the_dialects() -> None:
    more: dict[str, Any] = {"chip_resources": {"Ascend310P3": "example.com/p3"}}
    assert asked(pod_of({"chip": "Ascend310P3"}, {"dialect": "CCE"}, **more)) == {
        "example.com/p3": "1"
    }


CHIP_LABELS: tuple[tuple[str | None, dict[str, str], str], ...] = (
    ("Ascend310P3", {CHIP_LABEL: "310P3"}, "the chip itself"),
    ("Ascend910B4", {CHIP_LABEL: "910B4"}, "an OM for B4 does not run on B3"),
    ("Ascend910_9392", {CHIP_LABEL: "Ascend910"}, "A3 has one name for all"),
    ("Ascend910B4-1", {}, "not documented"),
    ("Ascend310B4", {}, "not documented"),
    ("CPU", {}, "no chip"),
)


@pytest.mark.parametrize(("chip", "labels", "reason"), CHIP_LABELS)
def test_nodes_by_the_label_of_the_chip(chip: str, labels: dict[str, str], reason: str) -> None:
    for dialect in ("MindCluster", "MindClusterVolcano"):
        devices = {"dialect": dialect, "selectChip": True}
        assert pod_of({"chip": chip}, devices).get("nodeSelector", {}) == labels, reason
        without = pod_of({"chip": chip}, {"dialect": dialect})
        assert "nodeSelector" not in without, "old plugins do not set the label"


def environment(pod: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item for item in pod["containers"][0]["env"]}


def test_volcano_says_which_chips_it_chose() -> None:
    pod = pod_of({"chip": "Ascend310P3"}, {"dialect": "MindClusterVolcano"}, arch="x86_64")
    chosen = environment(pod)["ASCEND_VISIBLE_DEVICES"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert chosen == "metadata.annotations['huawei.com/Ascend310P']"
    assert pod["schedulerName"] == "volcano"
    assert pod["nodeSelector"]["host-arch"] == "huawei-x86"
    for reason, accelerator, dialect in (
        ("a static slice must not", {"slice": "vir02"}, "MindClusterVolcano"),
        ("the device plugin sets it", {}, "MindCluster"),
        ("HAMi's plugin sets it", {}, "HAMi"),
    ):
        other = pod_of({"chip": "Ascend310P3", **accelerator}, {"dialect": dialect})
        assert "ASCEND_VISIBLE_DEVICES" not in environment(other), reason


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_cpu_has_nothing_of_a_dialect(dialect: str) -> None:
    devices = {"dialect": dialect, "selectChip": True, "driver": "HostPath"}
    pod = pod_of({"chip": "CPU"}, devices, arch="x86_64")
    assert {"runtimeClassName", "schedulerName", "affinity"}.isdisjoint(pod)
    assert not [volume for volume in pod["volumes"] if volume["name"] == "driver"]
    assert set(environment(pod)) == {"HOME", "PYTHONNOUSERSITE", "ASCEND_PROCESS_LOG_PATH"}


def test_the_settings_runtime_class_and_scheduler_come_before_the_dialects() -> None:
    chosen = {"runtime_class_name": "npu", "scheduler_name": "mine"}
    for dialect in DIALECTS:
        pod = pod_of({"chip": "Ascend310P3"}, {"dialect": dialect}, **chosen)
        assert (pod["runtimeClassName"], pod["schedulerName"]) == ("npu", "mine")
    hami = pod_of({"chip": "Ascend310P3"}, {"dialect": "HAMi"})
    assert hami["runtimeClassName"] == "ascend"


def test_a_users_node_selector_comes_before_ours() -> None:
    settings = a_settings(devices={"dialect": "CCE"})
    chosen = {"serving": {"nodeSelector": {NPU_LABEL: "ascend-snt3p"}}}
    template = pod_template(
        service=a_meta(),
        resolved=resolved(chosen, settings=settings),
        artifact=an_artifact(),
        revision="resnet50-1",
        classes=None,
        settings=settings,
    )
    assert template["spec"]["nodeSelector"] == {NPU_LABEL: "ascend-snt3p"}


def test_no_advice_turns_a_slice_of_hami_into_the_whole_card() -> None:
    """The resource names the card; how much of it is another resource's number."""
    asked = {"chip": "Ascend910B4-1", "slice": "vir05_1c_8g"}
    for accelerator in (asked, asked | {"resourceName": "huawei.com/Ascend910B4-1"}):
        with pytest.raises(InvalidSpec) as refused:
            pod_of(accelerator, {"dialect": "HAMi"})
        assert "set accelerator.resourceName" not in refused.value.message
        assert "whole card" in refused.value.message
