"""What `make demo` shows, on the suite's own cluster: the README prints it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from devkit import demo
from devkit.place import NAMESPACE, Target
from tests.support.apiserver import ROOT

if TYPE_CHECKING:
    import pytest
    from devkit.cluster.cluster import Cluster
    from devkit.deploy import Operator
    from tests.support.apiserver import ApiServer


def masked(line: str) -> str:
    """Return a line without what differs from run to run: hashes, ports, ages, blanks."""
    line = re.sub(r"\b[0-9a-f]{10}\b", "HASH", line)
    line = re.sub(r"\b\d{5}\b", "PORT", line)
    line = re.sub(r"\b(\d+m)?\d+s\b", "AGE", line)
    return " ".join(line.split())


def promised() -> list[str]:
    """Return the lines of the demo's output as the README prints them."""
    text = (ROOT / "README.md").read_text().split("among other things,")[1]
    block = text.split("```")[1]
    return [line for line in block.splitlines() if line.strip() not in {"", "..."}]


def test_demo_ends_in_a_prediction(
    full_cluster: tuple[ApiServer, Cluster | None],
    operator: Operator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server, _ = full_cluster
    where = Target(server.kubeconfig, server.bin_dir, operator.values, server.embedded)
    try:
        names = demo.apply_samples(where, operator)
        demo.wait_ready(where, names)
        demo.present(where, names)
        demo.farewell(where)
    finally:
        where.run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")
        clean = ("delete", "pods", "--all", "--grace-period=0", "--force")
        where.run("kubectl", "-n", NAMESPACE, *clean)
    shown = capsys.readouterr().out

    assert names == ["digits", "digits-cpu"]
    assert shown.count("HTTP/1.1 200 OK") == len(names)
    assert shown.count("  1  seven") == len(names), "the picture's own label is the best"
    assert "--soc_version=Ascend310P3" in shown
    assert 'backend: "python"' in shown
    assert "simulator" in shown
    printed = {masked(line) for line in shown.splitlines()}
    missing = [line for line in promised() if masked(line) not in printed]
    assert not missing, "the README prints what does not come out"
