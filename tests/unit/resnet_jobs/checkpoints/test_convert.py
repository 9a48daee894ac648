"""From a fetched file of weights to what `prepare` says of it."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from tests.support.apiserver import ROOT
from tests.unit.resnet_jobs.checkpoints import saved
from tests.unit.resnet_jobs.checkpoints.saved import resnet

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.prepare import prepare
from resnet_jobs.datasets.cifar import load
from resnet_jobs.publisher.handover import read_facts

Order = Callable[..., JobSpec]
SMALL = {"inputShapes": {"input": [3, 64, 64]}}


def put(workspace: Workspace, data: bytes) -> None:
    workspace.fetched.parent.mkdir(parents=True, exist_ok=True)
    workspace.fetched.write_bytes(data)


def prepared(order: Order, workspace: Workspace, data: bytes, **job: Any) -> dict[str, Any]:
    put(workspace, data)
    return prepare(order(format="PyTorch", **job), workspace)


def refused(order: Order, workspace: Workspace, data: bytes, **job: Any) -> JobError:
    with pytest.raises(JobError) as caught:
        prepared(order, workspace, data, **job)
    assert not workspace.prepared.exists()
    return caught.value


def answers(model: Path, pictures: Any) -> Any:
    return onnxruntime.InferenceSession(str(model)).run(None, {"input": pictures})[0]


def test_weights_become_a_model(order: Order, workspace: Workspace) -> None:
    message = prepared(order, workspace, saved.archive(resnet()), **SMALL)
    assert message["inputs"] == [{"name": "input", "dataType": "FP32", "dims": [3, 64, 64]}]
    assert message["outputs"] == [{"name": "output", "dataType": "FP32", "dims": [5]}]
    assert message["opset"] == 13
    assert "built resnet18 with 5 classes from the weights" in message["notes"]
    first = workspace.model.read_bytes()
    model = onnx.load_from_string(first)
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} == {
        "Conv", "Relu", "MaxPool", "Add", "GlobalAveragePool", "Flatten", "Gemm"
    }  # fmt: skip
    taken = {f"{node.name}.{part}" for node in model.graph.node for part in ("weight", "bias")}
    assert not taken & {one.name for one in model.graph.initializer}, "a quantizer's own names"
    prepared(order, workspace, saved.archive(resnet()), **SMALL)
    assert workspace.model.read_bytes() == first, "the digest is part of the content key"


def test_every_container_gives_the_same_model(order: Order, workspace: Workspace) -> None:
    """The file that the weights come in does not matter, nor what wraps them."""
    weights = resnet()
    models = set()
    for data in (
        saved.archive(weights),
        saved.stream({"state_dict": weights, "epoch": 7}),
        saved.safetensors({k: v for k, v in weights.items() if v.ndim}),
        saved.archive(saved.renamed(weights, "module.{}".format)),
    ):
        prepared(order, workspace, data, **SMALL)
        models.add(workspace.model.read_bytes())
    assert len(models) == 1


def test_half_precision_is_served_in_fp32(order: Order, workspace: Workspace) -> None:
    floats = {k: v for k, v in resnet().items() if v.ndim}
    noise = np.random.default_rng(1).standard_normal((2, 3, 64, 64)).astype("f4")
    prepared(order, workspace, saved.safetensors(floats), **SMALL)
    want = answers(workspace.model, noise)
    for kind in ("F16", "BF16"):
        message = prepared(order, workspace, saved.safetensors(floats, kind=kind), **SMALL)
        assert message["inputs"][0]["dataType"] == "FP32"
        got = answers(workspace.model, noise)
        assert np.abs(got - want).max() < 0.05 * np.abs(want).max(), kind


def test_sizes(order: Order, workspace: Workspace) -> None:
    """224x224, 32x32 for CIFAR's network, one channel where the weights have one."""
    weights = resnet()
    assert prepared(order, workspace, saved.archive(weights))["inputs"][0]["dims"] == [3, 224, 224]
    grey = {**weights, "conv1.weight": weights["conv1.weight"][:, :1]}
    assert prepared(order, workspace, saved.archive(grey))["inputs"][0]["dims"] == [1, 224, 224]
    cifar = saved.archive(resnet(stem="small"))
    message = prepared(order, workspace, cifar, pytorch={"stem": "CIFAR"})
    assert message["inputs"][0]["dims"] == [3, 32, 32]


