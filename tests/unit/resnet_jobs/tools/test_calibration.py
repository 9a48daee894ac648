"""The calibration set: the bytes AMCT gets, and the sentences of a set that does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnet_contract.order import JobSpec
from resnet_jobs import pictures
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.model.inspect import Tensor
from resnet_jobs.tools.calibration import CalibrationSet, folder_name, write_calibration
from resnet_jobs.tools.calibration_files import spread

Order = Callable[..., JobSpec]
INPUT = Tensor("input", "FP32", (3, 8, 8))
PREPROCESSING = {
    "pixelFormat": "RGB888",
    "source": {"height": 10, "width": 10},
    "mean": [129.304, 124.07, 112.434],
    "std": [68.17, 65.392, 70.418],
}


@pytest.fixture
def wish(order: Order) -> Order:
    """`wish(format="Npy", batches=2)`: an order with that calibration, batch size 3."""

    def build(**calibration: Any) -> JobSpec:
        block = {"uri": "pvc://data/set.tar", "format": "Images", "batches": 2, **calibration}
        return order(
            batchSizes=[3],
            preprocessing=PREPROCESSING,
            quantization={"calibration": block},
        )

    return build


def run(
    spec: JobSpec, workspace: Workspace, inputs: tuple[Tensor, ...] = (INPUT,)
) -> CalibrationSet:
    return write_calibration(spec, workspace, inputs, preprocessing=spec.preprocessing)


def put_pictures(folder: Path, count: int) -> list[Path]:
    """Pictures of two classes, each of one colour that tells its number."""
    paths = []
    for index in range(count):
        path = folder / ("cat" if index < count // 2 else "dog") / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 10), (index, 2 * index, 255 - index)).save(path)
        paths.append(path)
    return paths


def bins(workspace: Workspace, name: str = "input") -> list[Path]:
    return sorted((workspace.calib_bins / name).iterdir())


# --- pictures -----------------------------------------------------------------------------------


def test_pictures_become_batches(
    wish: Order, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = put_pictures(workspace.calibration, 30)
    spec = wish()
    made = run(spec, workspace)
    assert made.folders == (workspace.calib_bins / "input",)
    assert (made.data_types, made.batch, made.batches) == (("float32",), 3, 2)
    files = bins(workspace)
    assert [path.name for path in files] == ["000000.bin", "000001.bin"]
    assert [path.stat().st_size for path in files] == [3 * 3 * 8 * 8 * 4] * 2
    values = np.concatenate([np.fromfile(path, np.float32).reshape(3, 3, 8, 8) for path in files])
    assert spec.preprocessing is not None
    chosen = [paths[index] for index in (0, 5, 10, 15, 20, 25)]
    for value, path in zip(values, chosen, strict=True):
        picture = pictures.to_source(pictures.decode(path.read_bytes()), spec.preprocessing)
        np.testing.assert_array_equal(
            value, pictures.normalise(picture, spec.preprocessing, (8, 8))
        )
    assert "calibration batch 2 of 2 written (100 %)" in capsys.readouterr().out


def test_the_numbers_of_the_reference(wish: Order, workspace: Workspace) -> None:
    """CIFAR-100's mean and deviation on one colour, computed by hand: red 200 in a red plane."""
    workspace.calibration.mkdir()
    for index in range(6):
        Image.new("RGB", (10, 10), (200, 100, index)).save(workspace.calibration / f"{index}.bmp")
    run(wish(), workspace)
    first = np.fromfile(bins(workspace)[0], np.float32).reshape(3, 3, 8, 8)[0]
    want = [(200 - 129.304) / 68.17, (100 - 124.07) / 65.392, (0 - 112.434) / 70.418]
    np.testing.assert_allclose(first[:, 4, 4], want, rtol=1e-6)


