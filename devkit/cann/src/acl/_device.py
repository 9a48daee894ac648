"""Which simulated chips this process has, and their memory.

As in a pod of a real cluster: the device plugin sets ASCEND_VISIBLE_DEVICES to the physical ids and
puts /dev/davinci<id> into the container; inside, ids count from 0. SIMULATED_NPU_SOC, set by the
devkit's device plugin, says which chip they are.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_MEMORY_MB = 21534
"""What npu-smi shows of a 310P3."""


@dataclass
class Device:
    """One chip. Memory is counted for each process alone: other users of the chip are not seen."""

    node: Path
    limit: int
    used: int = 0

    @property
    def accessible(self) -> bool:
        return os.access(self.node, os.R_OK | os.W_OK)

    def take(self, size: int) -> bool:
        if self.used + size > self.limit:
            return False
        self.used += size
        return True


@dataclass
class Devices:
    """The chips in the order in which the process counts them."""

    soc_name: str = ""
    found: list[Device] = field(default_factory=list)

    @classmethod
    def of_environment(cls) -> Devices:
        soc_name = os.environ.get("SIMULATED_NPU_SOC", "")
        if not soc_name:
            return cls()
        folder = Path(os.environ.get("SIMULATED_NPU_DEVICE_DIR", "/dev"))
        limit = int(os.environ.get("SIMULATED_NPU_MEMORY_MB", DEFAULT_MEMORY_MB)) << 20
        ids = physical_ids(os.environ.get("ASCEND_VISIBLE_DEVICES", ""))
        return cls(soc_name, [Device(folder / f"davinci{number}", limit) for number in ids])


def physical_ids(text: str) -> list[int]:
    """`0,2`, `0-2`, `Ascend310P-1`, or a mixture; `void` and nothing are none. Ascending."""
    ids: set[int] = set()
    for part in filter(None, text.split(",")):
        if match := re.fullmatch(r"(\d+)-(\d+)", part):
            ids.update(range(int(match[1]), int(match[2]) + 1))
        elif match := re.fullmatch(r"(?:Ascend\w+-)?(\d+)", part):
            ids.add(int(match[1]))
    return sorted(ids)