def test_what_is_declared_names_the_tensors(order: Order, workspace: Workspace) -> None:
    shapes = {"inputShapes": {"data": [3, 40, 48]}}
    message = prepared(order, workspace, saved.archive(resnet()), **shapes)
    assert message["inputs"] == [{"name": "data", "dataType": "FP32", "dims": [3, 40, 48]}]


def test_what_is_asked_for_and_right(order: Order, workspace: Workspace) -> None:
    network = {"architecture": "resnet18", "classes": 5, "checkpointKey": "a", "stripPrefix": "x."}
    data = saved.archive({"a": saved.renamed(resnet(), "x.{}".format), "b": resnet(seed=4)})
    assert prepared(order, workspace, data, pytorch=network, **SMALL)["ok"]


ASKED: list[tuple[dict[str, Any], str]] = [
    ({"architecture": "resnet50"}, "write spec.model.pytorch.architecture: resnet18"),
    ({"architecture": "resnet18d"}, "write spec.model.pytorch.architecture: resnet18"),
    ({"classes": 1000}, "write spec.model.pytorch.classes: 5"),
    ({"checkpointKey": "ema"}, 'checkpointKey "ema" is not in the checkpoint'),
    ({"stripPrefix": "module."}, 'stripPrefix "module.": no name begins so'),
    ({"stem": "CIFAR"}, "remove the field"),
]


@pytest.mark.parametrize(("network", "words"), ASKED)
def test_what_is_asked_for_is_checked(
    order: Order, workspace: Workspace, network: dict[str, Any], words: str
) -> None:
    error = refused(order, workspace, saved.archive(resnet()), pytorch=network)
    assert (error.reason, words in error.message) == (Reason.INVALID_SPEC, True), error.message


def test_damaged_numbers_are_named(order: Order, workspace: Workspace) -> None:
    weights = resnet()
    weights["layer3.1.conv2.weight"][0, 0, 0, 0] = np.nan
    error = refused(order, workspace, saved.archive(weights))
    assert error.reason == Reason.UNSUPPORTED_MODEL
    assert "layer3.1.conv2.weight has infinite numbers" in error.message


def test_a_wrong_shape_is_told_with_an_example(order: Order, workspace: Workspace) -> None:
    shapes = {"inputShapes": {"input": [1, 64, 64]}}
    error = refused(order, workspace, saved.archive(resnet()), **shapes)
    assert (
        "takes pictures of 3 channel(s): write for example {input: [3, 224, 224]}" in error.message
    )


def test_a_program_is_not_run(order: Order, workspace: Workspace) -> None:
    evil = saved.Raw(saved.name("os", "mkdir") + b"(" + saved.text("pwned") + b"tR")
    error = refused(order, workspace, saved.archive({"state_dict": resnet(), "x": evil}))
    assert (error.reason, "os.mkdir" in error.message) == (Reason.UNSUPPORTED_MODEL, True)


def test_no_weights_were_left(order: Order, workspace: Workspace) -> None:
    with pytest.raises(JobError, match="the Job has to run again"):
        prepare(order(format="PyTorch"), workspace)


TORCH_FILES: list[tuple[str, dict[str, Any], str]] = [
    ("resnet18.pth", {}, ""),
    ("training.pth", {}, ""),
    ("evil.pth", {}, "posix.mkdir"),
    ("evil-legacy.pth", {}, "posix.mkdir"),
    ("evil.tar", {}, "tar"),
    ("traced.pt", {}, "write spec.model.format: TorchScript"),
    ("whole.pth", {}, "__main__.Small"),
    ("cut.pth", {}, "damaged or cut-off"),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "network", "words"), TORCH_FILES)
