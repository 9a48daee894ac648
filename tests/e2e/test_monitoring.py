"""A real Prometheus sees the cluster: alerts fire, and each question of a dashboard is answered.

RESNET_PICTURES=docs/dashboards has the panels drawn there, from this run's numbers.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from monitoring.panels import DASHBOARDS, OF_SCRAPES, Panel, Query
from monitoring.pictures import Line, Picture, Span, drawn
from tests.e2e.story import Story
from tests.e2e.test_gate import answer, gate, pinned_model, put_held_out
from tests.e2e.test_quantized import PREPROCESSING
from tests.support.apiserver import ROOT
from tests.support.prometheus import Prometheus, prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the pictures show.
SECONDS, STEP = 150, 2
# By how much the operator's answer lags behind: a scrape, an evaluation, and what the alert holds.
PATIENCE = 90
FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"serving": {"configOverrides": 'backend: "other"'}},
    "no-model": {"model": {"uri": "configmap://digits-labels/labels.txt", "format": "ONNX"}},
    "no-node": {"serving": {"nodeSelector": {"example.com/rack": "none"}}},
}
FIRED = {
    ("ResNetServiceStalled", "refused"),
    ("ResNetConversionFailing", "no-model"),
    ("ResNetServiceNoFreeChip", "no-node"),
}
ACCURATE = {"minTop1": "0.97"}
NOT_AVAILABLE = ("ResNetServiceNotAvailable", "digits")
DOWN = "ResNetOperatorDown"
NO_PODS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "no-pods"},
    "spec": {"hard": {"pods": "0"}},
}


@pytest.fixture
def watched(story: Story, tmp_path: Path) -> Iterator[Prometheus]:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is missing: run devkit/servers/install.sh, or `make test`")
    if story.cluster is None:
        pytest.skip("this host does not reach the pods of a foreign cluster")

    def pods() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = story.server.request("GET", "/api/v1/pods").body["items"]
        return items

    with prometheus(tmp_path / "prometheus", pods=pods) as served:
        yield served


@contextmanager
def asked(story: Story) -> Iterator[None]:
    """Have a client ask again and again."""
    answer(story)
    over, failures = threading.Event(), []

    def ask() -> None:
        while not over.wait(0.1):
            try:
                answer(story)
            except Exception as error:
                failures.append(repr(error))
                return

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert failures == []


def in_grafana(query: Query, story: Story) -> str:
    """Return the question with what a reader has chosen."""
    chosen = query.expr.replace("$namespace", story.namespace).replace("$name", "digits")
    return re.sub(r"\$__\w+", "30s", chosen)


def a_service(story: Story, name: str = "digits", **parts: Any) -> dict[str, Any]:
    """Return an object with a gate; all of them share one artifact, unless `parts` forbid it."""
    conversion = {"batchSizes": [8], "preprocessing": PREPROCESSING}
    common = {"model": pinned_model(), "conversion": conversion, "validation": gate(ACCURATE)}
    return story.service(name, **(common | parts))


@pytest.mark.xdist_group("operator")
def test_alerts_and_dashboards_in_a_real_prometheus(story: Story, watched: Prometheus) -> None:
    story.put_sample()
    put_held_out(story)
    story.apply(a_service(story))
    story.wait_ready(seconds=240)
    with asked(story):
        at_rest(story, watched)
        for name, parts in FAULTS.items():
            story.apply(a_service(story, name, **parts))
        fires(story, watched, FIRED)
        answered(story, watched)
    story.apply(NO_PODS)
    story.kubectl("delete", "pods", "-l", "app.kubernetes.io/instance=digits", "--wait=false")
    fires(story, watched, {*FIRED, NOT_AVAILABLE})
    nobody_acts(story, watched)
    story.kubectl("delete", "resourcequota", NO_PODS["metadata"]["name"])
    # Its controller tries again after minutes, or when something about it changes.
    story.kubectl("annotate", "replicasets", "-l", "app.kubernetes.io/instance=digits", "seen=1")
    for name in FAULTS:
        story.kubectl("delete", "resnetservice", name)
    fires(story, watched, set())
    assert story.wait_ready()["readyReplicas"] == 1


def fires(story: Story, watched: Prometheus, wanted: set[tuple[str, str]]) -> None:
    """Wait until each fault has fired its alert, and nothing else fires."""
    story.eventually(
        lambda: set(watched.firing(story.namespace)) == wanted,
        lambda: f"fires: {set(watched.firing(story.namespace))}, not {wanted}",
        seconds=PATIENCE,
    )
    for (alert, name), said in sorted(watched.firing(story.namespace).items()):
        assert f"{story.namespace}/{name}" in said["summary"]
        told(alert, said)


def told(alert: str, said: dict[str, str]) -> None:
    """Print what a person is told, and the command that the runbook begins with."""
    page = (ROOT / said["runbook_url"]).read_text(encoding="utf-8")
    begin, _, rest = page.partition("\n\n```\n")
    assert begin == f"# {alert}"
    assert rest.startswith("kubectl ")
    print(f"{alert} fired: {said['summary']} {said['runbook_url']}: {rest.splitlines()[0]}")


def nobody_acts(story: Story, watched: Prometheus) -> None:
    """Without an operator its own alert fires, and what fired before does not end meanwhile."""
    before = set(watched.firing(story.namespace))

    def down() -> list[dict[str, str]]:
        found = [one for one in watched.alerts() if one["labels"]["alertname"] == DOWN]
        return [one["annotations"] for one in found]

    story.operator.scale(0)
    try:
        story.eventually(lambda: bool(down()), lambda: "no operator, no alert", seconds=PATIENCE)
        assert set(watched.firing(story.namespace)) == before
        (said,) = down()
        told(DOWN, said)
    finally:
        story.operator.restart()
    story.eventually(lambda: not down(), lambda: "an operator is back", seconds=PATIENCE)


def is_scraped(watched: Prometheus, query: str) -> bool:
    return bool(watched.query(query))


def at_rest(story: Story, watched: Prometheus) -> None:
    """Wait until both jobs are scraped; nothing fires then."""
    of_object = f'{{namespace="{story.namespace}",name="digits"}}'
    for metric in ("resnet_service_replicas_ready", "nv_inference_request_success"):
        story.eventually(
            partial(is_scraped, watched, metric + of_object),
            partial("{} is not scraped".format, metric),
            seconds=PATIENCE,
        )
    assert watched.firing(story.namespace) == {}


def answered(story: Story, watched: Prometheus) -> None:
    """Every question of every panel has an answer."""
    questions = [
        (f"{board.name}: {panel.title}", in_grafana(query, story))
        for board in DASHBOARDS
        for panel in board.panels
        for query in panel.queries
    ]
    missing: list[str] = []

    def all_answered() -> bool:
        missing[:] = [f"{what}: {asked}" for what, asked in questions if not watched.query(asked)]
        return not missing

    story.eventually(all_answered, lambda: "no data: " + "; ".join(missing), seconds=PATIENCE)
    print(f"{len(questions)} questions of {len(DASHBOARDS)} dashboards are answered")
    if folder := os.environ.get("RESNET_PICTURES"):
        until = time.time() + SECONDS / 2  # a whole picture of a service under load
        story.eventually(lambda: time.time() > until, lambda: "time does not pass", seconds=SECONDS)
        draw(Path(folder), story, watched)


def draw(folder: Path, story: Story, watched: Prometheus) -> None:
    now = time.time()
    span = Span(now - SECONDS, now, STEP)
    for board in DASHBOARDS:
        pictures = [picture_of(panel, story, watched, now) for panel in board.panels]
        text = drawn(board.title, pictures, span).replace(story.namespace, "models")
        (folder / f"{board.name}.svg").write_text(text, encoding="utf-8")


def picture_of(panel: Panel, story: Story, watched: Prometheus, now: float) -> Picture:
    lines: list[Line] = []
    for query in panel.queries:
        found = watched.history(in_grafana(query, story), seconds=SECONDS, step=STEP, now=now)
        for series in found:
            points = tuple((float(at), float(value)) for at, value in series["values"])
            labels = {
                key: value
                for key, value in series["metric"].items()
                if key not in OF_SCRAPES and key != "__name__"
            }
            lines.append(Line(legend(query, series["metric"]), points, labels))
    return Picture(panel.title, panel.unit, tuple(lines), panel.kind)


def legend(query: Query, labels: dict[str, str]) -> str:
    """Return what Grafana would write."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), query.legend).strip()
