"""What the steps of the gate look at, and what they come to. Called by `validation`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resnet_operator import names
from resnet_operator.api.validation import Validation
from resnet_operator.plan.actions import Action, Problem
from resnet_operator.plan.revision import Revision
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.measurement import Measurement
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.observed import GateObserved, Observed
from resnet_operator.settings.operator import Settings


@dataclass(frozen=True, kw_only=True)
class GatePlan:
    """Where the gate stands. It `holds` what is not known to be good enough.

    `borrows` is the name of the result for which one replica less is to run.
    """

    asked: bool = False
    holds: bool = False
    actions: tuple[Action, ...] = ()
    measurement: Measurement | None = None
    shortfalls: tuple[str, ...] = ()
    problem: Problem | None = None
    stalled: bool = False
    doing: str = ""
    result: str = ""
    digest: str = ""  # of the result, as far as it is believed
    borrows: str = ""
    requeue_after: float | None = None
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Gate:
    """All that the steps below look at."""

    observed: Observed
    there: GateObserved
    resolved: Resolved
    artifact: Artifact
    asked: Validation
    record: Meta
    revision: Revision
    key: str
    settings: Settings
    now: datetime

    @property
    def name(self) -> str:
        return names.validation_name(self.resolved.source_key, self.key)

    def holding(self, **facts: Any) -> GatePlan:
        return GatePlan(asked=True, holds=True, result=self.name, **facts)
