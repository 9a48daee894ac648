"""What a runtime counts, and by which names the operator, Prometheus and the CLI look for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.unit.resnet_runtime import stub
from tests.unit.resnet_runtime.stub import Config, request

from resnet_operator.reading import counters, failed
from resnet_runtime import counting
from resnet_runtime.model_common import BatchModel, RunError

if TYPE_CHECKING:
    from collections.abc import Sequence


class MetricFamily:
    """Triton's, kept in this process: the sums by name and labels."""

    COUNTER = "counter"
    sums: dict[str, int]

    def __init__(self, *, name: str, description: str, kind: str) -> None:
        assert kind == self.COUNTER
        assert description
        self._name = name

    def Metric(self, *, labels: dict[str, str]) -> MetricFamily:  # noqa: N802  Triton's name
        shown = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        self._key = f"{self._name}{{{shown}}}"
        self.sums[self._key] = 0
        return self

    def increment(self, number: int) -> None:
        self.sums[self._key] += number


class Model(BatchModel):
    """Runs what it is told to."""

    failures: list[RunError | None]

    def load(self) -> None:
        pass

    def run(self, admitted: Sequence[Any]) -> list[Any]:
        if failure := self.failures.pop(0):
            raise failure
        rows = sum(one.rows for one in admitted)
        return [np.zeros((rows, 2), np.float32)]


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    found: dict[str, int] = {}
    monkeypatch.setattr(MetricFamily, "sums", found, raising=False)
    monkeypatch.setattr(stub, "MetricFamily", MetricFamily, raising=False)
    return found


def test_names() -> None:
    assert counting.FAILED[0] == failed.FAILED
    assert (counting.AGREED[0], counting.DIFFERED[0]) == (counters.AGREED, counters.DIFFERED)


def test_what_fails_in_the_model_is_counted_by_request(
    sums: dict[str, int], termination_log: Any
) -> None:
    """And what does not fit the model is not: it never ran, and is the client's."""
    model = Model()
    model.initialize(Config().args() | {"model_name": "digits"})
    (key,) = sums
    assert (key, sums[key]) == ('resnet_failed_requests{instance="0",model="digits"}', 0)
    fits, misfit = (request(input=np.zeros((1, size), np.float32)) for size in (3, 4))
    for failure, asked, counted in (
        (None, [fits], 0),
        (RunError("no"), [fits, misfit, fits], 2),
        (None, [misfit], 2),
        (RunError("no"), [fits], 3),
    ):
        model.failures = [failure]
        answers = model.execute(asked)
        assert sums[key] == counted
        assert sum(answer.error is not None for answer in answers) >= bool(failure)
    text = "\n".join(f"{name} {number}" for name, number in sums.items())
    text += '\nnv_inference_request_success{model="digits",version="1"} 6'
    assert counters.counters_of(text, "digits") == counters.Counters(answered=3, failed=3)
