"""What the processes of one pytest run share: a folder, and what was made once for all of them.

With pytest-xdist the tests run in several workers. The process that began the run makes a folder
before they start and ends the clusters named in it when they are done; a worker that needs one
boots it, or finds that another one has. Without workers it is all one process. A plugin
of pytest that tests/conftest.py registers.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from devkit.cluster.cluster import Cluster, ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VARIABLE = "RESNET_TEST_SHARED"


def folder() -> Path:
    return Path(os.environ[VARIABLE])


def owner() -> int:
    """Return the process that lives as long as the run."""
    return int((folder() / "owner").read_text())


def pytest_configure() -> None:
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix="resnet-test-")
        (folder() / "owner").write_text(str(os.getpid()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what was booted, after the workers; what cannot be ended fails the run."""
    if owner() != os.getpid():
        return
    for file in sorted(folder().glob("*.cluster")):
        try:
            Cluster.attach(file.read_text()).stop()
        except ClusterError as error:
            print(f"\n{error}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure() -> None:
    if owner() == os.getpid():
        shutil.rmtree(folder())
        del os.environ[VARIABLE]


def group_of(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("xdist_group")
    return str(mark.args[0]) if mark else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the groups where the process finds them that hands out the tests."""
    if hasattr(config, "workerinput"):
        groups = {item.nodeid: group for item in items if (group := group_of(item))}
        new = folder() / f"groups.{os.getpid()}"
        new.write_text(json.dumps(groups))
        new.replace(folder() / "groups")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadgroup` by ourselves: pytest 9.2 no longer lets xdist 3.8 rename its tests."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        @functools.cached_property
        def groups(self) -> dict[str, str]:
            return dict(json.loads((folder() / "groups").read_text()))

        def _split_scope(self, nodeid: str) -> str:
            return self.groups.get(nodeid, nodeid)

    return GroupScheduling(config, log)


@contextmanager
def lock(name: str, *, exclusive: bool = True) -> Iterator[None]:
    """Hold a lock of the run: alone, or together with all that want it so."""
    with (folder() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield


def once(name: str, make: Callable[[], str | None]) -> str:
    """Make something if no other worker has; return the text that the maker left."""
    made = folder() / name
    with lock(name):
        if not made.exists():
            text = make() or ""
            made.write_text(text)
        return made.read_text()


def cluster(name: str, boot: Callable[[int], Cluster]) -> Cluster:
    """Boot a cluster for the whole run, or attach to it; `boot` is given its owner."""
    return Cluster.attach(once(f"{name}.cluster", lambda: boot(owner()).name))
