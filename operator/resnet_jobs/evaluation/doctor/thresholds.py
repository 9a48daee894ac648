"""Which thresholds on accuracy are not met, as far as that decides about looking for causes. Pure.

The operator judges; here nothing is accepted or refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resnet_contract.types import Diagnose


def is_wanted(asked: Diagnose | None, numbers: Mapping[str, Any]) -> bool:
    """Whether to look: always, or when a threshold on accuracy is not met."""
    if asked is None or asked.when == "Never":
        return False
    return asked.when == "Always" or bool(unmet(asked.thresholds, numbers))


def unmet(thresholds: Mapping[str, float], numbers: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of thresholds that the numbers do not meet; those without a number are left out."""
    values = {
        "minTop1": numbers["top1"],
        "minCosineSimilarity": numbers["cosineSimilarity"],
        "minTop1Agreement": numbers["top1Agreement"],
        # Turned round, so that all are met from below.
        "maxTop1Drop": None if numbers["drop"] is None else -numbers["drop"],
    }
    limits = {
        name: -limit if name == "maxTop1Drop" else limit for name, limit in thresholds.items()
    }
    return tuple(
        name
        for name, limit in limits.items()
        if (value := values.get(name)) is not None and value < limit
    )
