"""The dashboards in the chart are those of the table, and each question is PromQL."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from monitoring.dashboards import dashboards
from monitoring.panels import DASHBOARDS, Dashboard
from tests.support.apiserver import ROOT
from tests.support.needs import need_program

FOLDER = ROOT / "charts" / "resnet-operator" / "files" / "dashboards"


def test_the_committed_json_is_the_tables() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert committed == dashboards(), "run: make generate"


@pytest.mark.parametrize("one", DASHBOARDS, ids=lambda one: one.name)
def test_grafana_can_read_it(one: Dashboard) -> None:
    board = json.loads(dashboards()[f"{one.name}.json"])
    assert board["uid"] == f"resnet-{one.name}"
    assert len(board["uid"]) <= 40
    named = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"])))
    of_promql = {one for one in used if one.isdigit()}  # Grafana leaves "$1" as it is
    assert used - {"__rate_interval"} - of_promql <= named
    assert [panel["title"] for panel in board["panels"]] == [panel.title for panel in one.panels]
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len(set(places)) == len(places), "no panel lies on another one"
    for panel in board["panels"]:
        references = [target["refId"] for target in panel["targets"]]
        assert all(references)
        assert len(set(references)) == len(references)


@pytest.mark.parametrize("one", DASHBOARDS, ids=lambda one: one.name)
def test_each_question_is_promql(one: Dashboard, tmp_path: Path) -> None:
    need_program("promtool", "prometheus")
    expressions = [query.expr for panel in one.panels for query in panel.queries]
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__\w+", "1m", expr)}
        for number, expr in enumerate(expressions)
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": one.name, "rules": rules}]}), "utf-8")
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
