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

from acl._ledger import Ledger

DEFAULT_MEMORY_MB = 21534
"""What npu-smi shows of a 310P3."""


@dataclass
class Device:
    """One chip. Without a ledger memory is counted for this process alone."""

    node: Path
    limit: int
    used: int = 0
    ledger: Ledger | None = None

    @property
    def accessible(self) -> bool:
        return os.access(self.node, os.R_OK | os.W_OK)

    @property
    def free(self) -> int:
        others = self.ledger.others() if self.ledger else 0
        return max(self.limit - self.used - others, 0)

    def take(self, size: int) -> bool:
        if self.ledger:
            if not self.ledger.take(size, self.used, self.limit):
                return False
        elif self.used + size > self.limit:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        self.used -= size
        if self.ledger:
            self.ledger.give(self.used)


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
        shared = os.environ.get("SIMULATED_NPU_SHARED_DIR", "")
        ledgers = {number: Ledger(Path(shared) / str(number)) for number in ids} if shared else {}
        return cls(
            soc_name,
            [Device(folder / f"davinci{n}", limit, ledger=ledgers.get(n)) for n in ids],
        )


def physical_ids(text: str) -> list[int]:
    """`0,2`, `0-2`, `Ascend310P-1`, or a mixture; `void` and nothing are none. Ascending."""
    ids: set[int] = set()
    for part in filter(None, text.split(",")):
        if match := re.fullmatch(r"(\d+)-(\d+)", part):
            ids.update(range(int(match[1]), int(match[2]) + 1))
        elif match := re.fullmatch(r"(?:Ascend\w+-)?(\d+)", part):
            ids.add(int(match[1]))
    return sorted(ids)
