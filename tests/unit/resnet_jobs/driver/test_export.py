"""The export of PyTorch files, by the torch that the image `export` has: Debian's.

driver/export.py runs as it does in the container, with the system's Python; what it leaves goes
on to `prepare`. Nothing here needs torch in the tests' own Python.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from tests.support.needs import SYSTEM_PYTHON, need_torch
from tests.unit.resnet_jobs import models, torch_fork

from resnet_contract.networks import TORCHVISION as BUILT_IN_PODS
from resnet_jobs.base.errors import JobError
from resnet_jobs.base.workspace import Workspace, install_driver
from resnet_jobs.commands.prepare import prepare
from resnet_jobs.driver import export as driver
from resnet_jobs.driver.checkpoint import PLANS, MisfitError, check_fits, guess, strip_prefix
from resnet_jobs.driver.export_inputs import network_input, script_inputs
from resnet_jobs.driver.message import DriverError
from resnet_jobs.driver.tool import Run
from resnet_jobs.model.export_check import check_export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from resnet_contract.order import JobSpec

NETWORK = {"architecture": "resnet18", "classes": 5}
SMALL = {"input": [3, 64, 64]}


class Container:
    """The container `export`: `run` is its termination message and exit status."""

    def __init__(self, scratch: Path, folder: Path) -> None:
        self.workspace = Workspace(scratch=scratch, source=scratch)
        self.folder = folder
        self.log = ""
        install_driver(self.workspace)
        self.workspace.fetched.parent.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, **job: Any) -> tuple[dict[str, Any], int]:
        self.workspace.fetched.unlink(missing_ok=True)
        shutil.copyfile(self.folder / name, self.workspace.fetched)
        return self._run(job)

    def _run(self, job: dict[str, Any]) -> tuple[dict[str, Any], int]:
        message = self.workspace.scratch / "message"
        script = self.workspace.driver.with_name("export.py")
        environment = {
            "PATH": "/usr/bin:/bin",
            "RESNET_JOB": json.dumps(job),
            "RESNET_SCRATCH": str(self.workspace.scratch),
            "RESNET_TERMINATION_LOG": str(message),
        }
        done = subprocess.run(
            [SYSTEM_PYTHON, "-B", str(script)], env=environment, capture_output=True, text=True
        )
        self.log = done.stdout + done.stderr
        return json.loads(message.read_text()), done.returncode


class Process(Container):
    """The same from the inside: its process torch_export.py is forked where torch is imported."""

    def __init__(self, scratch: Path, folder: Path, server: Path) -> None:
        super().__init__(scratch, folder)
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "TORCH_FORK": str(server),
            "OMP_NUM_THREADS": "1",
            "SCRIPT": str(self.workspace.driver.with_name("torch_export.py")),
        }

    def _run(self, job: dict[str, Any]) -> tuple[dict[str, Any], int]:
        try:
            return driver.export(job, str(self.workspace.scratch), self.environment), 0
        except DriverError as error:
            return error.payload, error.exit_code


@pytest.fixture(scope="module")
def torch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a process that has torch; see torch_fork.py."""
    need_torch()
    path = tmp_path_factory.mktemp("torch") / "socket"
    with subprocess.Popen(
        [SYSTEM_PYTHON, "-B", torch_fork.__file__, path], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield path
        server.terminate()


@pytest.fixture
def process(
    tmp_path: Path,
    files: tuple[Path, dict[str, Any]],
    torch_server: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Process:
    monkeypatch.setattr(driver, "SCRIPT", torch_fork.__file__)
    return Process(tmp_path / "process", files[0], torch_server)


@pytest.fixture
def container(tmp_path: Path, files: tuple[Path, dict[str, Any]]) -> Container:
    return Container(tmp_path / "scratch", files[0])


# --- the networks are torchvision's -------------------------------------------------------------

# Names and shapes of all weights (sha256 of sorted "name shape" lines), parameters, and the first
# scores for torch_files.fill's weights, by torchvision 0.14.1; ours differed by 0.0 for all ten.
TORCHVISION: dict[str, tuple[str, int, list[float] | None]] = {
    "resnet18": ("6cb439dd8789c9fe", 11689512, [-1.36073, 2.60188, 4.49604, 3.10107]),
    "resnet34": ("306c4e9d557830ce", 21797672, None),
    "resnet50": ("98fcefba1b06f509", 25557032, [-1.0302, -0.30351, 1.94439, -0.65782]),
    "resnet101": ("1fee89e2d6e6dad6", 44549160, None),
    "resnet152": ("5ae8a587e3be2fd0", 60192808, None),
    "resnext50_32x4d": ("068775a8790c1d34", 25028904, [-1.16576, -1.87672, 4.61084, -3.37429]),
    "resnext101_32x8d": ("f1a059a4f2e92c92", 88791336, None),
    "resnext101_64x4d": ("66bc26166e9c8bc6", 83455272, None),
    "wide_resnet50_2": ("1f3be5b53e462095", 68883240, [0.39016, -2.44201, 3.96434, -1.76893]),
    "wide_resnet101_2": ("688089947e3db4cc", 126886696, None),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", TORCHVISION)
def test_our_networks_are_torchvisions(files: tuple[Path, dict[str, Any]], name: str) -> None:
    names, parameters, scores = TORCHVISION[name]
    found = files[1][name]
    assert (found["names"], found["parameters"]) == (names, parameters)
    if scores is not None:
        np.testing.assert_allclose(found["scores"], scores, atol=2e-4)


def test_every_architecture_of_the_spec_is_there() -> None:
    assert {entry.value for entry in BUILT_IN_PODS} == set(PLANS) == set(TORCHVISION)


# --- other files ---------------------------------------------------------------------------------

OTHER_FILES = [
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull", "an LFS pointer"),
    (b"<!DOCTYPE html><html>", "a web page", "a login page"),
    (b"\x08\x07\x12\x07pytorch\x1a\x041.13", "format: ONNX", "an ONNX model"),
    (b"hello", "no PyTorch file", "anything else"),
    (b"", "no PyTorch file", "nothing"),
    (b"PK\x03\x04 a zip", "none of PyTorch's", "another archive"),
    (b"\x80\x02}q\x00.", "format: PyTorch", "another pickle"),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("content", "words", "why"), OTHER_FILES)
def test_another_kind_of_file(process: Process, content: bytes, words: str, why: str) -> None:
    process.folder = process.workspace.scratch
    (process.folder / "file").write_bytes(content)
    payload, code = process.run("file", format="TorchScript", inputShapes=SMALL)
    assert (code in (64, 65), words in payload["message"]) == (True, True), (why, payload)


# --- TorchScript --------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_traced_network(process: Process, order: Callable[..., JobSpec]) -> None:
    job = {"format": "TorchScript", "inputShapes": {"picture": [3, 8, 8]}}
    payload, code = process.run("traced.pt", **job)
    assert (code, payload["ok"]) == (0, True), process.log
    message = prepare(order(**job), process.workspace)
    assert message["inputs"] == [{"name": "picture", "dataType": "FP32", "dims": [3, 8, 8]}]


@pytest.mark.thorough
def test_two_inputs_and_two_outputs(process: Process) -> None:
    inputs = [{"name": "extra", "dataType": "FP32", "dims": [3]},
              {"name": "image", "dataType": "FP32", "dims": [3, 8, 8]}]  # fmt: skip
    outputs = [{"name": name, "dataType": "FP32", "dims": [3]} for name in ("sum", "double")]
    payload, code = process.run(
        "pair.pt", format="TorchScript", declaredInputs=inputs, declaredOutputs=outputs
    )
    assert (code, payload["ok"]) == (0, True), process.log
    graph = onnx.load(process.workspace.model).graph
    assert [value.name for value in graph.input] == ["image", "extra"]
    assert [value.name for value in graph.output] == ["sum", "double"]
    check_export(process.workspace)


@pytest.mark.thorough
def test_a_script_for_one_picture_stays_fixed(
    process: Process, order: Callable[..., JobSpec]
) -> None:
    """Exported as it is; prepare then opens the batch, or refuses, as with every such model."""
    job = {"format": "TorchScript", "inputShapes": {"input": [3, 8, 8]}}
    payload, code = process.run("fixed.pt", **job)
    assert (code, payload["ok"]) == (0, True), process.log
    shape = onnx.load(process.workspace.model).graph.input[0].type.tensor_type.shape
    assert shape.dim[0].dim_value == 1
    notes = prepare(order(**job), process.workspace)["notes"]
    assert "opened the batch dimension, fixed to 1 in the file" in notes


REFUSED_SCRIPTS: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "traced.pt",
        {},
        "spec.model.inputs: [{name: x, dataType: FP32, dims: [3, 224, 224]}]",
        "a script has no sizes in it",
    ),
    ("resnet18.pth", {"inputShapes": SMALL}, "format: PyTorch", "weights are no script"),
    ("words.pt", {"inputShapes": SMALL}, "answers with a dict", "not a tensor"),
    ("traced.pt", {"inputShapes": {"x": [4, 8, 8]}}, "does not run on Nx4x8x8", "wrong channels"),
    ("cut.pth", {"inputShapes": SMALL}, "damaged or cut-off", "half a download"),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "job", "words", "why"), REFUSED_SCRIPTS)
