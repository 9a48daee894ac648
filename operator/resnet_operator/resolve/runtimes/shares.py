"""A part of a chip, as each dialect hands it out: templates, memory, or one of several places.

Called by `devices`. Pure. What each way isolates is in docs/sharing.md, the choice in decision 153.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.api.spec import Accelerator, Share
from resnet_operator.errors import InvalidSpec
from resnet_operator.settings.devices import Dialect
from resnet_operator.settings.operator import Settings, by_longest_prefix

MIB = 2**20
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
# What pods can have of the smallest board with the chip; `devices.chipMemory` comes before it.
CHIP_MEMORY = {
    "Ascend310P3": "21527Mi",
    "Ascend910A": "32Gi",
    "Ascend910B2": "64Gi",
    "Ascend910B3": "64Gi",
    "Ascend910B4": "32Gi",
    "Ascend910B4-1": "64Gi",
}
# MindCluster's -shareDevCount has no effect on other chips.
COUNTED = ("Ascend310P", "Ascend310B")


@dataclass(frozen=True, kw_only=True)
class DeviceRequest:
    """What a replica asks for: `resource`, once for each chip, and `more` as it stands.

    `memory` is what it may take of the chip in bytes, where it is a part with a known bound;
    `virtual` tells that the part is a vNPU, for which the model is converted with --virtual_type.
    """

    resource: str
    more: Mapping[str, str] = field(default_factory=dict)
    memory: int | None = None
    virtual: bool = False


def template_of(accelerator: Accelerator) -> str | None:
    """Return the template of a vNPU by either of its names."""
    share = accelerator.share
    return accelerator.slice or (share.template if share else None)


def memory_of(share: Share | None) -> int | None:
    """Return the bytes that are declared; raises InvalidSpec for less than a mebibyte."""
    if share is None or share.memory is None:
        return None
    found = int(parse_quantity(share.memory) or 0)
    if found < MIB:
        raise InvalidSpec("write an accelerator.share.memory of 1Mi at least, for example 4Gi")
    return found


def chip_memory(chip: str, settings: Settings) -> int | None:
    """Return the bytes that pods can have of a whole chip, where that is known."""
    known = by_longest_prefix({**CHIP_MEMORY, **settings.devices.chip_memory}, chip)
    return int(parse_quantity(known) or 0) if known else None


def named(accelerator: Accelerator, name: str) -> DeviceRequest:
    """Return a resource of the object's own, which is a part because the object says so."""
    return DeviceRequest(
        resource=name,
        memory=memory_of(accelerator.share),
        virtual=template_of(accelerator) is not None,
    )


def templated(part: str, chip: str, resource: str, dialect: Dialect) -> DeviceRequest:
    """Return the resources of a vNPU."""
    if dialect is Dialect.HAMI:
        fitting = [key for key in HAMI_SLICES if chip.startswith(key)]
        memory = HAMI_SLICES[max(fitting, key=len)] if fitting else {}
        if part not in memory:
            raise InvalidSpec(_no_slice_of_hami(part, chip, memory))
        return _of_hami(resource, memory[part] * MIB)
    suffixes = SLICE_SUFFIXES if dialect is not Dialect.CCE else {}
    if part not in suffixes:
        known = f"write one of {', '.join(suffixes)}, or set" if suffixes else "set"
        raise InvalidSpec(
            f"no resource name is known for slice {part} of {chip} in dialect {dialect}; {known} "
            "accelerator.resourceName"
        )
    return DeviceRequest(resource=f"{resource}{suffixes[part]}", virtual=True)


def shared(share: Share, chip: str, resource: str, settings: Settings) -> DeviceRequest:
    """Return the resources of a share without template; raises InvalidSpec where there are none."""
    devices, whole = settings.devices, chip_memory(chip, settings)
    asked = memory_of(share)
    if devices.dialect is Dialect.HAMI:
        if asked is None:
            raise InvalidSpec(
                "write accelerator.share.memory, for example 4Gi; HAMi shares a chip by its memory"
            )
        _check_fits(asked, whole, f"an {chip} has")
        return _of_hami(resource, asked)
    if devices.dialect is not Dialect.MIND_CLUSTER:
        raise InvalidSpec(
            f"dialect {devices.dialect} shares by template only; write share.template, or the "
            "shares' own accelerator.resourceName"
        )
    if not chip.startswith(COUNTED):
        raise InvalidSpec(
            "MindCluster's device plugin shares 310P and 310B only; write share.template, or "
            "remove accelerator.share"
        )
    if devices.share_count == 1:
        raise InvalidSpec(
            "this cluster does not share chips; write share.template, remove accelerator.share, "
            "or set devices.shareCount"
        )
    part = whole // devices.share_count // MIB * MIB if whole else None
    has = f"one of {devices.share_count} shares of an {chip} has"
    if asked is not None:
        _check_fits(asked, part, has)
    return DeviceRequest(resource=resource, memory=asked if asked is not None else part)


def check_whole(chip: str, settings: Settings) -> None:
    """Raise InvalidSpec where a whole chip cannot be had under the name of its resource."""
    devices = settings.devices
    is_shared = devices.dialect is Dialect.MIND_CLUSTER and devices.share_count > 1
    if is_shared and chip.startswith(COUNTED):
        raise InvalidSpec(
            f"each {chip} here is shared by {devices.share_count} pods; write accelerator.share: "
            "{}, or the resourceName of whole chips"
        )


def _of_hami(resource: str, memory: int) -> DeviceRequest:
    """Ask for mebibytes, rounded up; HAMi rounds them up once more, to a template."""
    more = {f"{resource}-memory": str(-(-memory // MIB))}
    return DeviceRequest(resource=resource, more=more, memory=memory, virtual=True)


def _check_fits(asked: int, most: int | None, has: str) -> None:
    if most is not None and asked > most:
        raise InvalidSpec(
            f"share.memory is {in_mib(asked)}, {has} {in_mib(most)}; lower it, or raise "
            "devices.chipMemory"
        )


def in_mib(size: int) -> str:
    """Return a size as people write it."""
    return f"{-(-size // MIB)}Mi"


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
