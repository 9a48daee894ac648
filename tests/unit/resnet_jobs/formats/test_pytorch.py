"""PyTorch files for TorchAIE: checked without torch, and stored as they came."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.resnet_jobs.checkpoints import saved
from tests.unit.resnet_jobs.driver.test_export import TORCHVISION

from resnet_contract.fields import OrderError
from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace, read_json
from resnet_jobs.commands.prepare import prepare
from resnet_jobs.commands.publish import publish
from resnet_jobs.driver.checkpoint import PLANS
from resnet_jobs.driver.saved.names import Tensor
from resnet_jobs.driver.saved.torch_file import open_checkpoint, read_kind
from resnet_jobs.formats.network_shapes import network_shapes
from resnet_jobs.store.shared_claim import SharedClaimStore

Order = Callable[..., JobSpec]
Files = tuple[Path, dict[str, Any]]
NETWORK = {"architecture": "resnet18", "classes": 5}
PICTURE = {"name": "INPUT", "dataType": "FP32", "dims": [3, 64, 64]}
SCORES = {"name": "OUTPUT", "dataType": "FP32", "dims": [5]}


def weights(order: Order, **changes: Any) -> JobSpec:
    usual = {"uri": "pvc://m/r.pth", "format": "PyTorch", "pytorch": NETWORK, "batchSizes": [4]}
    return order(**{**usual, "runtime": "TorchAIE", **changes})


def script(order: Order, **changes: Any) -> JobSpec:
    declared = {"declaredInputs": [PICTURE], "declaredOutputs": [SCORES]}
    return weights(order, **{"format": "TorchScript", "pytorch": None, **declared, **changes})


def put(workspace: Workspace, files: Files, name: str) -> None:
    workspace.fetched.parent.mkdir(parents=True, exist_ok=True)
    workspace.fetched.write_bytes((files[0] / name).read_bytes())


def store_at(folder: Path) -> SharedClaimStore:
    (folder / "store").mkdir()
    return SharedClaimStore(folder / "store")


# --- the shapes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_shapes_are_torchvisions(name: str) -> None:
    shapes = network_shapes(PLANS[name], 1000)
    lines = "".join(f"{key} {list(shapes[key])}\n" for key in sorted(shapes))
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == TORCHVISION[name][0]


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["resnet18.pth", "training.pth"])
def test_shapes_are_read_without_torch(files: Files, name: str) -> None:
    loaded = open_checkpoint(str(files[0] / name)).root
    found = {
        key.removeprefix("module."): value.shape
        for key, value in loaded.get("state_dict", loaded).items()
        if isinstance(value, Tensor)
    }
    assert found == network_shapes(PLANS["resnet18"], 5)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnet18.pth", "checkpoint"),
        ("training.pth", "old checkpoint"),
        ("traced.pt", "TorchScript"),
        ("pair.pt", "TorchScript"),
    ],
)
def test_kinds(files: Files, name: str, kind: str) -> None:
    assert read_kind(str(files[0] / name)) == kind


# --- prepare and publish ------------------------------------------------------------------------


def test_weights_are_stored_as_they_came(
    order: Order, workspace: Workspace, files: Files, tmp_path: Path
) -> None:
    put(workspace, files, "resnet18.pth")
    spec = weights(order, declaredInputs=[PICTURE], declaredOutputs=[SCORES])
    assert not spec.has_export
    assert prepare(spec, workspace) == {
        "ok": True,
        "inputs": [PICTURE],
        "outputs": [SCORES],
        "batchSizes": [4],
        "notes": [],
    }
    message = publish(spec, workspace, store=store_at(tmp_path))
    assert (message["file"], message["origin"]) == ("model.pth", "Copied")
    assert message["sha256"] == hashlib.sha256(workspace.fetched.read_bytes()).hexdigest()


def test_a_script_is_stored_as_it_came(
    order: Order, workspace: Workspace, files: Files, tmp_path: Path
) -> None:
    put(workspace, files, "traced.pt")
    spec = script(order)
    assert prepare(spec, workspace)["outputs"] == [SCORES]
    message = publish(spec, workspace, store=store_at(tmp_path))
    assert message["file"] == "model.torchscript"


def test_defaults(order: Order, workspace: Workspace, files: Files) -> None:
    put(workspace, files, "resnet18.pth")
    message = prepare(weights(order), workspace)
    assert message["inputs"] == [{"name": "input", "dataType": "FP32", "dims": [3, 224, 224]}]
    assert message["outputs"] == [{"name": "output", "dataType": "FP32", "dims": [5]}]


def test_the_contract_is_part_of_the_key(order: Order, workspace: Workspace, files: Files) -> None:
    """The same file under other names or sizes is another entry of the store."""
    put(workspace, files, "resnet18.pth")
    seen = []
    for spec in (weights(order), weights(order, declaredInputs=[PICTURE])):
        prepare(spec, workspace)
        seen.append(read_json(workspace.prepared)["contentInputs"])
    assert seen[0] != seen[1]
    assert seen[0]["runtime"] == "TorchAIE"


REFUSED: list[tuple[str, Callable[[Order], JobSpec], Reason, str]] = [
    (
        "evil.pth",
        lambda order: weights(order, pytorch={**NETWORK, "checkpointKey": "state_dict"}),
        Reason.UNSUPPORTED_MODEL,
        "the checkpoint holds more than weights (posix.mkdir): save",
    ),
    ("evil-legacy.pth", weights, Reason.UNSUPPORTED_MODEL, "more than weights (posix.mkdir)"),
    ("evil.tar", weights, Reason.UNSUPPORTED_MODEL, "PyTorch's format of before 0.1.10"),
    ("whole.pth", weights, Reason.UNSUPPORTED_MODEL, "more than weights (__main__.Small)"),
    ("cut.pth", weights, Reason.UNSUPPORTED_MODEL, "a damaged or cut-off archive"),
    (
        "training.pth",
        weights,
        Reason.INVALID_SPEC,
        "write spec.model.pytorch.checkpointKey: state_dict",
    ),
    (
        "training.pth",
        lambda order: weights(order, pytorch={**NETWORK, "checkpointKey": "state_dict"}),
        Reason.INVALID_SPEC,
        "stripPrefix",
    ),
    (
        "resnet18.pth",
        lambda order: weights(order, pytorch={**NETWORK, "classes": 1000}),
        Reason.INVALID_SPEC,
        "write spec.model.pytorch.classes: 5",
    ),
    (
        "resnet18.pth",
        lambda order: weights(order, pytorch={**NETWORK, "architecture": "resnet34"}),
        Reason.INVALID_SPEC,
        "resnet18",
    ),
    ("traced.pt", weights, Reason.INVALID_SPEC, "write spec.model.format: TorchScript"),
    ("resnet18.pth", script, Reason.INVALID_SPEC, "write spec.model.format: PyTorch"),
    (
        "traced.pt",
        lambda order: script(order, declaredOutputs=None),
        Reason.INVALID_SPEC,
        "write spec.model.outputs",
    ),
    (
        "traced.pt",
        lambda order: script(order, declaredInputs=None),
        Reason.INVALID_SPEC,
        "write spec.model.inputs",
    ),
    (
        "traced.pt",
        lambda order: script(order, declaredInputs=[{**PICTURE, "dataType": "UINT8"}]),
        Reason.INVALID_SPEC,
        "TorchAIE is served in FP32",
    ),
    (
        "resnet18.pth",
        lambda order: weights(order, declaredOutputs=[{**SCORES, "dims": [7]}]),
        Reason.INVALID_SPEC,
        "one output of [5]",
    ),
]


@pytest.mark.parametrize(("name", "spec", "reason", "words"), REFUSED)
def test_refusals(
    order: Order,
    workspace: Workspace,
    files: Files,
    name: str,
    spec: Callable[[Order], JobSpec],
    reason: Reason,
    words: str,
) -> None:
    put(workspace, files, name)
    with pytest.raises(JobError) as raised:
        prepare(spec(order), workspace)
    assert (raised.value.reason, words in raised.value.message) == (reason, True), raised.value
    assert not (files[0] / "pwned").exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (b"\x08\x07\x12\x07pytorch\x1a\x05", "an ONNX model"),
        (b"", "no PyTorch file; check spec.model.uri"),
        ((64).to_bytes(8, "little") + b'{"conv1.weight":', "remove serving.runtime"),
        (b"\x80\x02K\x01.", "none of PyTorch's"),
    ],
)
def test_other_files(order: Order, workspace: Workspace, data: bytes, words: str) -> None:
    workspace.fetched.parent.mkdir(parents=True, exist_ok=True)
    workspace.fetched.write_bytes(data)
    with pytest.raises(JobError, match=words):
        prepare(weights(order), workspace)


def test_it_is_for_chips_and_pytorch_only(order: Order) -> None:
    for wrong in ({"chip": "CPU"}, {"format": "ONNX", "pytorch": None}):
        with pytest.raises(OrderError, match=r"spec\.serving\.runtime TorchAIE"):
            weights(order, **wrong)


SMALL = saved.resnet()
NESTED: list[tuple[str, object, Reason, str]] = [
    (
        "mmcls's, whose key would only lead to the next refusal",
        {"meta": {}, "state_dict": saved.as_mmcls(SMALL)},
        Reason.UNSUPPORTED_MODEL,
        "the names begin with backbone., as mmcls and mmpretrain write them",
    ),
    (
        "transformers'",
        {"resnet.embedder.embedder.convolution.weight": SMALL["conv1.weight"]},
        Reason.UNSUPPORTED_MODEL,
        "the names begin with resnet.embedder., as transformers write them",
    ),
    (
        "a training of several cards",
        {"state_dict": saved.renamed(SMALL, "module.{}".format), "epoch": 3},
        Reason.INVALID_SPEC,
        'write spec.model.pytorch.checkpointKey: state_dict and stripPrefix: "module."',
    ),
]


@pytest.mark.parametrize(("why", "value", "reason", "words"), NESTED, ids=[r[0] for r in NESTED])
def test_all_that_is_wrong_is_said_at_once(
    order: Order, workspace: Workspace, why: str, value: object, reason: Reason, words: str
) -> None:
    """Four attempts, each refused for the next field, were a day lost."""
    workspace.fetched.parent.mkdir(parents=True, exist_ok=True)
    workspace.fetched.write_bytes(saved.archive(value))
    with pytest.raises(JobError) as raised:
        prepare(weights(order), workspace)
    assert words in raised.value.message, why
    assert raised.value.reason == reason
