"""Triton's counters as a pod shows them, and as somebody else may in its place."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from resnet_operator.reading.counters import Counters, counters_of

REAL = """\
# HELP nv_inference_request_success Number of successful inference requests, all batch sizes
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="digits",version="1"} 1200
nv_inference_request_success{model="other",version="1"} 30
# HELP nv_inference_request_failure Number of failed inference requests, all batch sizes
# TYPE nv_inference_request_failure counter
nv_inference_request_failure{model="digits",reason="REJECTED",version="1"} 2
nv_inference_request_failure{model="digits",reason="CANCELED",version="1"} 70
nv_inference_request_failure{model="digits",reason="BACKEND",version="1"} 3
nv_inference_request_failure{model="digits",reason="OTHER",version="1"} 0
# HELP nv_inference_request_summary_us Summary of inference request duration in microseconds
# TYPE nv_inference_request_summary_us summary
nv_inference_request_summary_us_count{model="digits",version="1"} 1200
nv_inference_request_summary_us_sum{model="digits",version="1"} 2403310
nv_inference_request_summary_us{model="digits",version="1",quantile="0.5"} 1890
nv_inference_request_summary_us{model="digits",version="1",quantile="0.99"} 5120
"""
IDLE = """\
nv_inference_request_success{model="digits",version="1"} 0
nv_inference_request_summary_us{model="digits",version="1",quantile="0.99"} NaN
"""


def test_the_counters_of_a_model() -> None:
    assert counters_of(REAL, "digits") == Counters(answered=1200, failed=5, p99_microseconds=5120)


def test_what_a_runtime_counts_as_failed_is_no_success() -> None:
    """Triton 2.51 counts an error that a Python model answers as a success, others may not."""
    ours = 'resnet_failed_requests{instance="0",model="digits"} 6\n'
    ours += 'resnet_failed_requests{instance="1",model="digits"} 4\n'
    assert counters_of(REAL + ours, "digits") == Counters(
        answered=1193, failed=12, p99_microseconds=5120
    ), "2 refused and 10 of the runtime, 3 of which Triton has counted too"


@pytest.mark.parametrize(
    ("reason", "pictures", "p99"),
    [
        ("pictures are sent: they take longer, through all steps", 30, 9000),
        ("nobody sends any", 0, 5120),
    ],
)
def test_the_percentile_is_that_of_what_is_asked(reason: str, pictures: int, p99: int) -> None:
    of = 'model="digits-pipeline",version="1"'
    text = f"{REAL}nv_inference_request_success{{{of}}} {pictures}\n"
    text += f'nv_inference_request_summary_us{{{of},quantile="0.99"}} 9000\n'
    found = counters_of(text, "digits")
    assert found == Counters(answered=1200, failed=5, p99_microseconds=p99), reason


def test_what_is_compared_is_of_the_network() -> None:
    ours = 'resnet_agreed_answers{instance="0",model="digits"} 4\n'
    ours += 'resnet_differing_answers{instance="0",model="digits"} 2\n'
    found = counters_of(REAL + ours + ours.replace("digits", "other"), "digits")
    assert found is not None
    assert (found.compared, found.agreed) == (6, 4)


def test_a_model_that_nobody_asked_has_no_percentile() -> None:
    assert counters_of(IDLE, "digits") == Counters()


def test_triton_of_2021_has_failures_without_reasons_and_no_quantiles() -> None:
    text = 'nv_inference_request_success{model="m",version="1"} 5.000000\n'
    text += 'nv_inference_request_failure{model="m",version="1"} 1.000000\n'
    assert counters_of(text, "m") == Counters(answered=5, failed=1)


@dataclass(frozen=True)
class Strange:
    reason: str
    text: str


SUCCESS = 'nv_inference_request_success{model="digits",version="1"}'
STRANGE = (
    Strange("nothing", ""),
    Strange("a page", "<html>nv_inference_request_success</html>"),
    Strange("another model", SUCCESS.replace("digits", "other") + " 1"),
    Strange("no number", f"{SUCCESS} many"),
    Strange("no value", SUCCESS),
    Strange("not a number", f"{SUCCESS} NaN"),
    Strange("without end", f"{SUCCESS} +Inf"),
    Strange("below nothing", f"{SUCCESS} -1"),
    Strange("beyond all counting", f"{SUCCESS} 1e300"),
    Strange("a label that never ends", 'nv_inference_request_success{model="digits'),
    Strange("labels that are none", "nv_inference_request_success{{{{}}}} 1"),
    Strange("a control character", "nv_inference_request_success\x00 1"),
    Strange("only what is no counter", 'nv_inference_request_summary_us{model="digits"} 1'),
)


@pytest.mark.parametrize("case", STRANGE, ids=lambda case: case.reason)
def test_what_is_not_of_triton_is_nothing(case: Strange) -> None:
    assert counters_of(case.text, "digits") is None


def test_a_percentile_that_is_none_is_left_out() -> None:
    for value in ("-1", "+Inf", "NaN", "1e300"):
        text = f'{SUCCESS} 7\nnv_inference_request_summary_us{{model="digits",quantile="0.99"}} '
        assert counters_of(text + value, "digits") == Counters(answered=7)
