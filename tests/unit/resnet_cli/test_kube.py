"""The rim: several ports are forwarded at a time, and other requests go on meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kubernetes.stream
import pytest
import yaml

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import LiveCluster, read_json

THREADS = 4


@pytest.fixture
def cluster(tmp_path: Path) -> LiveCluster:
    config = tmp_path / "config"
    config.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "a",
                "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "a", "user": {"token": "t"}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            }
        )
    )
    return LiveCluster(kubeconfig=str(config), context=None, namespace=None)


def test_dialing_changes_no_client_that_others_use(
    cluster: LiveCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library replaces `call_api` of the client it is given, and puts it back later."""
    together = threading.Barrier(THREADS)

    class Forward:
        def socket(self, _: int) -> socket.socket:
            return socket.socket()

    def portforward(connect: Callable[..., object], *_: Any, **__: Any) -> Forward:
        client: Any = connect.__self__.api_client  # type: ignore[attr-defined]
        before = client.call_api
        assert client.configuration is cluster.api.configuration, "the same login"
        client.call_api = None
        together.wait(30)
        client.call_api = before
        assert before is not None, "another one had replaced it"
        return Forward()

    own = cluster.api.call_api
    monkeypatch.setattr(kubernetes.stream, "portforward", portforward)
    with ThreadPoolExecutor(THREADS) as pool:
        dialed = [pool.submit(cluster.dial, "vision", "a", 8002) for _ in range(THREADS)]
        for one in dialed:
            one.result().close()
    assert cluster.api.call_api == own


@pytest.mark.parametrize(
    "text", ["", "<html>Log in, please</html>", "[]", '{"items": [', "\ud800", "[" * 9999, b"\xff"]
)
def test_what_is_no_api_server_is_said(text: str | bytes) -> None:
    with pytest.raises(CliError, match=r"no API server.*proxies") as caught:
        read_json(text)
    assert caught.value.exit_code is Exit.UNREACHABLE
