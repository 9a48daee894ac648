"""What Prometheus asks, in parts that the table of alerts is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resnet_operator.reading.failed import CANCELED, FAILED, FAILURE, REFUSED, SUCCESS

OBJECT = "on (namespace, name)"
SERVICE, MODEL = "namespace, name", "namespace, name, pod, model"
OUTSIDE = f"{REFUSED}|{CANCELED}"
READY_REASON = "resnet_service_reason_info"
# Why an artifact does not come: ResNetConversionFailing.
OF_CONVERSIONS = (
    "AccessDenied|ArtifactMissing|ChecksumMismatch|ConversionFailed|ConversionTimeout|"
    "DownloadFailed|EphemeralStorageExceeded|MessageInvalid|ModelNotFound|QuantizationFailed|"
    "ResultLost|StoreUnavailable|UnsupportedModel"
)
NO_CHIP = "Unschedulable|WaitingForChip"
GATE = "EvaluationFailed|ValidationFailed"
ROLLED_BACK, STORE_FULL = "RolledBack", "StoreFull"
TOLD_ELSEWHERE = "|".join((OF_CONVERSIONS, NO_CHIP, GATE, ROLLED_BACK, STORE_FULL))
# What installations choose, as the chart's template finds it in the text; with the defaults.
ERROR_BUDGET, LATENCY_SECONDS, NO_CHIP_FOR = "@errorBudget@", "@latencySeconds@", "@noChipFor@"
RUNBOOKS, EXTENSION = "@runbooks@", "@extension@"
DEFAULTS = {
    ERROR_BUDGET: "0.001",
    LATENCY_SECONDS: "0.25",
    NO_CHIP_FOR: "15m",
    RUNBOOKS: "docs/runbooks",
    EXTENSION: "md",
}
# So much of the time p99 may be above its limit.
SLOW_SHARE = 0.05
# How long nobody may speak of an object while one operator takes over from another.
GAP = "3m"
FEW = 4


def held(series: str) -> str:
    """Return the objects of which the operator says so, or said so last before it fell silent.

    An alert that fires outlives the replacement of an operator, and does not begin again.
    """
    last = f"max by (namespace, name) (last_over_time({series}[{GAP}]))"
    return f"(max by (namespace, name) ({series}) or ({last} unless {OBJECT} {READY_REASON}))"


def because(pattern: str) -> str:
    """Return the objects that are not Ready for such a reason."""
    return held(f'{READY_REASON}{{reason=~"{pattern}"}}')


def condition(kind: str, status: str) -> str:
    """Return the objects with a condition."""
    return held(f'resnet_service_condition{{type="{kind}",status="{status}"}}')


def failed(by: str, window: str, *, of: str = "", function: str = "increase") -> str:
    """Return the failed requests; their reason is one of the labels.

    Of a model's requests that Triton and our runtime count as failed the larger number counts, as
    in `reading.failed`. Who is refused or goes away has not come to the model.
    """

    def counted(metric: str, labels: str = "", *more: str) -> str:
        selected = _selected(metric, of, labels)
        return f"sum by ({', '.join((MODEL, *more))}) ({function}({selected}[{window}]))"

    outside = counted(FAILURE, f'reason=~"{OUTSIDE}"', "reason")
    by_triton = counted(FAILURE, f'reason!~"{OUTSIDE}"')
    both = f'label_replace({by_triton}, "counted_by", "Triton", "", "") or {counted(FAILED)}'
    in_model = f'label_replace(max by ({MODEL}) ({both}), "reason", "BACKEND", "", "")'
    return f"sum by ({by}) ({outside} or {in_model})"


def requests(by: str, window: str, *, of: str = "", function: str = "increase") -> str:
    """Return all requests: Triton counts each of them once, as one or the other."""
    selected = (_selected(metric, of) for metric in (SUCCESS, FAILURE))
    return f"({' + '.join(f'sum by ({by}) ({function}({one}[{window}]))' for one in selected)})"


def _selected(metric: str, *labels: str) -> str:
    inside = ",".join(filter(None, labels))
    return f"{metric}{{{inside}}}" if inside else metric


def slow(window: str) -> str:
    """Return the share of time in which p99 of a service was above its limit."""
    p99 = 'max by (namespace, name) (nv_inference_request_summary_us{quantile="0.99"})'
    return f"avg_over_time(({p99} > bool {LATENCY_SECONDS} * 1e6)[{window}:1m])"


@dataclass(frozen=True)
class Speed:
    """How fast a budget is burnt, over a long and a short window."""

    name: str
    severity: str
    long: str
    short: str
    rate: float


FAST = Speed("Fast", "critical", "1h", "5m", 14.4)
SLOW = Speed("Slow", "warning", "6h", "30m", 6)


def burns(speed: Speed) -> str:
    long, short = (_too_many(window, speed.rate) for window in (speed.long, speed.short))
    # A failure or two of few requests are a large share, and nothing to get up for.
    return f"{long} > {FEW} and {short}"


def _too_many(window: str, rate: float) -> str:
    """Return how many failed, where it is too large a share."""
    limit = f"{rate:g} * {ERROR_BUDGET}"
    return f"{failed(SERVICE, window)} > {limit} * {requests(SERVICE, window)}"


def is_slow(speed: Speed) -> str:
    limit = f"{speed.rate * SLOW_SHARE:g}"
    return f"{slow(speed.long)} > {limit} and {slow(speed.short)} > {limit}"


def told_once(rule: Callable[[Speed], str], speed: Speed) -> str:
    """Return the rule; what burns fast is not told as burning slowly too."""
    return rule(FAST) if speed is FAST else f"({rule(speed)}) unless {OBJECT} ({rule(FAST)})"