def test_a_script_is_refused(
    process: Process, name: str, job: dict[str, Any], words: str, why: str
) -> None:
    payload, code = process.run(name, format="TorchScript", **job)
    assert words in payload["message"], (why, payload)
    assert code in (64, 65)


# --- sentences without torch --------------------------------------------------------------------

RESNET18 = {
    "conv1.weight": (64, 3, 7, 7),
    "bn1.weight": (64,),
    **{
        f"layer{stage}.{block}.conv{number}.weight": (32 << stage, 32 << stage, 3, 3)
        for stage in (1, 2, 3, 4)
        for block in (0, 1)
        for number in (1, 2)
    },
    "bn1.num_batches_tracked": (),
    "fc.weight": (5, 512),
}


def changed(**changes: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
    merged = {**RESNET18, **{key.replace("__", "."): value for key, value in changes.items()}}
    return {key: value for key, value in merged.items() if value is not None}


MISFITS = [
    (
        {f"backbone.{key}": value for key, value in RESNET18.items()},
        "remove serving.runtime",
        "mmcls",
    ),
    ({f"model.{key}": value for key, value in RESNET18.items()}, '"model."', "a wrapper"),
    (changed(conv1__weight=(64, 3, 3, 3)), "[64, 3, 3, 3]", "changed for small pictures"),
    (changed(fc__weight=(10, 512)), "classes: 10", "other classes"),
    (changed(fc__weight=(10, 2048)), "fc.weight has the shape", "another head altogether"),
    (changed(bn1__weight=None), "1 missing (bn1.weight)", "not whole"),
    (changed(head__w=(3,), head__b=(3,), x=(3,)), "3 unexpected (head.w, head.b, …)", "more"),
    ({"a": (1,), "b": (2,)}, "missing (conv1.weight, bn1.weight, …), 2 unexpected", "other"),
]


@pytest.mark.parametrize(("have", "words", "why"), MISFITS)
def test_weights_that_do_not_fit(have: dict[str, tuple[int, ...]], words: str, why: str) -> None:
    with pytest.raises(MisfitError) as caught:
        check_fits(have, RESNET18, "resnet18")
    assert words in str(caught.value), why
    assert len(str(caught.value)) <= 300


def test_weights_that_fit() -> None:
    check_fits(RESNET18, RESNET18, "resnet18")
    check_fits(changed(bn1__num_batches_tracked=None), RESNET18, "resnet18")
    assert guess(RESNET18) == "resnet18"
    assert guess({"a": (1,)}) is None


def test_strip_prefix() -> None:
    assert strip_prefix({"m.a": 1, "b": 2}, "m.") == {"a": 1, "b": 2}
    assert strip_prefix({"m.a": 1}, None) == {"m.a": 1}
    with pytest.raises(MisfitError, match=r"no name begins so; the first is m\.a"):
        strip_prefix({"m.a": 1}, "module.")


BAD_INPUTS: list[tuple[dict[str, Any], str, str]] = [
    ({"inputShapes": {"a": [3, 8, 8], "b": [3]}}, "one input, but the spec names a, b", "two"),
    ({"inputShapes": {"input": [1, 8, 8]}}, "pictures of 3 channel", "grey pictures"),
    ({"inputShapes": {"input": [3, 8]}}, "pictures of 3 channel", "no picture"),
    (
        {"declaredInputs": [{"name": "input", "dataType": "UINT8", "dims": [8, 8, 3]}]},
        '"input" is UINT8',
        "the served type, not the network's",
    ),
    (
        {"declaredInputs": [{"name": "input", "dataType": "FP16", "dims": [3, 8, 8]}]},
        "declare it as FP32",
        "half precision",
    ),
]


@pytest.mark.parametrize(("job", "words", "why"), BAD_INPUTS)
def test_inputs_of_a_network_are_refused(job: dict[str, Any], words: str, why: str) -> None:
    with pytest.raises(MisfitError, match=words) as caught:
        network_input(job)
    assert caught.value.reason == "InvalidSpec", why


class Argument:
    """As torch's, of a script's forward()."""

    def __init__(self, name: str, default: bool = False) -> None:
        self.name = name
        self.has_default_value = lambda: default


def test_inputs_of_a_script_go_by_name() -> None:
    arguments = [Argument("self"), Argument("a"), Argument("b", default=True)]
    sizes = {"b": [1], "a": [3, 8, 8]}
    assert [e.name for e in script_inputs({"inputShapes": sizes}, arguments)] == ["a", "b"]
    assert [e.name for e in script_inputs({"inputShapes": {"x": [3]}}, arguments)] == ["x"]
    with pytest.raises(MisfitError, match="has the arguments a, b"):
        script_inputs({"inputShapes": {"x": [3], "y": [3]}}, arguments)
    with pytest.raises(MisfitError, match=r"takes 1 input\(s\) \(a, b\)"):
        script_inputs({"inputShapes": {"x": [1], "y": [1], "z": [1]}}, arguments)


# --- how it ends --------------------------------------------------------------------------------

ENDS = [
    (Run(-15, [], timed_out=True), {}, "ConversionTimeout", 70, "within 60 seconds"),
    (Run(-9, []), {}, "OutOfMemory", 85, "limits.memory"),
    (Run(1, [], oom_kills=1), {}, "OutOfMemory", 85, "limits.memory"),
    (Run(-4, []), {}, "ConversionFailed", 69, "newer processors"),
    (Run(-11, []), {}, "ConversionFailed", 82, "signal 11"),
    (Run(1, ["Traceback", "KeyError: 'x'"]), {}, "ConversionFailed", 69, "KeyError: 'x'"),
    (Run(0, []), {}, "ConversionFailed", 69, "status 0: it printed nothing"),
    (Run(65, ["log"]), {"ok": False, "reason": "UnsupportedModel", "message": "no"},
     "UnsupportedModel", 65, "no"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "answer", "reason", "code", "words"), ENDS)
def test_the_end_is_explained(
    run: Run, answer: dict[str, Any], reason: str, code: int, words: str
) -> None:
    with pytest.raises(DriverError) as caught:
        driver.explain(run, answer, 60)
    assert (caught.value.payload["reason"], caught.value.exit_code) == (reason, code)
    assert words in caught.value.payload["message"]


@pytest.mark.thorough
def test_an_image_without_torch(container: Container, tmp_path: Path) -> None:
    """This interpreter has none."""
    container.workspace.fetched.write_bytes(b"x")
    environment = {"PYTHONPATH": "", "RESNET_SCRATCH": str(container.workspace.scratch)}
    with pytest.raises(DriverError, match="exportImage must name an image") as caught:
        driver.export({"format": "PyTorch"}, str(container.workspace.scratch), environment)
    assert caught.value.exit_code == 69


def test_nothing_was_fetched(container: Container) -> None:
    with pytest.raises(DriverError, match="fetched file is missing"):
        driver.export({}, str(container.workspace.scratch), {})


def test_the_time_limit_is_kept(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    container.workspace.fetched.write_bytes(b"x")
    sleeper = container.workspace.scratch / "sleeper.py"
    sleeper.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(driver, "SCRIPT", str(sleeper))
    with pytest.raises(DriverError, match="did not end within 1 seconds"):
        driver.export({"timeoutSeconds": 1}, str(container.workspace.scratch), {})


# --- ONNX Runtime against PyTorch ---------------------------------------------------------------


def sampled(workspace: Workspace, *, factor: float = 1.0, dims: list[int] | None = None) -> None:
    """A model that doubles, and PyTorch's alleged answer to one input."""
    workspace.model.write_bytes(
        models.chain([onnx.helper.make_node("Add", ["x", "x"], ["y"])]).SerializeToString()
    )
    folder = workspace.scratch / "export"
    folder.mkdir()
    values = np.arange(1, 7, dtype="<f4")
    values.tofile(folder / "input_0.bin")
    (values * 2 * factor).astype("<f4").tofile(folder / "output_0.bin")
    shape = {"dims": dims or [2, 3]}
    sample = {
        "inputs": [{"name": "x", "file": "input_0.bin", "dims": [2, 3]}],
        "outputs": [{"name": "y", "file": "output_0.bin", **shape}],
    }
    (folder / "sample.json").write_text(json.dumps(sample))


DIFFERENCES: list[tuple[dict[str, Any], str | None, str]] = [
    ({}, None, "the same"),
    ({"factor": 1.0001}, None, "rounding"),
    ({"factor": 1.01}, "up to 0.12 at scores up to 12.1", "one percent is no rounding"),
    ({"factor": -1.0}, "cosine similarity -1.0000", "the opposite"),
    ({"dims": [6]}, "[2, 3] in ONNX Runtime, but [6] in PyTorch", "another shape"),
    ({"factor": float("inf")}, "infinite numbers", "nothing to compare with"),
]


@pytest.mark.parametrize(("change", "words", "why"), DIFFERENCES)
def test_answers_are_compared(
    workspace: Workspace, change: dict[str, Any], words: str | None, why: str
) -> None:
    sampled(workspace, **change)
    if words is None:
        check_export(workspace)
        return
    with pytest.raises(JobError) as caught:
        check_export(workspace)
    assert words in caught.value.message, why


def test_a_cut_off_sample_is_another_attempts_matter(workspace: Workspace) -> None:
    sampled(workspace)
    (workspace.scratch / "export" / "output_0.bin").write_bytes(b"1234")
    with pytest.raises(JobError) as caught:
        check_export(workspace)
    assert caught.value.exit_code == 87


@pytest.mark.thorough
def test_the_driver_needs_no_package() -> None:
    """Loaded as the folder of scripts it is in the container, by another Python than ours."""
    code = "import driver.export, driver.checkpoint, driver.export_inputs, driver.torch_source"
    subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=Path(driver.__file__).parents[1], check=True
    )
