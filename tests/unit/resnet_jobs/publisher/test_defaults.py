"""Where the publisher's facts are used in the Job, and where the object's own words stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.unit.resnet_jobs import models

from resnet_contract.order import JobSpec
from resnet_contract.types import DeclaredTensor, Preprocessing
from resnet_contract.words import Interpolation
from resnet_jobs.base.errors import JobError
from resnet_jobs.base.workspace import Workspace, write_json
from resnet_jobs.commands.prepare import prepare
from resnet_jobs.evaluation.plan import as_floats
from resnet_jobs.pictures import normalise, to_source
from resnet_jobs.publisher.defaults import of_aipp, of_network
from resnet_jobs.publisher.facts import PublisherFacts
from resnet_jobs.publisher.handover import read_facts

Order = Callable[..., JobSpec]
MEAN, STD = (10.0, 20.0, 30.0), (2.0, 4.0, 5.0)
FACTS = PublisherFacts(
    source="config.json", input_size=(8, 8), mean=MEAN, std=STD, crop_pct=0.5,
    interpolation=Interpolation.BICUBIC,
)  # fmt: skip
RGB8: dict[str, Any] = {"pixelFormat": "RGB888", "source": {"height": 8, "width": 8}}


def as_published(pixels: NDArray[Any]) -> NDArray[Any]:
    """What the publisher's own code makes of [H, W, 3]."""
    scaled = (pixels - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return scaled.transpose(2, 0, 1)


def said(workspace: Workspace, facts: PublisherFacts = FACTS) -> None:
    value = {"facts": facts.with_labels(), "notes": []}
    write_json(workspace.publisher, value)


def block(order: Order, **fields: Any) -> Preprocessing:
    found = order(preprocessing={**RGB8, **fields}).preprocessing
    assert found is not None
    return found


AIPP: list[tuple[str, dict[str, Any], PublisherFacts, tuple[Any, ...]]] = [
    ("mean and std", {}, FACTS, (MEAN, STD, False)),
    ("one number is one for each", {}, replace(FACTS, mean=(5.0,), std=(7.0,)),
     ((5.0,) * 3, (7.0,) * 3, False)),
    ("the object's mean stands for both", {"mean": [1, 2, 3]}, FACTS, ((1.0, 2.0, 3.0), (), False)),
    ("the object's std too", {"std": [2, 2, 2]}, FACTS, ((), (2.0, 2.0, 2.0), False)),
    ("nothing is an answer as well", {"mean": [0, 0, 0]}, FACTS, ((0.0,) * 3, (), False)),
    ("BGR", {}, replace(FACTS, swap_red_blue=True), (MEAN, STD, True)),
    ("RGB all the same", {"swapRedBlue": False}, replace(FACTS, swap_red_blue=True),
     (MEAN, STD, False)),
    ("grey pictures have no three numbers", {"pixelFormat": "YUV400"}, FACTS, ((), (), False)),
    ("grey pictures have one", {"pixelFormat": "YUV400"},
     replace(FACTS, mean=(5.0,), std=(7.0,), swap_red_blue=True), ((5.0,), (7.0,), False)),
    ("nobody says anything", {}, PublisherFacts(), ((), (), False)),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "fields", "facts", "want"), AIPP, ids=[r[0] for r in AIPP])
def test_aipp(
    reason: str,
    fields: dict[str, Any],
    facts: PublisherFacts,
    want: tuple[Any, ...],
    order: Order,
) -> None:
    found = of_aipp(block(order, **fields), facts)
    assert (found.mean, found.std, found.swap_red_blue) == want, reason


def test_a_raw_text_says_everything_itself(order: Order) -> None:
    raw = order(preprocessing={"rawAIPP": "aipp_op {}"}).preprocessing
    assert raw is not None
    assert of_aipp(raw, FACTS) is raw


def test_atc_gets_the_publishers_numbers(order: Order, workspace: Workspace) -> None:
    workspace.model.write_bytes(models.classifier().SerializeToString())
    keys = []
    for facts in (FACTS, replace(FACTS, std=(1.0, 1.0, 1.0)), FACTS):
        said(workspace, facts)
        prepare(order(preprocessing=RGB8), workspace)
        keys.append(json.loads(workspace.prepared.read_text())["contentInputs"])
    text = workspace.aipp_conf.read_text()
    assert "min_chn_1: 20.0" in text
    assert "var_reci_chn_1: 0.2500000000000000" in text
    assert keys[0] == keys[2] != keys[1], "another scale is another artifact"


def test_metadata_of_the_file_comes_before_the_hubs(order: Order, workspace: Workspace) -> None:
    model = models.classifier()
    for key, value in {"mean": "[1, 2, 3]", "std": "[4, 5, 6]", "labels": "a,b,c,d,e"}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    data = model.SerializeToString()
    workspace.model.write_bytes(data)
    said(workspace)
    prepare(order(preprocessing=RGB8), workspace)
    assert "min_chn_0: 1.0" in workspace.aipp_conf.read_text()
    facts, _ = read_facts(workspace.publisher)
    assert facts.labels == ("a", "b", "c", "d", "e")
    assert facts.source == (
        "the ONNX file's metadata: labels, mean, std; config.json: inputSize, crop, interpolation"
    )
    assert workspace.model.read_bytes() == data


OPEN: list[tuple[str, tuple[Any, Any], dict[str, Any], list[int] | None]] = [
    ("height and width", ("H", "W"), {}, [3, 8, 8]),
    ("one of both", (8, "W"), {}, [3, 8, 8]),
    ("one that is another already", (16, "W"), {}, None),
    ("the object says it", ("H", "W"), {"inputShapes": {"input": [3, 12, 10]}}, [3, 12, 10]),
    ("nothing is open", (16, 16), {}, [3, 16, 16]),
]


