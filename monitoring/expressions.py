"""What Prometheus asks, in parts that the table of alerts is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resnet_operator.names import ENSEMBLE, PREPROCESS, SOFTMAX
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


@dataclass(frozen=True)
class Counted:
    """Triton's and our runtimes' counters over a window, by model, as in `reading.failed`.

    A model may be called as one of a pipeline and be none: those of one are known by each other.
    """

    window: str
    of: str = ""
    function: str = "increase"

    def by_model(self, metric: str, *labels: str, more: str = "") -> str:
        selected = _selected(metric, self.of, *labels)
        return f"sum by ({MODEL}{more}) ({self.function}({selected}[{self.window}]))"

    def failed(self, *labels: str) -> str:
        """Return what failed of each model, by reason.

        Of what Triton and our runtime count in the model the larger number counts. Who is refused
        or goes away has not come to it.
        """
        outside = self.by_model(FAILURE, *labels, f'reason=~"{OUTSIDE}"', more=", reason")
        by_triton = self.by_model(FAILURE, *labels, f'reason!~"{OUTSIDE}"')
        either = _either(by_triton, self.by_model(FAILED, *labels))
        in_model = f'label_replace(max by ({MODEL}) ({either}), "reason", "BACKEND", "", "")'
        return f"({outside} or {in_model})"

    def of_steps(self, expr: str) -> str:
        """Leave out ensembles: what Triton counts of them it has counted in the steps too."""
        return f"({expr} unless on ({MODEL}) {self._beside(PREPROCESS, ENSEMBLE)})"

    def requests(self) -> str:
        """Return what was asked of each network, and what has failed before it came there."""
        either = _either(self.by_model(SUCCESS), self.by_model(FAILURE))
        around = ((PREPROCESS, ENSEMBLE), (PREPROCESS, SOFTMAX), (ENSEMBLE, PREPROCESS))
        beside = " or ".join(self._beside(*both) for both in around)
        networks = f"sum by ({MODEL}) ({either}) unless on ({MODEL}) ({beside})"
        before = f"sum by ({MODEL}) {self.failed(_named(PREPROCESS))}"
        return f"({networks} or {before})"

    def _beside(self, there: str, kind: str) -> str:
        """Return something of each model of a kind that has one of the other beside it."""
        found = self.by_model(SUCCESS, _named(there))
        return f'label_replace({found}, "model", "$1-{kind}", "model", "(.+)-{there}")'


def failed(by: str, window: str, *, of: str = "", function: str = "increase") -> str:
    """Return the failed requests; their reason is one of the labels."""
    counted = Counted(window, of, function)
    return f"sum by ({by}) {counted.of_steps(counted.failed())}"


def requests(by: str, window: str, *, of: str = "", function: str = "increase") -> str:
    """Return all requests: Triton counts each of them once in a model, as one or the other."""
    return f"sum by ({by}) {Counted(window, of, function).requests()}"


def _either(one: str, other: str) -> str:
    """Return both, although they have the same labels."""
    return f'label_replace({one}, "counted_by", "Triton", "", "") or {other}'


def _named(kind: str) -> str:
    return f'model=~".+-{kind}"'


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
