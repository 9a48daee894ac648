"""benchmark.py: ais_bench's numbers and lines, over a pyACL in memory and over ONNX Runtime."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.unit.resnet_runtime.fake_acl import FakeAcl, Om

from resnet_runtime import benchmark, toolkit
from resnet_runtime.pbtxt import parse
from resnet_runtime.settings import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable

    Message = Callable[[], dict[str, Any]]

DIGITS = Path(__file__).parents[3] / "samples/digits/digits-resnet.onnx"
CONFIG = """
name: "digits"  # a comment
backend: "python"
max_batch_size: 8
input [ {{ name: "input" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 32, 32 ] }} ]
output {{ name: "logits" data_type: TYPE_FP32 dims: 10 label_filename: 'labels.txt' }}
version_policy {{ specific {{ versions: [ 1 ] }} }}
parameters {{ key: "model_file" value {{ string_value: "{file}" }} }}
parameters: <
  key: "batch_sizes"
  value: < string_value: "1," "8" >
>
parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}
"""


def repository(folder: Path, *, file: Path, key: str, value: str) -> Path:
    """Two models: an ensemble has no file, and is passed over."""
    for name, text in (
        ("digits", CONFIG.format(file=file, key=key, value=value)),
        ("an-ensemble", 'input { name: "a" data_type: TYPE_UINT8 dims: -1 } output []'),
    ):
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / "config.pbtxt").write_text(text)
    return folder / "models"


@pytest.fixture
def on_chip(tmp_path: Path) -> Path:
    (tmp_path / "model.om").touch()
    return repository(tmp_path, file=tmp_path / "model.om", key="soc_version", value="Ascend310P3")


def digits_om(*batches: int) -> Om:
    return Om([("input", np.uint8, [2, 2, 3])], [("logits", np.float32, [10])], list(batches))


class Ticks:
    """A clock on which every execution takes one millisecond more than the one before."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0

    def __call__(self) -> float:
        self.calls += 1
        # Calls: one at the start of a profile, then before and after each execution.
        if self.calls % 2:
            self.now += self.calls // 2 / 1000
        return self.now


@pytest.mark.parametrize("batches", [(24,), (1, 2, 4, 8)])
def test_one_warm_up_and_n_executions_for_each_profile(
    on_chip: Path, monkeypatch: pytest.MonkeyPatch, batches: tuple[int, ...]
) -> None:
    acl = FakeAcl(digits_om(*batches))
    monkeypatch.setitem(sys.modules, "acl", acl)
    result = benchmark.benchmark(str(on_chip), loops=5)
    assert list(result["profiles"]) == [str(size) for size in batches]
    assert acl.calls.count("mdl.execute") == len(batches) * (1 + 5)
    assert acl.totals.tolist() == [0] * batches[-1], "the input is zeros, not what lay there"
    assert (result["runtime"], result["chip"]) == ("AscendOM", "Ascend310P3")
    assert sorted(acl.freed) == sorted(acl.memory), "the chip is Triton's now"
    assert acl.calls[-1] == "finalize"