@pytest.mark.parametrize(("reason", "size", "more", "want"), OPEN, ids=[row[0] for row in OPEN])
@pytest.mark.parametrize("chip", ["CPU", "Ascend310P3"])
def test_an_open_size(
    reason: str,
    size: tuple[Any, Any],
    more: dict[str, Any],
    want: list[int] | None,
    chip: str,
    order: Order,
    workspace: Workspace,
) -> None:
    data = models.classifier(size=size).SerializeToString()
    workspace.model.write_bytes(data)
    said(workspace)
    if want is None:
        with pytest.raises(JobError, match=r"write the size, for example spec\.conversion"):
            prepare(order(chip=chip, **more), workspace)
        return
    told = prepare(order(chip=chip, **more), workspace)
    assert told["inputs"][0]["dims"] == want, reason
    by_publisher = "W" in size and not more
    assert any("as its publisher says (config.json)" in n for n in told["notes"]) == by_publisher
    assert workspace.model.read_bytes() == data, "only what is asked of the compiler differs"


def test_an_open_size_with_channels_last(order: Order, workspace: Workspace) -> None:
    nodes = [onnx.helper.make_node("Identity", ["x"], ["y"])]
    model = models.chain(nodes, dims=["N", "H", "W", 3])
    workspace.model.write_bytes(model.SerializeToString())
    said(workspace, replace(FACTS, input_size=(16, 24)))
    assert prepare(order(chip="CPU"), workspace)["inputs"][0]["dims"] == [16, 24, 3]


def put_pictures(workspace: Workspace, count: int) -> list[Any]:
    rng = np.random.default_rng(4)
    workspace.calibration.mkdir(parents=True)
    pictures = [rng.integers(0, 256, (12, 10, 3)).astype(np.uint8) for _ in range(count)]
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(workspace.calibration / f"{number}.png")
    return pictures


CALIBRATION = {"uri": "pvc://data/set", "format": "Images", "batches": 1}


def test_calibration_shows_pictures_as_the_publisher_does(
    order: Order, workspace: Workspace
) -> None:
    """Without AIPP nobody else says how a picture becomes the network's floats."""
    workspace.model.write_bytes(models.classifier(batch=2).SerializeToString())
    pictures = put_pictures(workspace, 2)
    spec = order(batchSizes=[2], quantization={"calibration": CALIBRATION})
    with pytest.raises(JobError, match=r"pictures need spec\.conversion\.preprocessing"):
        prepare(spec, workspace)
    said(workspace)
    prepare(spec, workspace)
    (file,) = workspace.calib_bins.rglob("*.bin")
    got = np.frombuffer(file.read_bytes(), "<f4").reshape(2, 3, 8, 8)
    for picture, tensor in zip(pictures, got, strict=True):
        width, height = 16, 16 * 12 // 10
        resized = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
        top, left = round((height - 8) / 2), round((width - 8) / 2)
        pixels = np.asarray(resized)[top : top + 8, left : left + 8]
        want = as_published(pixels)
        np.testing.assert_allclose(tensor, want, rtol=1e-5)


def test_calibration_behind_aipp_is_framed_as_the_client_frames(
    order: Order, workspace: Workspace
) -> None:
    how = of_aipp(block(order), FACTS)
    assert (how.short_side, how.interpolation) == (16, "Bicubic")
    (picture,) = put_pictures(workspace, 1)
    sent = to_source(picture, how)
    assert sent.shape == (8, 8, 3)
    plain = to_source(picture, block(order))
    assert not np.array_equal(sent, plain)
    bigger = {"source": {"height": 16, "width": 16}}
    assert of_aipp(block(order, **bigger), FACTS).short_side is None, "AIPP cuts it out itself"


@pytest.mark.parametrize(
    ("reason", "dims"), [("grey", (1, 8, 8)), ("channels last", (8, 8, 3)), ("a vector", (128,))]
)
def test_only_pictures_of_three_colours(reason: str, dims: tuple[int, ...]) -> None:
    assert of_network(FACTS, dims) is None, reason
    assert of_network(replace(FACTS, std=()), (3, 8, 8)) is None


PICTURES = {
    "mean": list(MEAN), "std": list(STD), "resizeShortSide": 16, "interpolation": "Bicubic",
}  # fmt: skip


@pytest.mark.parametrize("dims", [(3, 8, 8), (8, 8, 3)])
@pytest.mark.parametrize("kind", ["FP32", "FP16"])
def test_the_gate_scales_for_a_network_of_floats(
    dims: tuple[int, ...], kind: str, order: Order
) -> None:
    """What the operator says of pictures is what calibration would do with the same facts."""
    found = as_floats(order(pictures=PICTURES), DeclaredTensor("input", kind, dims))
    assert found == of_network(FACTS, (3, 8, 8))


def test_the_gate_leaves_bytes_alone(order: Order) -> None:
    spec = order(pictures=PICTURES)
    assert as_floats(spec, DeclaredTensor("input", "UINT8", (8, 8, 3))) is None
    assert as_floats(order(), DeclaredTensor("input", "FP32", (3, 8, 8))) is None
    behind_aipp = order(pictures=PICTURES, preprocessing=RGB8)
    assert as_floats(behind_aipp, DeclaredTensor("input", "FP32", (3, 8, 8))) is None


def test_floats_of_pictures_are_those_of_the_network() -> None:
    how = of_network(FACTS, (3, 8, 8))
    assert how is not None
    picture = np.random.default_rng(5).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    seen = normalise(to_source(picture, how), how, (8, 8))
    want = as_published(picture[4:12, 4:12])
    np.testing.assert_allclose(seen, want, rtol=1e-6)
