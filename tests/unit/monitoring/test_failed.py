"""PromQL, the analysis and `kubectl resnet top` say the same of what failed; promtool computes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import yaml
from monitoring.expressions import SERVICE, failed, requests
from tests.support.needs import need_program

from resnet_cli.asking.counters import read_counters
from resnet_operator.reading.counters import counters_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ANSWERED = 1000
BACKEND, REJECTED, CANCELED, OTHER, NONE = "BACKEND", "REJECTED", "CANCELED", "OTHER", ""


@dataclass(frozen=True)
class Case:
    """What Triton and the instances of a runtime count, and how many failed by each reason."""

    reason: str
    by_triton: Mapping[str, int] = field(default_factory=dict)
    by_runtime: tuple[int, ...] = ()
    failed: Mapping[str, int] = field(default_factory=dict)
    # Of Triton's successes.
    answered: int = ANSWERED


CASES = (
    Case("nothing fails", {BACKEND: 0}, (0,), {BACKEND: 0}),
    Case("a runtime without a counter", {BACKEND: 7, OTHER: 0}, (), {BACKEND: 7}),
    Case("Triton calls them successes", {BACKEND: 0}, (7,), {BACKEND: 7}, ANSWERED - 7),
    Case("both count them", {BACKEND: 7}, (7,), {BACKEND: 7}),
    Case("Triton counts more: a process died", {BACKEND: 9}, (4,), {BACKEND: 9}),
    Case("the runtime counts more", {BACKEND: 4}, (9,), {BACKEND: 9}, ANSWERED - 5),
    Case("several instances", {BACKEND: 0}, (3, 4), {BACKEND: 7}, ANSWERED - 7),
    Case("Triton's others are of the model", {BACKEND: 2, OTHER: 3}, (4,), {BACKEND: 5}),
    Case("Triton without reasons", {NONE: 5}, (5,), {BACKEND: 5}),
    Case(
        "who is refused did not come to the model",
        {REJECTED: 6, BACKEND: 0},
        (5,),
        {REJECTED: 6, BACKEND: 5},
        ANSWERED - 5,
    ),
    Case(
        "who goes away neither",
        {CANCELED: 8, REJECTED: 1, BACKEND: 2},
        (2,),
        {CANCELED: 8, REJECTED: 1, BACKEND: 2},
    ),
)


def lines(case: Case) -> dict[str, int]:
    """The counters as a pod shows them, by name and labels."""
    found = {'nv_inference_request_success{model="m",version="1"}': ANSWERED}
    for reason, number in case.by_triton.items():
        label = f',reason="{reason}"' if reason else ""
        found[f'nv_inference_request_failure{{model="m",version="1"{label}}}'] = number
    for instance, number in enumerate(case.by_runtime):
        found[f'resnet_failed_requests{{model="m",instance="{instance}"}}'] = number
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_a_pods_counters(case: Case) -> None:
    text = "\n".join(f"{name} {number}" for name, number in lines(case).items())
    shown = read_counters(text, ["m"])
    assert (shown.requests, shown.errors) == (case.answered, sum(case.failed.values()))
    judged = counters_of(text, ["m"])
    assert judged is not None
    failures = sum(number for reason, number in case.failed.items() if reason != CANCELED)
    assert (judged.answered, judged.failed) == (case.answered, failures)


def test_what_prometheus_is_asked(tmp_path: Path) -> None:
    """Each case twice, as two pods: what one of them counts does not hide the other's."""
    need_program("promtool", "prometheus")
    series, questions = [], []
    for number, case in enumerate(CASES):
        name = f'namespace="n",name="{number}"'
        for pod in ("a", "b"):
            for key, count in lines(case).items():
                labels = f'{{{name},pod="{pod}",'
                counted = {"series": key.replace("{", labels), "values": f"0+{count}x10"}
                series.append(counted)
        by_reason = [
            {"labels": f'{{reason="{reason}"}}', "value": 2 * 5 * count}
            for reason, count in case.failed.items()
        ]
        total = 2 * 5 * (ANSWERED + sum(case.by_triton.values()))
        whole = 2 * 5 * sum(case.failed.values())
        for expr, samples in (
            (failed("reason", "5m", of=name), by_reason),
            (failed(SERVICE, "5m", of=name), [{"labels": f"{{{name}}}", "value": whole}]),
            (requests(SERVICE, "5m", of=name), [{"labels": f"{{{name}}}", "value": total}]),
        ):
            questions.append({"expr": expr, "eval_time": "10m", "exp_samples": samples})
    content = {
        "rule_files": [],
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": questions}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