def test_only_the_execution_is_timed(on_chip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acl = FakeAcl(digits_om(24))
    monkeypatch.setitem(sys.modules, "acl", acl)
    clock = Ticks()
    result = benchmark.benchmark(str(on_chip), loops=4, clock=clock)
    assert result["profiles"]["24"] == pytest.approx(
        {
            "min": 1.0,
            "max": 4.0,
            "mean": 2.5,
            "median": 2.5,
            "p99": 3.97,
            "throughput": 1000 * 24 / 2.5,
            "count": 4,
        }
    )


def test_the_lines_are_those_of_ais_bench(capsys: pytest.CaptureFixture[str]) -> None:
    """Read with the expressions that people's own scripts use."""
    result = benchmark.summarise([2.0, 4.0], batch=24)
    benchmark.print_summary(result, batch=24)
    printed = capsys.readouterr().out
    (numbers,) = re.findall(r"NPU_compute_time \(ms\): (.*)", printed)
    read = dict(part.split(" = ") for part in numbers.split(", "))
    assert {key: float(value) for key, value in read.items()} == pytest.approx(
        {"min": 2, "max": 4, "mean": 3, "median": 3, "percentile(99%)": 3.98}
    )
    assert float(re.findall(r"throughput[^:]*:\s*([0-9.eE+-]+)", printed)[-1]) == 8000
    assert "throughput 1000*batchsize.mean(24)/NPU_compute_time.mean(3.0): 8000.0" in printed


@pytest.mark.parametrize(
    ("room", "memory"),
    [({1: (900, 1000)}, 300), (None, None), ({1: (0, 0)}, None)],
    ids=["it tells", "a CANN that cannot be asked", "a chip that says nothing"],
)
def test_what_the_loaded_model_takes_is_measured(
    on_chip: Path, monkeypatch: pytest.MonkeyPatch, room: Any, memory: int | None
) -> None:
    monkeypatch.setitem(sys.modules, "acl", FakeAcl(digits_om(24), room=room, need=(200, 100)))
    output = on_chip.parent / "benchmark.json"
    assert benchmark.main([f"--repository={on_chip}", f"--output={output}", "--loops=1"]) == 0
    assert json.loads(output.read_text())["memoryBytes"] == memory


def test_onnx_runtime_is_timed_the_same_way(tmp_path: Path) -> None:
    models = repository(tmp_path, file=DIGITS, key="intra_op_threads", value="1")
    output = tmp_path / "eval/benchmark.json"
    arguments = [f"--repository={models}", f"--output={output}", "--loops=3"]
    assert benchmark.main(arguments) == 0
    result = json.loads(output.read_text())
    assert (result["runtime"], result["loops"]) == ("ONNXRuntime", 3)
    assert list(result["profiles"]) == ["1", "8"]
    for batch, found in result["profiles"].items():
        assert found["count"] == 3
        assert 0 < found["min"] <= found["median"] <= found["p99"] <= found["max"]
        assert found["throughput"] == pytest.approx(1000 * int(batch) / found["mean"])


@pytest.mark.parametrize(
    ("soc", "fail", "reason", "code", "words"),
    [
        ("Ascend910B4", {}, "ChipMismatch", None, "the pod runs on Ascend910B4"),
        ("Ascend310P3", {"rt.set_device": 507033}, "ModelLoadFailed", "507033", "driver mount"),
        ("Ascend310P3", {"mdl.execute": 507011}, "ModelLoadFailed", "507011", "failed to execute"),
        ("Ascend310P3", {"rt.malloc": 207001}, "OutOfMemory", "207001", "memory is full"),
    ],
)
def test_a_failure_is_told_like_a_failed_load(
    on_chip: Path,
    left_behind: Message,
    monkeypatch: pytest.MonkeyPatch,
    soc: str,
    fail: dict[str, int],
    reason: str,
    code: str | None,
    words: str,
) -> None:
    acl = FakeAcl(digits_om(24), soc=soc, fail=fail)
    monkeypatch.setitem(sys.modules, "acl", acl)
    output = on_chip.parent / "benchmark.json"
    assert benchmark.main([f"--repository={on_chip}", f"--output={output}"]) == 1
    message = left_behind()
    assert (message["reason"], message["code"]) == (reason, code)
    assert words in message["message"]
    assert not output.exists()


@pytest.mark.parametrize(
    ("files", "want", "reason"),
    [
        (
            {"x-linux/ascend_toolkit_install.info": "package_name=a\nversion=8.2.RC1\n"},
            "8.2.RC1",
            "the product's version",
        ),
        (
            {
                "x-linux/ascend_toolkit_install.info": "version=8.2.RC1 (simulator)\n",
                "compiler/version.info": "Version=1.83\n",
            },
            "8.2.RC1 (simulator)",
            "word for word: what announces itself is told as such",
        ),
        ({"runtime/version.info": 'Version="7.7.0.6"\n'}, "7.7.0.6", "a component's, if alone"),
        ({}, None, "no file says it"),
    ],
)
def test_the_report_names_the_cann(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    want: str | None,
    reason: str,
) -> None:
    monkeypatch.setattr(toolkit, "FOLDER", str(tmp_path / "nowhere"))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = toolkit.cann_version({"ASCEND_TOOLKIT_HOME": str(tmp_path)}, machine="x")
    assert found == want, reason


def test_no_model_to_measure(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="holds no model"):
        benchmark.benchmark(str(tmp_path), loops=1)


def test_text_format() -> None:
    found = parse("a: 1 a: [2, 3] b { c: 'x\\'y' \"z\" } # end\nd: < >; e: []")
    assert found == {"a": ["1", "2", "3"], "b": [{"c": ["x'yz"]}], "d": [{}], "e": []}


@pytest.mark.parametrize("text", ["a {", "a: }", "a: [", "{", "a:", '"a": 1', "a: 'x", "}"])
def test_what_is_no_text_format(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)
