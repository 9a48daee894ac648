"""What `make demo` shows, on the suite's own cluster: the README prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devkit import demo

if TYPE_CHECKING:
    import pytest
    from devkit.cluster.cluster import Cluster
    from devkit.deploy import Operator
    from tests.apiserver import ApiServer


def test_demo_ends_in_a_prediction(
    full_cluster: tuple[ApiServer, Cluster | None],
    operator: Operator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server, _ = full_cluster
    where = demo.Target(server.kubeconfig, server.bin_dir, operator.values, server.embedded)
    try:
        names = demo.apply_samples(where, operator)
        demo.wait_ready(where, names)
        demo.present(where, names)
        demo.farewell(where)
    finally:
        where.run("kubectl", "delete", "namespace", demo.NAMESPACE, "--wait=false")
        clean = ("delete", "pods", "--all", "--grace-period=0", "--force")
        where.run("kubectl", "-n", demo.NAMESPACE, *clean)
    shown = capsys.readouterr().out

    assert names == ["digits", "digits-cpu"]
    assert shown.count("HTTP/1.1 200 OK") == len(names)
    assert shown.count("  1  seven") == len(names), "the picture's own label is the best"
    assert "--soc_version=Ascend310P3" in shown
    assert 'backend: "python"' in shown
    assert "simulator" in shown
