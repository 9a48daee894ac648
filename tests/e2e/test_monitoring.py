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
from monitoring.panels import DASHBOARDS, Dashboard, Query
from monitoring.pictures import Line, Picture, drawn
from tests.e2e.story import PICTURES, Story, digits_batch
from tests.support.apiserver import ROOT
from tests.support.prometheus import Prometheus, prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60
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
    story.logits(digits_batch(PICTURES[:4]))
    over, failures = threading.Event(), []

    def ask() -> None:
        while not over.wait(0.1):
            try:
                story.logits(digits_batch(PICTURES[:4]))
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


def test_alerts_and_dashboards_in_a_real_prometheus(story: Story, watched: Prometheus) -> None:
    story.put_sample()
    story.apply(story.service())
    story.wait_ready()
    with asked(story):
        at_rest(story, watched)
        answered(story, watched)
    for name, parts in FAULTS.items():
        story.apply(story.service(name, **parts))
    story.eventually(
        lambda: set(watched.firing(story.namespace)) >= FIRED,
        lambda: f"fires: {set(watched.firing(story.namespace))}",
        seconds=PATIENCE,
    )
    firing = watched.firing(story.namespace)
    assert set(firing) == FIRED, "each fault fires its alert, and what serves fires none"
    for (alert, name), said in sorted(firing.items()):
        assert f"{story.namespace}/{name}" in said["summary"]
        page = ROOT / said["runbook_url"]
        assert page.read_text(encoding="utf-8").partition("\n\n")[2].startswith("```\nkubectl ")
        print(f"{alert} fired: {said['summary']} {said['runbook_url']}")
    for name in FAULTS:
        story.kubectl("delete", "resnetservice", name)
    story.eventually(
        lambda: not watched.firing(story.namespace),
        lambda: f"still fires: {watched.firing(story.namespace)}",
        seconds=PATIENCE,
    )


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
    """Every question of every panel has an answer, or may be empty while all is well."""
    questions = [
        (f"{board.name}: {panel.title}", in_grafana(query, story))
        for board in DASHBOARDS
        for panel in board.panels
        if not panel.may_be_empty
        for query in panel.queries
    ]
    missing: list[str] = []

    def all_answered() -> bool:
        missing[:] = [f"{what}: {asked}" for what, asked in questions if not watched.query(asked)]
        return not missing

    story.eventually(all_answered, lambda: "no data: " + "; ".join(missing), seconds=PATIENCE)
    print(f"{len(questions)} questions of {len(DASHBOARDS)} dashboards are answered")
    if folder := os.environ.get("RESNET_PICTURES"):
        for board in DASHBOARDS:
            path = Path(folder) / f"{board.name}.svg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(picture_of(board, story, watched), encoding="utf-8")


def picture_of(board: Dashboard, story: Story, watched: Prometheus) -> str:
    pictures = []
    for panel in board.panels:
        lines: list[Line] = []
        for query in panel.queries:
            found = watched.history(in_grafana(query, story), seconds=SECONDS, now=time.time())
            for series in found:
                points = tuple((float(at), float(value)) for at, value in series["values"])
                lines.append(Line(legend(query, series["metric"]), points))
        pictures.append(Picture(panel.title, panel.unit, tuple(lines)))
    return drawn(board.title, pictures).replace(story.namespace, "models")


def legend(query: Query, labels: dict[str, str]) -> str:
    """Return what Grafana would write; without a template all labels."""
    if not query.legend:
        return " ".join(labels.get(key, "") for key in ("name", "chip", "runtime"))
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), query.legend)
