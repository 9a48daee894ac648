"""The decided values of `spec.rollout`; a part of `resolve`. No revision depends on them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from resnet_operator.api.rollout import Analysis, AnalysisMode, OnFailure, Rollout, Strategy
from resnet_operator.api.serving.runtime import Runtime

SURGE_WAIT_SECONDS = 60
PROGRESS_DEADLINE_SECONDS = 1800
HISTORY_LIMIT = 3
ANALYSIS_MINUTES = 5
MAX_ERROR_RATIO = "0.01"
MAX_P99_INCREASE = "0.5"
STEPS = (10, 50, 100)
ALL_AT_ONCE = (100,)


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisOptions:
    """`steps` are per cent below 100, but with `mirrors`; what is None is not judged."""

    seconds: float
    max_error_ratio: Decimal
    max_p99_increase: Decimal | None
    steps: tuple[int, ...]
    min_agreement: Decimal | None = None
    # Whether an HTTPRoute leads to the service, and whether it is to send copies only.
    routed: bool = False
    mirrors: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutOptions:
    strategy: Strategy
    surge_wait_seconds: int
    progress_deadline_seconds: int
    history_limit: int
    rolls_back: bool
    pin: str | None
    analysis: AnalysisOptions | None = None


def rollout_options(
    rollout: Rollout | None, *, load_timeout_seconds: int, runtime: Runtime, routed: bool
) -> RolloutOptions:
    """Resolve the defaults; a pod that may load for long is given the time to."""
    asked = rollout or Rollout()
    patience = max(PROGRESS_DEADLINE_SECONDS, 2 * load_timeout_seconds)
    deadline = asked.progress_deadline_seconds or patience
    wait, kept = asked.surge_wait_seconds, asked.history_limit
    strategy = asked.strategy or Strategy.AUTO
    rolls_back = asked.on_failure is not OnFailure.HOLD
    return RolloutOptions(
        strategy=strategy,
        # A short deadline must leave time for the pod that starts after the wait.
        surge_wait_seconds=min(SURGE_WAIT_SECONDS, deadline // 2) if wait is None else wait,
        progress_deadline_seconds=deadline,
        history_limit=HISTORY_LIMIT if kept is None else kept,
        rolls_back=rolls_back,
        pin=asked.pin_revision,
        analysis=_analysis(asked.analysis, runtime, routed=routed) if asked.analysis else None,
    )


def _analysis(asked: Analysis, runtime: Runtime, *, routed: bool) -> AnalysisOptions:
    mirrors = asked.mode is AnalysisMode.MIRROR
    steps = sorted({step for step in asked.steps or STEPS if step < STEPS[-1]})
    # Its Triton of 2021 counts no quantiles, and its backend is not ours.
    is_ours = runtime is not Runtime.ONEFLOW
    increase = Decimal(asked.max_p99_increase or MAX_P99_INCREASE)
    return AnalysisOptions(
        seconds=60.0 * (asked.minutes or ANALYSIS_MINUTES),
        max_error_ratio=Decimal(asked.max_error_ratio or MAX_ERROR_RATIO),
        max_p99_increase=increase if is_ours else None,
        min_agreement=Decimal(asked.min_agreement) if asked.min_agreement and is_ours else None,
        steps=ALL_AT_ONCE if mirrors else tuple(steps),
        routed=routed,
        mirrors=mirrors,
    )
