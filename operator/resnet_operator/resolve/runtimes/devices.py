"""How each kind of cluster hands out chips: the dialects, as a table.

Called by `resolve` (which resources a replica asks for) and by `render.devices` (what else its pod
says). Pure. Sources are in docs/decisions/033.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.runtimes.shares import (
    DeviceRequest,
    check_whole,
    named,
    shared,
    template_of,
    templated,
)
from resnet_operator.settings.devices import Dialect
from resnet_operator.settings.operator import Settings, by_longest_prefix

CHIP_LABEL = "node.kubernetes.io/npu.chip.name"

# Keys of all tables are beginnings of a chip's name, the longest wins; an empty value is "unknown".
MIND_CLUSTER_RESOURCES = {
    "Ascend310": "huawei.com/Ascend310",
    "Ascend310B": "huawei.com/Ascend310",
    "Ascend310P": "huawei.com/Ascend310P",
    "Ascend910": "huawei.com/Ascend910",
    "Ascend950": "huawei.com/npu",
    "Ascend350": "huawei.com/npu",
}
# The values of CHIP_LABEL that are documented: the chip without "Ascend", and one for all of A3.
LABELLED_CHIPS = {
    *("310", "310P1", "310P2", "310P3", "310P4"),
    *("910A", "910PremiumA", "910ProA", "910ProB", "910B1", "910B2", "910B3", "910B4"),
}
A3, A3_LABEL = "Ascend910_", "Ascend910"


@dataclass(frozen=True, kw_only=True)
class DialectTable:
    """One kind of cluster. `node_labels` select nodes by chip, `chip_label` is opt-in."""

    resources: Mapping[str, str]
    runtime_class_name: str = ""
    scheduler_name: str = ""
    node_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    chip_label: bool = False
    # 310P chips on boards that are a whole computer have other files; nodes are told apart by this.
    avoids_soc: bool = False
    # Volcano chooses the chips and writes them into an annotation of the pod.
    volcano: bool = False


CCE_310 = {"accelerator/huawei-npu": "ascend-310"}
CCE_1980 = {"accelerator/huawei-npu": "ascend-1980"}
DIALECTS: Mapping[Dialect, DialectTable] = {
    Dialect.MIND_CLUSTER: DialectTable(
        resources=MIND_CLUSTER_RESOURCES, chip_label=True, avoids_soc=True
    ),
    Dialect.MIND_CLUSTER_VOLCANO: DialectTable(
        resources=MIND_CLUSTER_RESOURCES,
        scheduler_name="volcano",
        chip_label=True,
        avoids_soc=True,
        volcano=True,
    ),
    Dialect.HAMI: DialectTable(
        resources={
            "Ascend310P": "huawei.com/Ascend310P",
            "Ascend910A": "huawei.com/Ascend910A",
            "Ascend910B2": "huawei.com/Ascend910B2",
            "Ascend910B3": "huawei.com/Ascend910B3",
            "Ascend910B4": "huawei.com/Ascend910B4",
            "Ascend910B4-1": "huawei.com/Ascend910B4-1",
            A3: "huawei.com/Ascend910C",
        },
        runtime_class_name="ascend",
    ),
    Dialect.CCE: DialectTable(
        resources={
            "Ascend310": "huawei.com/ascend-310",
            "Ascend310B": "",
            "Ascend910": "huawei.com/ascend-1980",
        },
        # Nodes with A3 have another value, which differs from region to region.
        node_labels={
            "Ascend310": CCE_310,
            "Ascend910": CCE_1980,
            A3: {},
        },
    ),
}


def device_request(spec: ResNetServiceSpec, settings: Settings) -> DeviceRequest:
    """Return the resources of a replica; raises InvalidSpec where the dialect has no name."""
    accelerator, dialect = spec.accelerator, settings.devices.dialect
    chip, part, share = accelerator.chip, template_of(accelerator), accelerator.share
    table = {**DIALECTS[dialect].resources, **settings.chip_resources}
    if name := accelerator.resource_name:
        is_card = name in table.values() or share is not None
        if (part or share) and dialect is Dialect.HAMI and is_card:
            raise InvalidSpec(f"remove accelerator.resourceName; {name} is the whole card")
        return named(accelerator, name)
    resource = by_longest_prefix(table, chip)
    if not resource:
        raise InvalidSpec(
            f"no resource name is known for chip {chip} in dialect {dialect}; set "
            "accelerator.resourceName, or chipResources in the operator's settings"
        )
    if part is not None:
        return templated(part, chip, resource, dialect)
    if share is not None:
        return shared(share, chip, resource, settings)
    check_whole(chip, settings)
    return DeviceRequest(resource=resource)


def node_labels(chip: str, settings: Settings) -> dict[str, str]:
    """Return the labels of nodes that have this very chip, as far as the dialect knows them."""
    table = DIALECTS[settings.devices.dialect]
    fitting = [key for key in table.node_labels if chip.startswith(key)]
    labels = dict(table.node_labels[max(fitting, key=len)]) if fitting else {}
    if table.chip_label and settings.devices.select_chip:
        name = chip.removeprefix("Ascend")
        value = A3_LABEL if chip.startswith(A3) else name if name in LABELLED_CHIPS else ""
        labels |= {CHIP_LABEL: value} if value else {}
    return labels
