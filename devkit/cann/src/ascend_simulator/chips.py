"""The chips that exist, by --soc_version, and what tells them apart for the simulator.

Source: facts on the runtime's platform_config files (short name, AI cores). Used by the checks of
atc and by acl.
"""

from __future__ import annotations

import re

_NAMES = re.compile(
    r"Ascend(310|310B[1-4]|310P[1357]|910(A|B|ProA|ProB|PremiumA)|910B([123]|2C|4|4-1)"
    r"|910_93(62|63|72|81|82|91|92)|(950PR|950DT)_[0-9a-z]+|350_35(4f|5e)|031|035[AB]?)"
)
_BFLOAT16 = ("Ascend310B", "Ascend910B1", "Ascend910B2", "Ascend910B3", "Ascend910B4",
             "Ascend910_93", "Ascend950")  # fmt: skip


def exists(soc_version: str) -> bool:
    """Upper and lower case matter, as for ATC."""
    return _NAMES.fullmatch(soc_version) is not None


def has_bfloat16(soc_version: str) -> bool:
    return soc_version.startswith(_BFLOAT16)


def saturates(soc_version: str) -> bool:
    """Does half precision stop at its largest number instead of going on to infinity?"""
    return not soc_version.startswith(("Ascend910B1", "Ascend910B2", "Ascend910B3", "Ascend910B4",
                                       "Ascend910_93", "Ascend950"))  # fmt: skip


def most_profiles(soc_version: str) -> int:
    return 256 if soc_version.startswith("Ascend950") else 100
