"""What becomes of the settings that were found: a patch in the status, or a revision. Pure.

Called by `make` when the gate is passed, and by `status`. The spec is never written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from resnet_contract.types import TritonSettings
from resnet_contract.words import DEFAULT_TUNED_INSTANCES, TuningApply
from resnet_operator.names import canonical_json
from resnet_operator.plan.gate.state import GatePlan
from resnet_operator.record.tuning import BETTER
from resnet_operator.resolve.order import declared_settings
from resnet_operator.resolve.resolved import Resolved


def tuned(resolved: Resolved, gate: GatePlan) -> Resolved:
    """Return what pods are given: with apply: Auto what was found, else what is declared."""
    asked, found = resolved.spec.tuning, _better(gate)
    if asked is None or asked.apply is not TuningApply.AUTO or found is None or gate.holds:
        return resolved
    if not _is_allowed(found, resolved):
        return resolved
    return replace(
        resolved,
        max_batch_size=found.max_batch,
        preferred_batch_sizes=found.preferred,
        max_queue_delay_microseconds=found.delay_microseconds,
        instances=resolved.chip_count * found.instances,
        tuned=found,
    )


def tuning_status(resolved: Resolved | None, gate: GatePlan) -> dict[str, Any]:
    """Return what was found and, where it is not applied and not declared, how to declare it."""
    measured = gate.measurement
    if resolved is None or resolved.spec.tuning is None or measured is None or not measured.tuning:
        return {}
    said = measured.tuning.shown()
    if resolved.spec.tuning.apply is TuningApply.AUTO:
        return said | {"applied": resolved.tuned is not None}
    found = _better(gate)
    if found is None or found == declared_settings(resolved) or not _is_allowed(found, resolved):
        return said
    return said | {"patch": patch(found)}


def patch(found: TritonSettings) -> str:
    """Return the merge patch that declares the settings."""
    batching = found.to_json()
    instances = batching.pop("instancesPerChip")
    # An empty list would be read as none: only the default for a largest batch of 1 is none.
    batching["preferredBatchSizes"] = batching["preferredBatchSizes"] or None
    return canonical_json(
        {"spec": {"serving": {"batching": batching, "instancesPerChip": instances}}}
    )


def _better(gate: GatePlan) -> TritonSettings | None:
    found = gate.measurement.tuning if gate.measurement else None
    return found.settings if found and found.result == BETTER else None


def _is_allowed(found: TritonSettings, resolved: Resolved) -> bool:
    """Tell whether the object's own bounds and its artifact allow what a pod has reported."""
    asked = resolved.spec.tuning
    if asked is None:
        return False
    instances = asked.instances_per_chip or DEFAULT_TUNED_INSTANCES
    largest = asked.max_batch_size or max(resolved.batch_sizes, default=0)
    return found.instances <= instances and found.max_batch <= largest
