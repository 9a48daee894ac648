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
class Model:
    """What Triton and the instances of a runtime count of one model."""

    success: int = 0
    by_triton: Mapping[str, int] = field(default_factory=dict)
    by_runtime: tuple[int, ...] = ()

    def lines(self, name: str) -> dict[str, int]:
        """The counters as a pod shows them, by name and labels."""
        of = f'model="{name}",version="1"'
        found = {f"nv_inference_request_success{{{of}}}": self.success}
        for reason, number in self.by_triton.items():
            label = f',reason="{reason}"' if reason else ""
            found[f"nv_inference_request_failure{{{of}{label}}}"] = number
        for instance, number in enumerate(self.by_runtime):
            found[f'resnet_failed_requests{{model="{name}",instance="{instance}"}}'] = number
        return found


@dataclass(frozen=True)
class Case:
    """What is counted of the models of a pod, and how many requests failed by each reason."""

    reason: str
    models: Mapping[str, Model]
    failed: Mapping[str, int] = field(default_factory=dict)
    answered: int = ANSWERED
    # The model without the others of a pipeline.
    network: str = "m"

    @property
    def requests(self) -> int:
        return self.answered + sum(self.failed.values())

    @property
    def lines(self) -> dict[str, int]:
        return {key: n for name, one in self.models.items() for key, n in one.lines(name).items()}


def plain(
    reason: str,
    by_triton: Mapping[str, int],
    by_runtime: tuple[int, ...],
    failed: Mapping[str, int],
    answered: int = ANSWERED,
) -> Case:
    return Case(reason, {"m": Model(ANSWERED, by_triton, by_runtime)}, failed, answered)


PLAIN = (
    plain("nothing fails", {BACKEND: 0}, (0,), {BACKEND: 0}),
    plain("a runtime without a counter", {BACKEND: 7, OTHER: 0}, (), {BACKEND: 7}),
    plain("Triton calls them successes", {BACKEND: 0}, (7,), {BACKEND: 7}, ANSWERED - 7),
    plain("both count them", {BACKEND: 7}, (7,), {BACKEND: 7}),
    plain("Triton counts more: a process died", {BACKEND: 9}, (4,), {BACKEND: 9}),
    plain("the runtime counts more", {BACKEND: 4}, (9,), {BACKEND: 9}, ANSWERED - 5),
    plain("several instances", {BACKEND: 0}, (3, 4), {BACKEND: 7}, ANSWERED - 7),
    plain("Triton's others are of the model", {BACKEND: 2, OTHER: 3}, (4,), {BACKEND: 5}),
    plain("Triton without reasons", {NONE: 5}, (5,), {BACKEND: 5}),
    plain(
        "who is refused did not come to the model",
        {REJECTED: 6, BACKEND: 0},
        (5,),
        {REJECTED: 6, BACKEND: 5},
        ANSWERED - 5,
    ),
    plain(
        "who goes away neither",
        {CANCELED: 8, REJECTED: 1, BACKEND: 2},
        (2,),
        {CANCELED: 8, REJECTED: 1, BACKEND: 2},
    ),
)
# As Triton 2.51 counted them, with numbers that tell the models apart.
PIPELINES = (
    Case(
        "a failing chip: the ensemble counts each failure twice",
        {
            "m-preprocess": Model(1000, by_runtime=(0, 0)),
            "m": Model(1000, {BACKEND: 0}, (4,)),
            "m-softmax": Model(996, by_runtime=(0,)),
            "m-pipeline": Model(996, {OTHER: 8, BACKEND: 0}),
        },
        {BACKEND: 4},
        996,
    ),
    Case(
        "pictures that cannot be used never come to the network",
        {
            "m-preprocess": Model(1000, by_runtime=(3, 2)),
            "m": Model(995, {BACKEND: 0}, (0,)),
            "m-pipeline": Model(995, {OTHER: 10}),
        },
        {BACKEND: 5},
        995,
    ),
    Case(
        "clients that go away: the ensemble says OTHER",
        {
            "m-preprocess": Model(1000, {CANCELED: 7}, (0,)),
            "m": Model(951, {CANCELED: 49, BACKEND: 0}, (0,)),
            "m-softmax": Model(937, {CANCELED: 14}, (0,)),
            "m-pipeline": Model(937, {OTHER: 152}),
        },
        {BACKEND: 0, CANCELED: 70},
        937,
    ),
    Case(
        "a full queue before the network",
        {
            "m-preprocess": Model(1000, by_runtime=(0,)),
            "m": Model(980, {REJECTED: 20}, (0,)),
            "m-pipeline": Model(980, {OTHER: 40}),
        },
        {BACKEND: 0, REJECTED: 20},
        980,
    ),
    Case(
        "the network is asked too, without pictures",
        {
            "m-preprocess": Model(100, by_runtime=(10,)),
            "m": Model(1090, {BACKEND: 0}, (7,)),
            "m-pipeline": Model(86, {OTHER: 28}),
        },
        {BACKEND: 17},
        1083,
    ),
    Case(
        "each step fails once",
        {
            "m-preprocess": Model(1000, by_runtime=(1,)),
            "m": Model(998, {BACKEND: 1}, (1,)),
            "m-softmax": Model(999, by_runtime=(1,)),
            "m-pipeline": Model(997, {OTHER: 6}),
        },
        {BACKEND: 3},
        1000 - 3,
    ),
    *(
        Case(
            f"a model that is called {name} and is of no pipeline",
            {name: Model(1000, {BACKEND: 4}, (4,))},
            {BACKEND: 4},
            network=name,
        )
        for name in ("m-pipeline", "m-preprocess", "m-softmax")
    ),
)
CASES = (*PLAIN, *PIPELINES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_a_pods_counters(case: Case) -> None:
    text = "\n".join(f"{name} {number}" for name, number in case.lines.items())
    shown = read_counters(text, case.network)
    assert (shown.requests, shown.errors) == (case.answered, sum(case.failed.values()))
    judged = counters_of(text, case.network)
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
            for key, count in case.lines.items():
                labels = f'{{{name},pod="{pod}",'
                counted = {"series": key.replace("{", labels), "values": f"0+{count}x10"}
                series.append(counted)
        by_reason = [
            {"labels": f'{{reason="{reason}"}}', "value": 2 * 5 * count}
            for reason, count in case.failed.items()
        ]
        total = 2 * 5 * case.requests
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
