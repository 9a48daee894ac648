"""What pages say of the chart and its ports is so."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "resnet-operator"


def test_every_value_is_in_the_readme_of_the_chart() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    table = (CHART / "README.md").read_text(encoding="utf-8").partition("| --- |")[2]
    named = {
        name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])
    } if table else set()  # fmt: skip
    assert named == values.keys()


def test_ports_that_the_docs_name_are_there() -> None:
    """Triton's metrics have a port of the pod, and none of the Service."""
    shape = (ROOT / "templates" / "serving-pod.yaml.j2").read_text(encoding="utf-8")
    assert "{name: metrics, containerPort: 8002" in shape
    assert "metrics" not in (ROOT / "templates" / "service.yaml.j2").read_text(encoding="utf-8")
    scaling = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert "port `metrics` (8002) of each serving pod" in scaling
