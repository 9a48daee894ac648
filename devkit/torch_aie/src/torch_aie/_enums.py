"""The enumerations that compile() takes."""

from __future__ import annotations

from enum import Enum


class PrecisionPolicy(Enum):
    FP32 = 0
    FP16 = 1
    PREF_FP32 = 2
