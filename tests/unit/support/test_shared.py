"""Workers of one run boot a cluster once, end it together, and keep out of each other's way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.apiserver import ROOT

pytestmark = pytest.mark.thorough  # runs pytest within pytest

CONFTEST = """
import contextlib, os, pathlib, pytest
from tests.support import shared
from tests.e2e.conftest import ONLY_ONE, place, pytest_collection_modifyitems

os.environ[sorted(ONLY_ONE)[0]] = "one cluster for all"

LOG = pathlib.Path(os.environ["SAMPLE_LOG"])

def say(text):
    with LOG.open("a") as file:
        file.write(text + "\\n")

class Fake:
    name = "fake"
    def stop(self):
        say("stopped")

shared.Cluster.attach = lambda name: Fake()

def boot(owner):
    assert owner != os.getpid(), "the owner outlives the workers"
    say("booted")
    return Fake()

@pytest.fixture(scope="session")
def cluster():
    return shared.cluster("e2e", boot)

@pytest.fixture(scope="session")
def places(cluster):
    return lambda name: name

@pytest.fixture
def story(place, request):
    name = request.node.name.partition("@")[0]
    say(f"begin {name}")
    yield
    say(f"end {name}")
"""
SAMPLE = """
import os, pathlib, pytest, time

@pytest.mark.alone
@pytest.mark.parametrize("n", range(2))
def test_alone(story, n): ...

@pytest.mark.parametrize("n", range(8))
def test_story(story, n):
    time.sleep(0.05)

@pytest.mark.xdist_group("few")
@pytest.mark.parametrize("n", range(4))
def test_of_few(story, n, worker_id):
    (pathlib.Path(os.environ["SAMPLE_LOG"]).parent / worker_id).touch()
"""


def test_workers_share_a_cluster_and_some_stories_run_alone(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    log, places = tmp_path / "log", tmp_path / "tmp"
    places.mkdir()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("RESNET_TEST_")}
    options = ("-n", "3", "--dist", "loadgroup", "--no-loadscope-reorder", "-q")
    plugins = ("-p", "tests.support.shared", "-p", "no:cacheprovider", "-c", os.devnull)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options, "--rootdir", tmp_path, tmp_path],
        env=clean
        | {"PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}", "SAMPLE_LOG": str(log)}
        | {"TMPDIR": str(places)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = log.read_text().splitlines()
    assert lines.count("booted") == 1
    assert len(list(tmp_path.glob("gw*"))) == 1, "a group is one worker's"
    assert lines.count("stopped") == 1
    assert lines[-1] == "stopped"
    assert list(places.glob("resnet-test-*")) == [], "the folder of the run is left behind"
    running = 0
    for line in lines:
        if line.startswith("begin "):
            running += 1
            assert "alone" not in line or running == 1, lines
        elif line.startswith("end "):
            assert "alone" not in line or running == 1, lines
            running -= 1