def test_a_long_set_reports_every_tenth(
    wish: Order, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    put_pictures(workspace.calibration, 120)
    run(wish(batches=40), workspace)
    lines = [line for line in capsys.readouterr().out.splitlines() if "written" in line]
    assert len(lines) == 10
    assert lines[0] == "calibration batch 4 of 40 written (10 %)"


def test_the_digest_tells_sets_apart(wish: Order, workspace: Workspace) -> None:
    paths = put_pictures(workspace.calibration, 6)
    first = run(wish(), workspace).sha256
    assert run(wish(), workspace).sha256 == first
    Image.new("RGB", (12, 10), (9, 9, 9)).save(paths[3])
    assert run(wish(), workspace).sha256 != first


def test_shadows_and_other_files_are_no_pictures(wish: Order, workspace: Workspace) -> None:
    paths = put_pictures(workspace.calibration, 6)
    (paths[0].parent / "._000.png").write_bytes(b"the finder's notes")
    (workspace.calibration / "labels.txt").write_text("0 1")
    (workspace.calibration / "folder.png").mkdir()
    run(wish(), workspace)


@pytest.mark.parametrize(("count", "want"), [(3, [0, 1, 2]), (2, [0, 1]), (1, [0])])
def test_spread(count: int, want: list[int]) -> None:
    assert spread([0, 1, 2], count) == want


def test_spread_reaches_every_class() -> None:
    classes = [index // 100 for index in range(1000)]
    assert spread(classes, 10) == list(range(10))


# --- raw batches --------------------------------------------------------------------------------


def test_raw_batches_are_used_as_they_are(wish: Order, workspace: Workspace) -> None:
    folder = workspace.calibration / "top"
    folder.mkdir(parents=True)
    data = [np.full(576, index, np.float32).tobytes() for index in range(3)]
    for index, content in enumerate(data):
        (folder / f"batch_{index}.bin").write_bytes(content)
    made = run(wish(format="RawBatches"), workspace)
    assert [path.read_bytes() for path in bins(workspace)] == data[:2]
    assert made.batches == 2


def test_two_inputs_have_a_folder_each(wish: Order, workspace: Workspace) -> None:
    inputs = (Tensor("a", "FP32", (4, 8, 8)), Tensor("b", "FP16", (4,)))
    for name, size in (("a", 3 * 256 * 4), ("b", 3 * 4 * 2)):
        (workspace.calibration / name).mkdir(parents=True)
        for index in range(2):
            (workspace.calibration / name / f"{index}.bin").write_bytes(bytes([index] * size))
    made = run(wish(format="RawBatches"), workspace, inputs)
    assert made.data_types == ("float32", "float16")
    assert [path.name for path in made.folders] == ["a", "b"]
    assert bins(workspace, "b")[1].read_bytes() == bytes([1] * 24)


# --- arrays -------------------------------------------------------------------------------------


def save(folder: Path, name: str, array: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if name.endswith(".npz"):
        np.savez(folder / name, **(array if isinstance(array, dict) else {"images": array}))
    else:
        np.save(folder / name, array)


@pytest.mark.parametrize("name", ["set.npy", "set.npz"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_an_array_of_inputs(name: str, kind: Any, wish: Order, workspace: Workspace) -> None:
    array = np.arange(7 * 192, dtype=kind).reshape(7, 3, 8, 8)
    save(workspace.calibration, name, array)
    run(wish(format="Npy"), workspace)
    got = np.concatenate([np.fromfile(path, np.float32) for path in bins(workspace)])
    np.testing.assert_array_equal(got, array[:6].astype(np.float32).ravel())


def test_an_array_of_pictures_goes_through_preprocessing(wish: Order, workspace: Workspace) -> None:
    array = np.random.default_rng(0).integers(0, 256, (6, 10, 10, 3), dtype=np.uint8)
    save(workspace.calibration, "set.npy", array)
    spec = wish(format="Npy")
    run(spec, workspace)
    assert spec.preprocessing is not None
    got = np.fromfile(bins(workspace)[1], np.float32).reshape(3, 3, 8, 8)[2]
    np.testing.assert_array_equal(got, pictures.normalise(array[5], spec.preprocessing, (8, 8)))


def test_two_inputs_have_an_array_each(wish: Order, workspace: Workspace) -> None:
    inputs = (Tensor("a", "FP32", (4, 8, 8)), Tensor("b", "FP32", (4,)))
    arrays = {"a": np.ones((6, 4, 8, 8), np.float32), "b": np.zeros((6, 4), np.float32)}
    save(workspace.calibration, "set.npz", arrays)
    run(wish(format="Npy"), workspace, inputs)
    assert bins(workspace, "b")[0].stat().st_size == 3 * 4 * 4


# --- refusals -----------------------------------------------------------------------------------

Fill = Callable[[Path], object]


def broken_picture(folder: Path) -> None:
    put_pictures(folder, 6)[4].write_bytes(b"<html>")


def save_two(folder: Path) -> None:
    save(folder, "a.npy", np.zeros(1))
    save(folder, "b.npy", np.zeros(1))


REFUSED: list[tuple[str, dict[str, Any], Fill, str]] = [
    (
        "too few pictures, with both numbers",
        {},
        lambda folder: put_pictures(folder, 5),
        "has 5 pictures, but batches 2 of batch size 3 need 6 different ones",
    ),
    ("no picture at all", {}, lambda folder: folder.mkdir(), "0 pictures (.jpg, .png and so on)"),
    (
        "a broken picture is named",
        {},
        broken_picture,
        "the calibration picture dog/004.png cannot be used: no picture of a known kind",
    ),
    (
        "raw batches of another size",
        {"format": "RawBatches", "batches": 1},
        lambda folder: save_bytes(folder / "0.bin", 1152),
        (
            '0.bin has 1152 bytes; a batch for input "input" [3, 3, 8, 8] FP32 has 2304: '
            "write one whole batch into each file"
        ),
    ),
    (
        "too few raw batches",
        {"format": "RawBatches"},
        lambda folder: save_bytes(folder / "0.bin", 2304),
        "has 1 .bin files and batches is 2",
    ),
    (
        "an array of another shape",
        {"format": "Npy"},
        lambda folder: save(folder, "a.npy", np.zeros((9, 8, 8, 3), np.float32)),
        'is float32 [9, 8, 8, 3]; input "input" needs float32 [n, 3, 8, 8]',
    ),
    (
        "an array too short",
        {"format": "Npy"},
        lambda folder: save(folder, "a.npy", np.zeros((5, 3, 8, 8), np.float32)),
        "has 5 samples, but batches 2 of batch size 3 need 6",
    ),
    (
        "two arrays",
        {"format": "Npy"},
        save_two,
        "needs one .npy or .npz file; the set has 2: a.npy, b.npy",
    ),
    (
        "two arrays in one file",
        {"format": "Npy"},
        lambda folder: save(folder, "a.npz", {"x": np.zeros(1), "y": np.zeros(1)}),
        "a.npz holds 2 arrays (x, y)",
    ),
    (
        "a pickle is never loaded",
        {"format": "Npy"},
        lambda folder: save(folder, "a.npy", np.array([{"a": 1}], dtype=object)),
        "a.npy is no NumPy array",
    ),
    (
        "no array but a text",
        {"format": "Npy"},
        lambda folder: save_bytes(folder / "a.npz", 40),
        "a.npz is no NumPy array",
    ),
]


def save_bytes(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


@pytest.mark.parametrize(("why", "changes", "fill", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refused(
    why: str, changes: dict[str, Any], fill: Fill, want: str, wish: Order, workspace: Workspace
) -> None:
    fill(workspace.calibration)
    with pytest.raises(JobError) as caught:
        run(wish(**changes), workspace)
    assert caught.value.reason == Reason.INVALID_SPEC, why
    assert want in caught.value.message


MISFITS: list[tuple[str, dict[str, Any], tuple[Tensor, ...], str]] = [
    (
        "two inputs cannot both be pictures",
        {},
        (INPUT, Tensor("b", "FP32", (4,))),
        "the model has 2 (input, b)",
    ),
    (
        "channels first is what ONNX has",
        {},
        (Tensor("input", "FP32", (8, 8, 3)),),
        'gives 3 channel(s), but input "input" is [8, 8, 3]',
    ),
    (
        "grey for a network of colours",
        {"pixelFormat": "YUV400", "mean": [1.5], "std": [2]},
        (INPUT,),
        "pixelFormat YUV400 gives 1 channel(s)",
    ),
    (
        "a crop of another size",
        {"crop": {"height": 6, "width": 8}},
        (INPUT,),
        'gives pictures of 6x8 out of 10x10, but input "input" is [3, 8, 8]',
    ),
    (
        "a source smaller than the network",
        {"source": {"height": 4, "width": 8}},
        (INPUT,),
        "out of 4x8",
    ),
]


@pytest.mark.parametrize(("why", "changes", "inputs", "want"), MISFITS, ids=[m[0] for m in MISFITS])
def test_pictures_that_do_not_fit(
    why: str,
    changes: dict[str, Any],
    inputs: tuple[Tensor, ...],
    want: str,
    order: Order,
    workspace: Workspace,
) -> None:
    put_pictures(workspace.calibration, 6)
    block = {"uri": "pvc://data/set.tar", "format": "Images", "batches": 2}
    spec = order(
        batchSizes=[3],
        preprocessing={**PREPROCESSING, **changes},
        quantization={"calibration": block},
    )
    with pytest.raises(JobError) as caught:
        run(spec, workspace, inputs)
    assert want in caught.value.message, why


def test_pictures_need_a_preprocessing_block(wish: Order, workspace: Workspace) -> None:
    put_pictures(workspace.calibration, 6)
    with pytest.raises(JobError) as caught:
        write_calibration(wish(), workspace, (INPUT,), preprocessing=None)
    assert "need spec.conversion.preprocessing" in caught.value.message


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("input", "input"),
        ("x.1_a-b", "x.1_a-b"),
        ("a/b", "0_a_b"),
        ("../..", "0__.."),
        ("", "0_"),
        ("input:0", "0_input_0"),
    ],
)
def test_folder_names_stay_inside(name: str, want: str) -> None:
    assert folder_name(name, 0) == want
