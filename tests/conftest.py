"""Fixtures of every suite. The API server is real, and starts when the first test asks for it."""

from __future__ import annotations

import gc
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from devkit.cluster.cluster import Cluster, build
from tests.support import needs, record, shared
from tests.support.apiserver import ROOT, ApiServer, fresh_namespace, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what `tests/golden` uses: pytest reads options from this folder's conftest only."""
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite tests/golden/cases/*/want"
    )
    parser.addoption(
        "--record-support", action="store_true", help="write what passed into docs/support.json"
    )


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # what is collected is kept: see pytest_collection_finish
    # The same examples in every run: a failure that only shows now and then helps nobody.
    hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
    for plugin in (needs, shared):
        config.pluginmanager.register(plugin)
    if config.getoption("--record-support"):
        config.pluginmanager.register(record.Recorder(), "record-support")


def pytest_collection_finish() -> None:
    """Leave thousands of tests and modules out of every later look for garbage."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.collect()  # how often is decided by what the last look found: nothing now


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ApiServer]:
    """A real API server with a controller-manager, one for each worker; see `ApiServer`.

    Not one for all: tests of this suite look after all namespaces, and change rights and kinds.
    """
    if foreign := os.environ.get("RESNET_TEST_KUBECONFIG"):
        with proxied(kubeconfig=Path(foreign), bin_dir=build(), embedded=False) as server:
            yield server
        return
    if os.geteuid() != 0:
        pytest.skip(
            "the embedded API server needs root; run the tests as root, or set "
            "RESNET_TEST_KUBECONFIG to a cluster they may use"
        )
    subprocess.run([str(ROOT / "devkit/cluster/install.sh")], check=True)
    with (
        Cluster.start(mode="api") as cluster,
        proxied(
            kubeconfig=cluster.kubeconfig, bin_dir=cluster.bin_dir, embedded=True, ends=True
        ) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def installed_crd(apiserver: ApiServer) -> ApiServer:
    """The API server with the committed CRD."""
    apiserver.install_crd()
    return apiserver


@pytest.fixture
def namespace(apiserver: ApiServer) -> Iterator[str]:
    """A fresh namespace, deleted afterwards without waiting for it."""
    with fresh_namespace(apiserver) as name:
        yield name


@pytest.fixture(scope="module")
def shared_namespace(apiserver: ApiServer) -> Iterator[str]:
    """A namespace for all tests of a module that leave nothing behind, such as dry runs."""
    with fresh_namespace(apiserver) as name:
        yield name
