"""How each kind of cluster hands out chips: the dialects, as a table.

Called by `resolve` (which resources a replica asks for) and by `render.devices` (what else its pod
says). Pure. Sources are in docs/decisions/033.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.settings.devices import Dialect
from resnet_operator.settings.operator import Settings, by_longest_prefix

T = TypeVar("T")
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
# MindCluster's templates of static vNPU slices, and what the resource's name then ends with.
SLICE_SUFFIXES = {
    "vir01": "-1c",
    "vir02": "-2c",
    "vir04": "-4c",
    "vir08": "-8c",
    "vir16": "-16c",
    "vir02_1c": "-2c.1cpu",
    "vir04_3c": "-4c.3cpu",
    "vir04_3c_ndvpp": "-4c.3cpu.ndvpp",
    "vir04_4c_dvpp": "-4c.4cpu.dvpp",
}
# HAMi rounds the memory that is asked for up to a template; these are the templates' own, in MiB.
HAMI_SLICES: Mapping[str, Mapping[str, int]] = {
    "Ascend310P": {"vir01": 3072, "vir02": 6144, "vir04": 12288},
    "Ascend910B2": {"vir03_1c_8g": 8192, "vir06_1c_16g": 16384, "vir12_3c_32g": 32768},
    "Ascend910B3": {"vir05_1c_16g": 16384, "vir10_3c_32g": 32768},
    "Ascend910B4": {"vir05_1c_8g": 8192, "vir10_3c_16g": 16384},
    # Its templates changed from one version of HAMi to another.
    "Ascend910B4-1": {},
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


@dataclass(frozen=True, kw_only=True)
class DeviceRequest:
    """What a replica asks for: `resource`, once for each chip, and `more` as it stands."""

    resource: str
    more: Mapping[str, str] = field(default_factory=dict)


def device_request(spec: ResNetServiceSpec, settings: Settings) -> DeviceRequest:
    """Return the resources of a replica; raises InvalidSpec where the dialect has no name."""
    chip, part = spec.accelerator.chip, spec.accelerator.slice
    dialect = settings.devices.dialect
    table = {**DIALECTS[dialect].resources, **settings.chip_resources}
    if name := spec.accelerator.resource_name:
        if part and dialect is Dialect.HAMI and name in table.values():
            raise InvalidSpec(f"remove accelerator.resourceName; {name} is the whole card")
        return DeviceRequest(resource=name)
    resource = by_longest_prefix(table, chip)
    if not resource:
        raise InvalidSpec(
            f"no resource name is known for chip {chip} in dialect {dialect}; set "
            "accelerator.resourceName, or chipResources in the operator's settings"
        )
    if part is None:
        return DeviceRequest(resource=resource)
    if dialect is Dialect.HAMI:
        memory = _by_prefix(HAMI_SLICES, chip)
        if part not in memory:
            raise InvalidSpec(_no_slice_of_hami(part, chip, memory))
        return DeviceRequest(
            resource=resource,
            more={f"{resource}-memory": str(memory[part])},
        )
    suffixes = SLICE_SUFFIXES if dialect is not Dialect.CCE else {}
    return DeviceRequest(resource=f"{resource}{_known(part, suffixes, chip, dialect)}")


def _no_slice_of_hami(part: str, chip: str, known: Mapping[str, int]) -> str:
    """Say what can be had instead; a resource's name would be that of the whole card."""
    wanted = f"no resource name is known for slice {part} of {chip} in dialect HAMi"
    if known:
        choice = f"write one of {', '.join(known)}, or"
        return f"{wanted}; {choice} remove accelerator.slice to take whole cards"
    return (
        f"{wanted}: its slices differ from version to version of HAMi; remove accelerator.slice to "
        "take whole cards"
    )


def node_labels(chip: str, settings: Settings) -> dict[str, str]:
    """Return the labels of nodes that have this very chip, as far as the dialect knows them."""
    table = DIALECTS[settings.devices.dialect]
    labels = dict(_by_prefix(table.node_labels, chip))
    if table.chip_label and settings.devices.select_chip:
        name = chip.removeprefix("Ascend")
        value = A3_LABEL if chip.startswith(A3) else name if name in LABELLED_CHIPS else ""
        labels |= {CHIP_LABEL: value} if value else {}
    return labels


def _by_prefix(table: Mapping[str, Mapping[str, T]], chip: str) -> Mapping[str, T]:
    fitting = [key for key in table if chip.startswith(key)]
    return table[max(fitting, key=len)] if fitting else {}


def _known(part: str, table: Mapping[str, object], chip: str, dialect: Dialect) -> object:
    if part in table:
        return table[part]
    known = f"write one of {', '.join(table)}, or set" if table else "set"
    raise InvalidSpec(
        f"no resource name is known for slice {part} of {chip} in dialect {dialect}; {known} "
        "accelerator.resourceName"
    )
