"""docs/models.md: each of its twelve objects through the whole Job, with the publisher's own file
names, configuration and layout. The weights are random and narrow: no hub can be reached here.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from onnx import helper, numpy_helper
from tests.support.builders import a_meta, a_settings
from tests.support.loopback.hubs import COMMIT, hub_serving
from tests.support.pages import blocks
from tests.unit.resnet_jobs import models
from tests.unit.resnet_jobs.checkpoints import saved
from tests.unit.resnet_jobs.checkpoints.test_recognise import transformers as as_transformers
from tests.unit.resnet_jobs.conftest import FakeTime
from tests.unit.resnet_jobs.publisher.test_publisher import CONVNEXT, TIMM

from resnet_contract.order import parse_order
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.fetch import fetch
from resnet_jobs.commands.prepare import prepare
from resnet_jobs.commands.publish import publish
from resnet_jobs.store.shared_claim import SharedClaimStore
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.plan.artifact.contract import settle
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.conversion import job_spec
from resnet_operator.render.serving import revision_config_map
from resnet_operator.resolve.resolve import resolve

pytestmark = pytest.mark.thorough  # publishers' whole networks

PAGE = Path(__file__).parents[3] / "docs/models.md"
SETTINGS = a_settings(export_image="export:1", converter_images={"Ascend": "cann:1"})
IMAGENET = {"mean": "123.675,116.28,103.53", "std": "58.395,57.12,57.375"}
CIFAR = [f"class {number}" for number in range(10)]
THOUSAND = [f"name {number}" for number in range(1000)]
MMCLS = (
    "img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)"
)
Files = dict[str, bytes]


@dataclass(frozen=True)
class Row:
    """What a publisher's repository or claim holds, and what comes out of it."""

    files: Callable[[], Files]
    input: tuple[str, list[int]]
    classes: int
    labels: int | None
    steps: dict[str, str]
    built: str = ""
    blue_first: bool = False
    said: dict[str, Any] = field(default_factory=dict)


def torch_file(name: str, **network: Any) -> Callable[[], Files]:
    return lambda: {name: saved.archive(saved.resnet(classes=1000, **network))}


def timm(depth: int, **network: Any) -> Callable[[], Files]:
    def files() -> Files:
        weights = saved.resnet(depth, classes=1000, **network)
        return {
            "model.safetensors": saved.safetensors(weights),
            "pytorch_model.bin": b"not asked for",
            "config.json": json.dumps(TIMM).encode(),
        }

    return files


def transformers(depth: int) -> Callable[[], Files]:
    config = {
        "architectures": ["ResNetForImageClassification"],
        "model_type": "resnet",
        "hidden_act": "relu",
        "id2label": {str(number): name for number, name in enumerate(THOUSAND)},
    }

    def files() -> Files:
        weights = as_transformers(saved.resnet(depth, classes=1000))
        return {
            "model.safetensors": saved.safetensors(weights),
            "config.json": json.dumps(config).encode(),
            "preprocessor_config.json": json.dumps(CONVNEXT).encode(),
            "tf_model.h5": b"",
        }

    return files


def mmcls(name: str, depth: int, labels: list[str], kind: str, **network: Any) -> Any:
    text = f"{MMCLS}\nmodel = dict(backbone=dict(type='{kind}', depth={depth}, "
    text += "style='pytorch'))"

    def files() -> Files:
        weights = saved.as_mmcls(saved.resnet(depth, classes=len(labels), **network))
        meta = {"CLASSES": tuple(labels), "config": text, "epoch": 100}
        return {name: saved.stream({"meta": meta, "state_dict": weights})}

    return files


def zoo(name: str, *, opset: int) -> Callable[[], Files]:
    """As MXNet exported it: `data`, weights among the inputs, an old operator set."""

    def files() -> Files:
        model = models.classifier(
            name="data", opset=opset, batch=1 if "v1" in name else "N", size=(224, 224),
            weights_as_inputs=True,
        )  # fmt: skip
        return {name: model.SerializeToString()}

    return files


