"""A saved OneFlow graph: from a folder or an archive, through the store, to a folder again."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.apiserver import ROOT
from tests.support.loopback.webserver import serving, whole
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_contract.fields import OrderError
from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.download import unpack_artifact
from resnet_jobs.commands.fetch import fetch
from resnet_jobs.commands.prepare import prepare
from resnet_jobs.commands.publish import publish
from resnet_jobs.formats.oneflow import pack
from resnet_jobs.store.shared_claim import SharedClaimStore

Order = Callable[..., JobSpec]
INPUT = {"name": "INPUT_0", "dataType": "FP32", "dims": [3, 224, 224]}
OUTPUT = {"name": "OUTPUT_0", "dataType": "FP32", "dims": [1000]}
# As flow.save leaves it: the graph, and each variable in a folder.
GRAPH = {"model.mlir": b"module {}", "model.conv1.weight/out": b"w" * 900, "model.fc.bias/out": b""}


def as_oneflow(order: Order, **changes: Any) -> JobSpec:
    usual = {
        "uri": "pvc://models/resnet50/model",
        "format": "OneFlow",
        "chip": "GPU",
        "batchSizes": [1],
        "declaredInputs": [INPUT],
        "declaredOutputs": [OUTPUT],
    }
    return order(**{**usual, **changes})


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def packed(files: Mapping[str, bytes], *, below: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(below + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


# --- the whole way ------------------------------------------------------------------------------


def test_a_folder_of_a_claim(
    order: Order, workspace: Workspace, fake_time: FakeTime, tmp_path: Path
) -> None:
    write(workspace.source / "resnet50/model", GRAPH)
    spec = as_oneflow(order)
    lines = "".join(
        f"{hashlib.sha256(GRAPH[name]).hexdigest()}  {name}\n" for name in sorted(GRAPH)
    )
    assert fetch(spec, workspace, clock=fake_time.clock) == {
        "ok": True,
        "sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "sizeBytes": 909,
    }
    prepared = prepare(spec, workspace)
    assert prepared == {
        "ok": True,
        "inputs": [INPUT],
        "outputs": [OUTPUT],
        "batchSizes": [1],
        "notes": [],
    }
    (tmp_path / "store").mkdir()
    published = publish(spec, workspace, store=SharedClaimStore(tmp_path / "store"))
    assert (published["file"], published["origin"]) == ("model.tar", "Copied")
    blob = tmp_path / "store/blobs/sha256" / published["sha256"]
    assert files_of(_unpacked(tmp_path, blob, published["sha256"])) == GRAPH


def _unpacked(tmp_path: Path, blob: Path, sha256: str) -> Path:
    """Do what the init container of a serving pod does with a shared claim."""
    folder = tmp_path / "unpacked/model"
    (tmp_path / "artifact").mkdir()
    write(folder, {"left": b"by an attempt before"})
    subprocess.run(
        [
            *(sys.executable, "-P", "-s", "-m", "resnet_jobs", "download"),
            *("--claim", tmp_path / "store", "--sha256", sha256),
            *("--file", "model.tar", "--unpack", folder),
        ],
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "operator"),
            "RESNET_ARTIFACT": str(tmp_path / "artifact"),
            "RESNET_TERMINATION_LOG": str(tmp_path / "message"),
        },
    )
    assert blob.is_file(), "the store's own file stays"
    return folder


ARCHIVES = [
    ("the files", packed(GRAPH)),
    ("their folder", packed(GRAPH, below="model/")),
    ("folders around it", packed(GRAPH, below="./export/model/")),
    (
        "a model of Triton's repository",
        packed(
            {
                **{f"resnet50_oneflow/1/model/{name}": data for name, data in GRAPH.items()},
                "resnet50_oneflow/config.pbtxt": b"name: 'resnet50_oneflow'",
                "resnet50_oneflow/labels.txt": b"cat",
            }
        ),
    ),
]


@pytest.mark.parametrize(("reason", "archive"), ARCHIVES, ids=[name for name, _ in ARCHIVES])
def test_an_archive(
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    tmp_path: Path,
    reason: str,
    archive: bytes,
) -> None:
    """However it was packed, the artifact is the same: it is told apart by its files."""
    digest = hashlib.sha256(archive).hexdigest()
    with serving(whole(archive)) as (url, _):
        spec = as_oneflow(order, uri=f"{url}/m/model.tar.gz", sha256=digest)
        assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == digest
    prepare(spec, workspace)
    write(tmp_path / "same", GRAPH)
    pack(tmp_path / "same", tmp_path / "same.tar")
    assert workspace.packed_folder.read_bytes() == (tmp_path / "same.tar").read_bytes(), reason


def test_a_downloaded_tar_goes_when_it_is_unpacked(tmp_path: Path) -> None:
    """It would take the room twice."""
    write(tmp_path / "graph", GRAPH)
    pack(tmp_path / "graph", tmp_path / "model.tar")
    unpack_artifact(tmp_path / "model.tar", tmp_path / "out")
    assert files_of(tmp_path / "out") == GRAPH
    assert not (tmp_path / "model.tar").exists()


# --- what is refused ----------------------------------------------------------------------------


@pytest.fixture
def fetched(workspace: Workspace) -> Path:
    write(workspace.fetched_folder, GRAPH)
    return workspace.fetched_folder


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "another name",
        {"declaredInputs": [{**INPUT, "name": "input"}]},
        "spec.model.inputs must be named INPUT_0, in the order of the graph",
    ),
    (
        "a gap",
        {"declaredInputs": [INPUT, {**INPUT, "name": "INPUT_2"}]},
        "spec.model.inputs must be named INPUT_0, INPUT_1, in the order",
    ),
    ("no outputs", {"declaredOutputs": None}, "spec.model.outputs must be named OUTPUT_0"),
]


@pytest.mark.parametrize(("reason", "changes", "said"), REFUSED, ids=[r[0] for r in REFUSED])
def test_names(
    order: Order,
    workspace: Workspace,
    fetched: Path,
    reason: str,
    changes: dict[str, Any],
    said: str,
) -> None:
    with pytest.raises(JobError) as raised:
        prepare(as_oneflow(order, **changes), workspace)
    assert raised.value.reason is Reason.INVALID_SPEC, reason
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("reason", "files", "said"),
    [
        ("one file", {"net.pth": b"PK"}, "the source is the one file net.pth; write the folder"),
        (
            "Triton's folder without a model",
            {"config.pbtxt": b"", "1/model.py": b""},
            "with 0 folders <version>/model; write the folder that flow.save(graph, folder) made",
        ),
        (
            "two versions",
            {"config.pbtxt": b"", "1/model/a": b"", "2/model/a": b""},
            "with 2 folders <version>/model",
        ),
    ],
)
def test_what_is_no_graph(
    order: Order, workspace: Workspace, reason: str, files: dict[str, bytes], said: str
) -> None:
    write(workspace.fetched_folder, files)
    with pytest.raises(JobError) as raised:
        prepare(as_oneflow(order), workspace)
    assert raised.value.reason is Reason.UNSUPPORTED_MODEL, reason
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "OneFlow", "chip": "Ascend310P3"}, "OneFlow knows no NPU"),
        ({"format": "ONNX", "chip": "GPU"}, "there is no other runtime for a GPU"),
    ],
)
def test_chip_and_format(order: Order, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(OrderError, match="OneFlow runs on a GPU"):
        order(**changes)


def test_another_digest(order: Order, workspace: Workspace, fake_time: FakeTime) -> None:
    write(workspace.source / "resnet50/model", GRAPH)
    with pytest.raises(JobError) as raised:
        fetch(as_oneflow(order, sha256="0" * 64), workspace, clock=fake_time.clock)
    assert raised.value.reason is Reason.CHECKSUM_MISMATCH
    assert "spec.model.sha256 says 000000000000…" in raised.value.message
    assert "LC_ALL=C sort" in raised.value.detail, "the command that prints it"


def test_a_lost_folder_runs_the_job_again(order: Order, workspace: Workspace) -> None:
    with pytest.raises(JobError) as raised:
        prepare(as_oneflow(order), workspace)
    assert raised.value.reason is Reason.RESULT_LOST


def test_what_is_declared_makes_another_artifact(
    order: Order, workspace: Workspace, fetched: Path
) -> None:
    """The manifest tells the contract, so two contracts cannot share one."""
    contents = []
    for dims in ([1000], [10]):
        prepare(as_oneflow(order, declaredOutputs=[{**OUTPUT, "dims": dims}]), workspace)
        contents.append(json.loads(workspace.prepared.read_text())["contentInputs"])
    assert contents[0]["model"] == contents[1]["model"]
    assert contents[0] != contents[1]
    shutil.rmtree(workspace.packed_folder.parent)