def test_files_of_torch_itself(
    order: Order, workspace: Workspace, files: tuple[Path, dict[str, Any]],
    name: str, network: dict[str, Any], words: str,
) -> None:  # fmt: skip
    data = (files[0] / name).read_bytes()
    if not words:
        assert prepared(order, workspace, data, pytorch=network, **SMALL)["ok"]
        return
    assert words in refused(order, workspace, data).message
    assert not (files[0] / "pwned").exists(), "code from the file has run"


@pytest.mark.thorough  # a whole data set
def test_the_checkpoint_of_the_samples(order: Order, workspace: Workspace) -> None:
    """Trained in mmcls's form: it says its classes, its normalization, and it is right."""
    pairs = ROOT / "samples" / "pairs"
    put(workspace, (pairs / "resnet18_cifar_pairs.pth").read_bytes())
    message = prepare(order(format="PyTorch", sha256=None), workspace)
    assert message["inputs"] == [{"name": "input", "dataType": "FP32", "dims": [3, 32, 32]}]
    assert message["outputs"] == [{"name": "output", "dataType": "FP32", "dims": [100]}]
    facts, _ = read_facts(workspace.publisher)
    assert facts.labels == tuple(f"{number:02}" for number in range(100))
    assert (facts.mean, facts.std) == ((78.0,) * 3, (96.0,) * 3)
    with tarfile.open(pairs / "pairs-python.tar.gz") as archive:
        archive.extractall(workspace.scratch, filter="data")
    test = load(workspace.scratch / "pairs-python" / "test")
    rows, truth = test[b"data"].value, np.array(test[b"fine_labels"])
    pictures = rows.reshape(-1, 3, 32, 32).astype("f4")
    found = answers(workspace.model, (pictures - 78) / 96).argmax(1)
    assert (found == truth).mean() == pytest.approx(0.976), "as its training measured"


SAFE = saved.safetensors({key: value for key, value in resnet().items() if value.ndim})
QUANTIZED = saved.Raw(saved.name("torch._utils", "_rebuild_qtensor") + b")R")
LOOKALIKES: list[tuple[str, bytes, str, str]] = [
    ("timm's blurred network, which has the plain one's weights", saved.archive(resnet()),
     "pvc://models/resnetblur50-84f4748f.pth", "timm calls it resnetblur50"),
    ("the same from its repository", SAFE, "hf://timm/resnetaa50.a1h_in1k", "resnetaa50"),
    ("one of several files", SAFE, "pvc://models/model-00001-of-00002.safetensors",
     "part 1 of 2"),
    ("their index", b'{"metadata": {}, "weight_map": {"conv1.weight": "model-1.safetensors"}}',
     "pvc://models/model.safetensors.index.json", "an index of weights in several files"),
    ("safetensors cut off in the header", SAFE[:900], "pvc://models/a.safetensors",
     "cut off at 900 bytes"),
    ("quantized tensors", saved.archive({"conv1.weight": QUANTIZED}), "pvc://models/a.pth",
     "quantized by PyTorch"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("why", "data", "uri", "words"), LOOKALIKES, ids=[row[0] for row in LOOKALIKES]
)
def test_what_only_looks_like_a_resnet(
    why: str, data: bytes, uri: str, words: str, order: Order, workspace: Workspace
) -> None:
    error = refused(order, workspace, data, uri=uri)
    assert words in error.message, why
    assert error.reason == Reason.UNSUPPORTED_MODEL
    assert "bring" in error.message or "put it there again" in error.message


def test_a_head_behind_dropout_is_said(order: Order, workspace: Workspace) -> None:
    weights = {key.replace("fc.", "fc.1."): value for key, value in resnet().items()}
    message = prepared(order, workspace, saved.archive(weights), **SMALL)
    assert any(note.startswith("took fc.1 for the head") for note in message["notes"])