def nsfw() -> Files:
    """Pictures [N, 224, 224, 3] in, two probabilities out."""
    rng = np.random.default_rng(3)
    weights = {"w": rng.standard_normal((8, 3, 7, 7)), "fc": rng.standard_normal((8, 2))}
    nodes = [
        helper.make_node("Transpose", ["input:0"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w"], ["c"], strides=[4, 4]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "fc"], ["g"]),
        helper.make_node("Softmax", ["g"], ["predictions:0"], axis=1),
    ]
    number = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "nsfw",
        [helper.make_tensor_value_info("input:0", number, ["N", 224, 224, 3])],
        [helper.make_tensor_value_info("predictions:0", number, ["N", 2])],
        [numpy_helper.from_array(v.astype("f4") / 10, k) for k, v in weights.items()],
    )
    return {"open_nsfw.onnx": models.make_model(graph, opset=11).SerializeToString()}


FIRST, LAST = ("input", [3, 224, 224]), ("input:0", [224, 224, 3])
DATA = ("data", [3, 224, 224])
BY_256, BY_235 = {**IMAGENET, "short_side": "256"}, {**IMAGENET, "short_side": "235"}
BICUBIC = {"interpolation": "Bicubic"}
ROWS: dict[str, Row] = {
    "torchvision, ResNet-18": Row(
        torch_file("resnet18-f37072fd.pth"), FIRST, 1000, None, BY_256, "resnet18"
    ),
    "torchvision, ResNet-50": Row(
        torch_file("resnet50-11ad3fa6.pth", depth=50), FIRST, 1000, None,
        {**IMAGENET, "short_side": "232"}, "resnet50",
    ),
    "timm, ResNet-18": Row(timm(18), FIRST, 1000, None, BY_235 | BICUBIC, "resnet18"),
    "timm, ResNet-50": Row(timm(50), FIRST, 1000, None, BY_235 | BICUBIC, "resnet50"),
    "timm, ResNet-50-D": Row(
        timm(50, stem="deep", pooled=True), FIRST, 1000, None, BY_235 | BICUBIC, "resnet50d"
    ),
    "Hugging Face transformers, ResNet-18": Row(
        transformers(18), FIRST, 1000, 1000, BY_256 | BICUBIC, "resnet18"
    ),
    "Hugging Face transformers, ResNet-50": Row(
        transformers(50), FIRST, 1000, 1000, BY_256 | BICUBIC, "resnet50"
    ),
    "mmpretrain, ResNet-50": Row(
        mmcls("resnet50_8xb32_in1k_20210831-ea4938fc.pth", 50, THOUSAND, "ResNet"),
        FIRST, 1000, 1000, BY_256, "resnet50",
    ),
    "mmpretrain, ResNet-18 for CIFAR-10": Row(
        mmcls("resnet18_8xb16_cifar10_20210528-bd6371c8.pth", 18, CIFAR, "ResNet_CIFAR",
              stem="small"),
        ("input", [3, 32, 32]), 10, 10, IMAGENET, "resnet18_cifar",
    ),
    "ONNX model zoo, resnet50-v1-7": Row(
        zoo("resnet50-v1-7.onnx", opset=8), DATA, models.CLASSES, None, BY_256
    ),
    "ONNX model zoo, resnet50-v2-7": Row(
        zoo("resnet50-v2-7.onnx", opset=7), DATA, models.CLASSES, None, BY_256
    ),
    "open_nsfw": Row(
        nsfw, LAST, 2, None,
        {"mean": "104.0,117.0,123.0", "std": "1.0", "short_side": "256", "swap_red_blue": "true"},
    ),
}  # fmt: skip


def objects() -> dict[str, dict[str, Any]]:
    titles = re.findall(r"^### (.+)$", PAGE.read_text(), re.MULTILINE)
    return dict(zip(titles, map(yaml.safe_load, blocks(PAGE, "yaml")), strict=True))


def test_the_page_has_these_twelve() -> None:
    assert list(objects()) == list(ROWS)
    assert len(ROWS) == 12
    for title, text in zip(ROWS, blocks(PAGE, "yaml"), strict=True):
        assert len(text.splitlines()) <= 5, title


@contextlib.contextmanager
def published(
    uri: str, files: Files, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    scheme, _, place = uri.partition("://")
    if scheme == "pvc":
        for name, data in files.items():
            (workspace.source / name).write_bytes(data)
        yield
        return
    with hub_serving(lambda hub: hub.hugging_face) as hub:
        hub.files = {(place, name): data for name, data in files.items()}
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield


@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3"])
@pytest.mark.parametrize("title", list(ROWS))
def test_five_lines_serve_it(
    title: str,
    chip: str,
    workspace: Workspace,
    fake_time: FakeTime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row, body = ROWS[title], objects()[title]
    body["accelerator"] = {"chip": chip}
    if chip == "CPU":
        body.pop("conversion", None)  # nothing scales on a CPU but the server
    found = resolve(
        name="net", uid="u", spec=ResNetServiceSpec.model_validate(body), settings=SETTINGS
    )
    order = parse_order(job_spec(namespace="models", resolved=found, settings=SETTINGS))
    with published(found.spec.model.uri, row.files(), workspace, monkeypatch):
        fetched = fetch(order, workspace, clock=fake_time.clock)
    is_hub = found.spec.model.uri.startswith("hf:")
    assert fetched.get("revision") == (COMMIT if is_hub else None)
    told = prepare(order, workspace)
    assert any(f"built {row.built} with" in note for note in told["notes"]) == bool(row.built)
    assert told["outputs"][0]["dims"] == [row.classes]
    check_answers(workspace.model, row)
    if chip != "CPU":
        check_chip(body, row, told, workspace)
        return
    assert (told["inputs"][0]["name"], told["inputs"][0]["dims"]) == row.input
    (tmp_path / "store").mkdir()
    said = publish(order, workspace, store=SharedClaimStore(tmp_path / "store"))
    artifact = Artifact.from_messages(
        {"fetch": fetched, "prepare": told, "publish": said}, chip=chip
    )
    labels = artifact.publisher.labels if artifact.publisher else None
    assert (labels and labels.count) == row.labels
    served = settle(found, artifact)
    revision = revision_config_map(
        service=a_meta(), resolved=served, artifact=artifact, revision="net-0123456789",
        labels=None, settings=SETTINGS,
    )["data"]  # fmt: skip
    assert ("labels.txt" in revision["config.pbtxt"]) == (row.labels is not None)
    assert ("labels.txt" in revision) == (row.labels is not None)
    steps = dict(re.findall(r'key: "(\w+)" value \{ string_value: "([^"]*)"',
                            revision["preprocess.pbtxt"]))  # fmt: skip
    names = ("mean", "std", "short_side", "interpolation", "swap_red_blue")
    assert {name: steps[name] for name in names if name in steps} == row.steps


def check_answers(model: Path, row: Row) -> None:
    """What was made of it answers three pictures in a batch."""
    session = onnxruntime.InferenceSession(str(model))
    (entry,) = session.get_inputs()
    pictures = np.random.default_rng(1).standard_normal((3, *row.input[1])).astype(np.float32)
    (answer,) = session.run(None, {entry.name: pictures})
    assert answer.shape == (3, row.classes)
    assert np.isfinite(answer).all()


def check_chip(body: dict[str, Any], row: Row, told: Any, workspace: Workspace) -> None:
    """ATC is told of the input by its name; AIPP takes mean and std from the publisher."""
    argv = json.loads(workspace.convert_plan.read_text())["argv"]
    name, dims = row.input
    assert f"--input_shape={name}:-1,{','.join(map(str, dims))}" in argv
    assert 11 <= told["opset"] <= 18
    if "conversion" in body:
        assert told["inputs"][0] | {"name": ""} == {
            "name": "", "dataType": "UINT8", "dims": [224, 224, 3], "layout": "NHWC",
        }  # fmt: skip
        text = workspace.aipp_conf.read_text()
        assert "min_chn_0: 123.675" in text
        assert f"var_reci_chn_0: {1 / 58.395:.16f}" in text
