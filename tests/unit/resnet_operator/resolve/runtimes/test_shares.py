"""A part of a chip: what each dialect is asked for, and which sentence refuses what it has not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import a_settings, resolved

from resnet_operator.errors import InvalidSpec
from resnet_operator.plan.status.conditions import SHORT, shorten
from resnet_operator.resolve.order import conversion_order
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.shares import MIB

P3, B4 = "Ascend310P3", "Ascend910B4"
SHARED: dict[str, Any] = {"dialect": "MindCluster", "shareCount": 4}
HAMI: dict[str, Any] = {"dialect": "HAMi"}
VOLCANO: dict[str, Any] = {"dialect": "MindClusterVolcano", "shareCount": 4}


def of(accelerator: dict[str, Any], devices: dict[str, Any]) -> Resolved:
    settings = a_settings(converter_images={"": "registry.example/cann:1"}, devices=devices)
    return resolved({"accelerator": accelerator}, settings=settings)


@dataclass(frozen=True, kw_only=True)
class Given:
    reason: str
    share: dict[str, Any]
    devices: dict[str, Any]
    resource: str
    chip: str = P3
    more: dict[str, str] = field(default_factory=dict)
    memory: int | None = None
    virtual: bool = False
    name: str | None = None


GIVEN = (
    Given(reason="one of four places on the chip, and a quarter of its memory", share={},
          devices=SHARED, resource="huawei.com/Ascend310P", memory=5381 * MIB),
    Given(reason="less than that is a bound of the object's own", share={"memory": "1Gi"},
          devices=SHARED, resource="huawei.com/Ascend310P", memory=1024 * MIB),
    Given(reason="all of its quarter and no more", share={"memory": "5381Mi"},
          devices=SHARED, resource="huawei.com/Ascend310P", memory=5381 * MIB),
    Given(reason="a board with more memory than the smallest one", share={"memory": "10Gi"},
          devices=SHARED | {"chipMemory": {P3: "43Gi"}}, resource="huawei.com/Ascend310P",
          memory=10240 * MIB),
    Given(reason="310B boards differ, so nobody knows", share={}, devices=SHARED,
          chip="Ascend310B4", resource="huawei.com/Ascend310"),
    Given(reason="a board that the administrator has described", share={}, chip="Ascend310B4",
          devices=SHARED | {"chipMemory": {"Ascend310B": "8Gi"}}, resource="huawei.com/Ascend310",
          memory=2048 * MIB),
    Given(reason="HAMi counts mebibytes", share={"memory": "4Gi"}, devices=HAMI, virtual=True,
          resource="huawei.com/Ascend310P", more={"huawei.com/Ascend310P-memory": "4096"},
          memory=4096 * MIB),
    Given(reason="decimal megabytes are rounded up", share={"memory": "1G"}, devices=HAMI,
          chip=B4, resource="huawei.com/Ascend910B4", virtual=True,
          more={"huawei.com/Ascend910B4-memory": "954"}, memory=10**9),
    Given(reason="the whole memory is a share too", share={"memory": "21527Mi"}, devices=HAMI,
          resource="huawei.com/Ascend310P", virtual=True,
          more={"huawei.com/Ascend310P-memory": "21527"}, memory=21527 * MIB),
    Given(reason="a template beside shared chips", share={"template": "vir02"}, devices=SHARED,
          resource="huawei.com/Ascend310P-2c", virtual=True),
    Given(reason="Volcano knows templates", share={"template": "vir04"}, devices=VOLCANO,
          resource="huawei.com/Ascend310P-4c", virtual=True),
    Given(reason="CCE's name is not known, but its users' is", share={"template": "vir02"},
          devices={"dialect": "CCE"}, name="example.com/npu-2c", resource="example.com/npu-2c",
          virtual=True),
    Given(reason="a name for the shared chips alone", share={"memory": "2Gi"}, devices=VOLCANO,
          name="example.com/shared", resource="example.com/shared", memory=2048 * MIB),
)  # fmt: skip


@pytest.mark.parametrize("case", GIVEN, ids=lambda case: case.reason)
def test_what_a_share_asks_for(case: Given) -> None:
    more = {"resourceName": case.name} if case.name else {}
    found = of({"chip": case.chip, "share": case.share, **more}, case.devices)
    assert (found.resource, found.chip_count) == (case.resource, 1)
    assert dict(found.more_resources) == case.more
    assert found.share_bytes == case.memory
    assert conversion_order(found).get("virtualDevice", False) == case.virtual


REFUSED: tuple[tuple[str, dict[str, Any], dict[str, Any], str], ...] = (
    ("nothing shares chips here", {"share": {}}, {}, "or set devices.shareCount"),
    ("nor by memory", {"share": {"memory": "1Gi"}}, {}, "or set devices.shareCount"),
    ("the flag has no effect on a 910", {"chip": B4, "share": {}}, SHARED, "310P and 310B only"),
    ("more than a quarter", {"share": {"memory": "5382Mi"}}, SHARED,
     "share.memory is 5382Mi, one of 4 shares of an Ascend310P3 has 5381Mi; lower it, or raise"),
    ("nothing", {"share": {"memory": 0}}, SHARED, "of 1Mi at least"),
    ("less than a mebibyte", {"share": {"memory": "500m"}}, HAMI, "of 1Mi at least"),
    ("HAMi without memory", {"share": {}}, HAMI, "write accelerator.share.memory, for example 4Gi"),
    ("more than the chip", {"share": {"memory": "22Gi"}}, HAMI, "an Ascend310P3 has 21527Mi"),
    ("a template that HAMi has not", {"share": {"template": "vir99"}}, HAMI, "one of vir01, vir02"),
    ("the whole card by its name", {"share": {"memory": "4Gi"}, "resourceName": "a.b/c"}, HAMI,
     "remove accelerator.resourceName"),
    ("Volcano counts whole chips", {"share": {}}, VOLCANO, "write share.template"),
    ("CCE's shares", {"share": {"memory": "4Gi"}}, {"dialect": "CCE"}, "accelerator.resourceName"),
    ("CCE's templates", {"share": {"template": "vir02"}}, {"dialect": "CCE"}, "resourceName"),
    ("a whole chip where all are shared", {}, SHARED, "is shared by 4 pods; write"),
    ("two of them", {"count": 2}, SHARED, "is shared by 4 pods; write"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "accelerator", "devices", "words"), REFUSED, ids=[row[0] for row in REFUSED]
)
def test_what_no_dialect_can_give_is_refused(
    reason: str, accelerator: dict[str, Any], devices: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        of({"chip": P3} | accelerator, devices)
    assert words in refused.value.message, reason
    if "slice" not in refused.value.message:  # as 0.1.0 said it
        whole = refused.value.message
        assert shorten(whole, SHORT) == whole, "the printed line has it"


WHOLE: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("a chip that the flag does not share", {"chip": B4}, SHARED),
    ("a name for whole chips", {"chip": P3, "resourceName": "example.com/whole"}, SHARED),
    ("another dialect has no such flag", {"chip": P3}, HAMI | {"shareCount": 4}),
    ("a CPU", {"chip": "CPU"}, SHARED),
)


@pytest.mark.parametrize(("reason", "accelerator", "devices"), WHOLE)
def test_whole_chips_stay_whole(
    reason: str, accelerator: dict[str, Any], devices: dict[str, Any]
) -> None:
    found = of(accelerator, devices)
    assert (found.share_bytes, found.virtual_device) == (None, False), reason


def test_both_names_of_a_template_are_one_artifact() -> None:
    by_old = of({"chip": P3, "slice": "vir02"}, {})
    by_new = of({"chip": P3, "share": {"template": "vir02"}}, {})
    whole = of({"chip": P3}, {})
    assert by_old.source_key == by_new.source_key != whole.source_key


def test_memory_makes_another_artifact_but_its_amount_does_not() -> None:
    """HAMi's shares are vNPUs, and the key is over what is declared, not over the cluster."""
    keys = [
        of({"chip": P3, "share": share}, HAMI).source_key
        for share in ({"memory": "2Gi"}, {"memory": "4Gi"})
    ]
    assert len(set(keys)) == 1
    assert keys[0] != of({"chip": P3}, HAMI).source_key
