"""The report shows what tuning tried, as the evaluator writes it into result.json."""

from __future__ import annotations

import json
import re

from resnet_cli.reporting import surface
from resnet_cli.reporting.page import Sources, page
from resnet_contract.types import TritonSettings
from resnet_jobs.evaluation.tuning.result import as_json, essentials
from resnet_jobs.evaluation.tuning.score import Run, Trial
from resnet_jobs.evaluation.tuning.tune import Found


def run(concurrency: int, rate: float, p99: float) -> Run:
    numbers = {"p50Milliseconds": p99 / 2, "p90Milliseconds": p99 * 0.8, "p99Milliseconds": p99}
    return Run(concurrency, rate, p99, numbers if p99 < float("inf") else {"failedRequests": 9})


def trial(instances: int, *runs: Run, problem: str = "") -> Trial:
    settings = TritonSettings(8, (4, 8), 250, instances)
    best = max(runs, key=lambda one: one.images_per_second, default=None)
    return Trial(settings, list(runs), best, problem=problem)


DECLARED = trial(1, run(1, 400, 5), run(4, 800, 10))
CHOSEN = trial(2, run(4, 900, 8), run(16, 1600, 20))
FAILED = trial(4, problem="the server did not load the model")
LOST = trial(3, run(64, 10, float("inf")))
FOUND = Found(
    "Better",
    "twice as many images per second",
    declared=DECLARED,
    chosen=CHOSEN,
    trials=(DECLARED, CHOSEN, FAILED, LOST),
)
WRITTEN = json.loads(json.dumps(as_json(FOUND)))


def test_a_dot_for_every_load_and_rings_around_two() -> None:
    drawn = surface.picture(WRITTEN)
    assert drawn is not None
    dots = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="4"', drawn.inside)
    rings = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="8"', drawn.inside)
    assert len(dots) == 4, "a load without a percentile has no place"
    assert rings == [dots[1], dots[3]], "the best loads of what is declared and what is chosen"
    assert ">1 instance<" in drawn.inside
    assert ">2 instances<" in drawn.inside


def test_settings_by_speed_and_the_reason_of_what_failed() -> None:
    assert surface.rows(WRITTEN) == [
        (8, "4, 8", 250, 2, 1600, 10.0, 16.0, 20, 16),
        (8, "4, 8", 250, 1, 800, 5.0, 8.0, 10, 4),
        (8, "4, 8", 250, 3, 10, None, None, None, 64),
        (8, "4, 8", 250, 4, None, None, None, None, "the server did not load the model"),
    ]


def test_all_of_it_stands_in_the_page() -> None:
    service = {
        "metadata": {"name": "digits", "namespace": "vision"},
        "status": {"validation": {"result": "Passed"}, "tuning": essentials(FOUND)},
    }
    text = page(Sources(service=service, result={"tuning": WRITTEN}))
    for part in ("twice as many images per second", "Loads that were tried", "<td>1600</td>"):
        assert part in text
    assert text.index("Tuning</h2>") < text.index("Settings that were tried</h2>")


def test_without_tuning_nothing_is_said_of_it() -> None:
    text = page(Sources(service={"metadata": {"name": "digits"}}, result={}))
    assert "were tried" not in text
    assert "Tuning" not in text
