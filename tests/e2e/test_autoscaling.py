"""`serving.autoscaling` follows what is measured: CPU, and how long requests wait.

A real metrics-server measures the one, a real Prometheus the other by the rules of docs/scaling.md.

The load is bounded: a few clients, and pods with a limit of a fifth of a processor.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import tritonclient.http as triton
from tests.e2e.aggregation import Registered, registered
from tests.e2e.story import PICTURES, Story, digits_batch
from tests.support.needs import need_program
from tests.support.prometheus import prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.alone

SERVING = {
    "resources": {
        "requests": {"cpu": "200m", "memory": "256Mi"},
        "limits": {"cpu": "200m", "memory": "1Gi"},
    }
}
CLIENTS = 6
REQUEST_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    options: dict[str, Any]
    kind: str  # of the autoscaler's metric
    number: str  # the one of the metric's current numbers that the target is about
    target: int
    reason: str


CASES = (
    Case(
        name="cpu",
        # Low, because on a busy machine pods get less than their share however much is asked.
        options={"target": "CPU", "value": 25},
        kind="resource",
        number="averageUtilization",
        target=25,
        reason="on a CPU the processor is what there is too little of",
    ),
    Case(
        name="queue",
        options={"target": "QueueTime"},
        kind="pods",
        number="averageValue",
        target=5000,
        reason="a chip is busy without a processor, so the wait of requests tells",
    ),
)


@pytest.fixture
def metrics(story: Story, tmp_path: Path) -> Iterator[Registered]:
    if story.cluster is None:
        pytest.skip("a foreign cluster cannot reach this host, and may have metrics of its own")
    need_program("prometheus", "prometheus")

    def pods() -> list[dict[str, Any]]:
        return story.items("pods")

    with (
        prometheus(tmp_path / "prometheus", pods=pods) as watching,
        registered(story, tmp_path, watching) as both,
    ):
        yield both


@contextmanager
def load(story: Story) -> Iterator[None]:
    """Have each of the clients ask for a whole batch, again as soon as it has its answer."""
    address = story.address()
    batch = digits_batch((PICTURES * 8)[:8])
    asked = triton.InferInput("input", list(batch.shape), "FP32")
    asked.set_data_from_numpy(batch)
    over, failures = threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            # A new connection each time: kept ones would all stay with the first pod.
            client = triton.InferenceServerClient(
                f"{address}:8000",
                connection_timeout=REQUEST_SECONDS,
                network_timeout=REQUEST_SECONDS,
            )
            try:
                client.infer("digits", [asked])
            except Exception as error:
                failures.append(repr(error))
                return
            finally:
                client.close()

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failures == []


def measured(story: Story, case: Case) -> float | None:
    """Return the number that the autoscaler saw last."""
    for metric in story.get("hpa", "digits").get("status", {}).get("currentMetrics") or ():
        current = metric.get(case.kind, {}).get("current", {})
        if case.number in current:
            return quantity(str(current[case.number]))
    return None


def at_rest(story: Story, case: Case) -> float:
    """Wait until the autoscaler sees that nobody asks: a pod that starts is busy for a moment."""
    seen: list[float | None] = []

    def is_idle() -> bool:
        seen.append(measured(story, case))
        return seen[-1] is not None and seen[-1] < case.target and replicas(story) == 1

    story.eventually(
        is_idle,
        lambda: f"{case.reason}, but of idle pods it saw {seen}: {story.get('hpa', 'digits')}",
        seconds=90,
    )
    assert seen[-1] is not None
    return seen[-1]


def settled(story: Story, metrics: Registered) -> None:
    """Wait until the autoscaler has asked twice more and nobody has written meanwhile."""
    seen, asked = generations(story), metrics.asked

    def nobody_writes() -> bool:
        nonlocal seen, asked
        now = generations(story)
        if now != seen:
            seen, asked = now, metrics.asked
        return metrics.asked >= asked + 2

    story.eventually(
        nobody_writes,
        lambda: f"asked {metrics.asked - asked} times since {seen} was written",
        seconds=120,
    )


def measured_over_target(story: Story, case: Case) -> float:
    """Wait for what the autoscaler wrote down: it does so after it has scaled."""
    seen: list[float] = []

    def over() -> bool:
        seen.append(measured(story, case) or 0.0)
        return seen[-1] > case.target

    story.eventually(over, lambda: f"{case.reason}, but the autoscaler saw {seen}")
    return seen[-1]


def quantity(text: str) -> float:
    scales = {"m": 1e-3, "k": 1e3, "M": 1e6}
    return float(text[:-1]) * scales[text[-1]] if text[-1] in scales else float(text)


def replicas(story: Story) -> int:
    return int(story.get("resnetservice", "digits")["spec"]["serving"]["replicas"])


def scaled_to(story: Story, number: int) -> None:
    story.eventually(
        lambda: replicas(story) == number,
        lambda: f"not {number} replicas: {story.get('hpa', 'digits')}",
        seconds=120,
    )


def generations(story: Story) -> dict[str, int]:
    return {
        kind: int(story.get(kind, "digits")["metadata"]["generation"])
        for kind in ("resnetservice", "deployment")
    }


def writers_of_spec(story: Story) -> set[str]:
    """Return who owns a field of the spec. Kubernetes 1.36 names nobody for a scaled number."""
    found = story.kubectl("get", "resnetservice", "digits", "--show-managed-fields", "-o", "json")
    entries = json.loads(found)["metadata"]["managedFields"]
    return {entry["manager"] for entry in entries if "f:spec" in entry["fieldsV1"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_autoscaler_follows_the_load(story: Story, metrics: Registered, case: Case) -> None:
    story.put_sample()
    scaling = {"maxReplicas": 2, "scaleDownSeconds": 0, **case.options}
    serving = SERVING | {"autoscaling": scaling}
    story.apply(story.service(accelerator={"chip": "CPU"}, serving=serving))
    story.wait_ready()
    idle = at_rest(story, case)

    with load(story):
        scaled_to(story, 2)
        busy = measured_over_target(story, case)
        assert story.wait_ready()["ready"] == "2/2"
        assert story.get("deployment", "digits")["spec"]["replicas"] == 2

        settled(story, metrics)
        assert replicas(story) == 2
        assert writers_of_spec(story) <= {"kubectl", "kube-controller-manager"}
    print(f"{case.name}: {idle:g} without load, {busy:g} with it, target {case.target}")

    scaled_to(story, 1)
    assert story.wait_ready()["ready"] == "1/1"
