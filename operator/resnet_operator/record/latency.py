"""What clients wait at the load that a gate states: read, shown, judged. Pure.

Called by `measurement`. Milliseconds from a request's time to its answer; None where so many
requests failed that there is no such percentile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from resnet_contract.report.messages import key_of
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.api.validation import Benchmark, Load
from resnet_operator.errors import Misfit
from resnet_operator.reading.decimals import decimal_of, floor_of, in_words, whole_of

DEFAULT_BATCH_SIZE = 1
MILLISECONDS = {name: key_of(f"{name}_milliseconds") for name in ("p50", "p90", "p99")}
# A thousandth of a millisecond: no clock on the way is better.
SHOWN = Decimal("0.001")


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """`failed` of `requests` were refused or not answered in time."""

    requests: int
    failed: int
    per_second: Decimal | None = None
    p50: Decimal | None = None
    p90: Decimal | None = None
    p99: Decimal | None = None

    @classmethod
    def from_json(cls, value: Any) -> Latency | None:
        """Read the evaluator's block; None when nothing was measured. Raises Misfit."""
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise Misfit("latency: it is not an object")
        return cls(
            requests=whole_of(value, "requests"),
            failed=whole_of(value, "failedRequests"),
            per_second=decimal_of(value, "requestsPerSecond"),
            **{name: decimal_of(value, key) for name, key in MILLISECONDS.items()},
        )

    def to_json(self) -> dict[str, Any]:
        numbers = {"requestsPerSecond": self.per_second} | self._percentiles()
        found = {key: float(number) for key, number in numbers.items() if number is not None}
        return {"requests": self.requests, "failedRequests": self.failed, **found}

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = {"requests": self.requests, "failedRequests": self.failed}
        if self.per_second is not None:
            found["requestsPerSecond"] = floor_of(self.per_second)
        known = {key: value for key, value in self._percentiles().items() if value is not None}
        return found | {key: in_words(value, step=SHOWN) for key, value in known.items()}

    def _percentiles(self) -> dict[str, Decimal | None]:
        return {key: getattr(self, name) for name, key in MILLISECONDS.items()}


def measured_load(load: Load | None) -> dict[str, int] | None:
    """Return the load as the evaluator is told it, with its default written out."""
    if load is None:
        return None
    stated = {"batchSize": DEFAULT_BATCH_SIZE}
    return stated | load.model_dump(mode="json", by_alias=True, exclude_none=True)


def serving_at_load(spec: ResNetServiceSpec) -> dict[str, Any]:
    """Return what is declared of serving that a latency depends on, and nothing without a load."""
    benchmark = spec.validation.benchmark if spec.validation else None
    if benchmark is None or benchmark.load is None:
        return {}
    serving = spec.serving.model_dump(
        mode="json",
        exclude_none=True,
        include={"batching", "instances_per_chip", "config_overrides", "warmup"},
    )
    return {
        "load": measured_load(benchmark.load),
        "serving": serving,
        "chips": spec.accelerator.count or 1,
    }


def latency_shortfall(found: Latency | None, benchmark: Benchmark | None) -> str:
    """Return a phrase when the 99th percentile does not meet its threshold."""
    most = benchmark.max_p99_milliseconds if benchmark else None
    if most is None:
        return ""
    if found is None:
        return "p99Milliseconds was not measured"
    if found.p99 is None:
        return (
            f"{found.failed} of {found.requests} requests failed at the stated load, so that "
            f"maxP99Milliseconds {most} is not met"
        )
    if found.p99 <= most:
        return ""
    shown = in_words(found.p99, ROUND_CEILING, SHOWN)
    return f"p99Milliseconds {shown} is above maxP99Milliseconds {most}"
