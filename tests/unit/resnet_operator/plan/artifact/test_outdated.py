"""A Job that only waits, and for what nobody asks any more, is made again; one at work is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import Body, a_settings, running, waiting
from tests.unit.resnet_operator.world import World, described

from resnet_operator import names

GATE: Body = {
    "validation": {
        "dataset": {"uri": "pvc://data/cifar100.tar", "sha256": "12" * 32, "format": "CifarPython"},
        "thresholds": {"minTop1": "0.7855"},
    }
}
NO_CPU = "0/1 nodes are available: 1 Insufficient cpu."


def resources(cpu: str) -> Body:
    return {"requests": {"cpu": cpu}}


def evaluate(cpu: str) -> Body:
    return {"containerResources": {"evaluate": resources(cpu)}}


@dataclass(frozen=True)
class Case:
    reason: str
    again: bool
    change: Body | None = None
    settings: Body = field(default_factory=dict)
    pod: Body | None = field(default_factory=lambda: {"unschedulable": NO_CPU})


BEGUN: Body = {"phase": "Running", "containers": [running("evaluate"), running("triton")]}
PULLS: Body = {"containers": [waiting("evaluate", "ImagePullBackOff")]}
CANDIDATES = (
    Case("nothing was changed", False),
    Case("less for Triton", True, {"serving": {"resources": resources("100m")}}),
    Case("less for the evaluator", True, evaluate("100m")),
    Case("a node selector", True, {"serving": {"nodeSelector": {"disk": "fast"}}}),
    Case("another image of the operator's", True, settings={"jobs_image": "jobs:2"}, pod=PULLS),
    Case("a quota refuses the pod", True, evaluate("100m"), pod=None),
    Case("it is being measured", False, evaluate("100m"), pod=BEGUN),
    Case("what does not concern the pod", False, {"serving": {"replicas": 3}}),
)


@pytest.mark.parametrize("case", CANDIDATES, ids=lambda case: case.reason)
def test_a_candidate_that_waits_is_what_the_spec_says(case: Case) -> None:
    world = World(GATE).deploy()
    before = world.newest_job(names.VALIDATION)
    if case.pod is not None:
        world.candidate(**case.pod)
    apply(world, case)
    after = world.newest_job(names.VALIDATION)
    assert (after != before) is case.again, described(world.plan().actions)
    assert world.has("Job", before) is not case.again
    assert world.reconcile() == [], "once, and not in a circle"


def test_the_candidate_of_another_object_is_left_to_that_one() -> None:
    """Two objects of one artifact and one validation share the candidate."""
    world = World(GATE).deploy()
    job = world.newest_job(names.VALIDATION)
    world.candidate(unschedulable=NO_CPU)
    other = {"metadata": {"labels": {names.REVISION: "other-0123456789"}}}
    world.edit("Job", job, other)
    world.change(evaluate("100m"))
    assert world.reconcile() == []
    assert world.newest_job(names.VALIDATION) == job


def conversion(cpu: str) -> Body:
    return {"conversion": {"resources": resources(cpu)}}


AT_WORK: Body = {"phase": "Running", "init": [running("fetch")]}
CONVERSIONS = (
    Case("nothing was changed", False),
    Case("less for the compiler", True, conversion("100m")),
    Case("less for the fetch", True, {"containerResources": {"fetch": resources("10m")}}),
    Case("another image", True, settings={"jobs_image": "jobs:2"}, pod=PULLS),
    Case("a quota refuses the pod", True, conversion("100m"), pod=None),
    Case("it is at work", False, conversion("100m"), pod=AT_WORK),
    Case("what does not concern it", False, {"serving": {"replicas": 3}}),
)


@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case.reason)
def test_a_conversion_that_waits_is_what_the_spec_says(case: Case) -> None:
    world = World()
    world.reconcile()
    before = world.newest_job()
    if case.pod is not None:
        world.job_pod(**case.pod)
    apply(world, case)
    after = world.newest_job()
    assert (after != before) is case.again, described(world.plan().actions)
    assert world.has("Job", before) is not case.again
    assert world.reconcile() == []


def test_a_conversion_by_the_means_of_another_object_is_left_alone() -> None:
    """Or two objects would end each other's Job for ever."""
    world = World(conversion("2"))
    world.reconcile()
    before = world.newest_job()
    theirs = world.observe().wanted_means or frozenset()
    world.job_pod(unschedulable=NO_CPU)
    world.change(conversion("100m"))
    mine = world.observe().wanted_means or frozenset()
    assert world.reconcile(wanted_means=mine | theirs) == []
    assert world.newest_job() == before


def test_a_job_of_an_older_operator_is_left_at_its_work() -> None:
    world = World(GATE).deploy()
    before = world.newest_job(names.VALIDATION)
    world.candidate(unschedulable=NO_CPU)
    labels = {"metadata": {"labels": {names.TEMPLATE_DIGEST: None}}}
    world.edit("Job", before, labels)
    world.settings = a_settings(jobs_image="jobs:2")
    world.reconcile()
    assert world.newest_job(names.VALIDATION) == before


def apply(world: World, case: Case) -> None:
    if case.change is not None:
        world.change(case.change)
    if case.settings:
        world.settings = a_settings(**case.settings)
    step: Callable[[], Any] = world.reconcile
    step()
