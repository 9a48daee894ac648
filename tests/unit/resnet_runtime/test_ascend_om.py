"""ascend_om.py over a pyACL in memory: batches, buffers, contradictions, error codes."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.resnet_runtime.fake_acl import FakeAcl, Om
from tests.unit.resnet_runtime.stub import Config, TritonModelException, request

from resnet_runtime import ascend_om

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Message = Callable[[], dict[str, Any]]

F32, F16, U8 = np.float32, np.float16, np.uint8


def small_om(*, batches: tuple[int, ...] = (1, 2, 4, 8), dtype: Any = F32, out: Any = F32) -> Om:
    return Om([("input", dtype, [3])], [("Gemm_1:0:logits", out, [2])], list(batches))


@dataclass
class Rig:
    """A model file on disk, and Triton's model on a fake acl."""

    path: Path

    def load(self, acl: FakeAcl, **config: Any) -> Any:
        parameters = {
            "model_file": str(self.path),
            "batch_sizes": ",".join(str(size) for size in acl.om.batches),
            "chip_count": "1",
            "soc_version": "Ascend310P3",
            **config.pop("parameters", {}),
        }
        config.setdefault("max_batch_size", acl.om.batches[-1])
        model = ascend_om.TritonPythonModel()
        with acl_module(acl):
            model.initialize(Config(parameters=parameters, **config).args())
        return model


@contextlib.contextmanager
def acl_module(acl: FakeAcl | None) -> Iterator[None]:
    """`import acl` finds this; None: it finds nothing, wherever the simulator may be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "acl", acl)
        yield


@pytest.fixture
def rig(tmp_path: Path, termination_log: Path) -> Rig:
    path = tmp_path / "model.om"
    path.touch()
    return Rig(path)


def pictures(*sizes: int, dtype: Any = F32) -> list[Any]:
    """Arrays of the given numbers of rows; every row of all of them has another sum."""
    numbers = np.arange(1, sum(sizes) * 3 + 1).astype(dtype).reshape(-1, 3)
    return np.split(numbers, np.cumsum(sizes)[:-1])


@pytest.mark.parametrize(
    ("sizes", "profile", "reason"),
    [
        ([1], 1, "one picture takes the smallest profile"),
        ([2, 1], 4, "three rows are padded to four"),
        ([3, 2, 3], 8, "a full batch of several requests"),
        ([5], 8, "one request between two profiles"),
        ([1, 1], 2, "an exact profile needs no padding"),
    ],
)
def test_each_request_gets_its_own_rows(
    rig: Rig, sizes: list[int], profile: int, reason: str
) -> None:
    acl = FakeAcl(small_om())
    model = rig.load(acl)
    model.execute([request(input=np.full((8, 3), 9, F32))])  # leaves dirt in the buffers
    arrays = pictures(*sizes)

    answers = model.execute([request(input=array) for array in arrays])

    assert acl.batch == profile, reason
    for array, got in zip(arrays, answers, strict=True):
        assert got.error is None
        assert got.values["logits"][:, 0].tolist() == array.sum(axis=1).tolist(), reason
    assert acl.totals[sum(sizes) :].tolist() == [0] * (profile - sum(sizes)), "padding is zero"


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    batches=st.sets(st.integers(1, 40), min_size=1, max_size=5),
)
def test_any_sizes_and_profiles(
    sizes: list[int], batches: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.om"
    path.touch()
    acl = FakeAcl(small_om(batches=tuple(sorted(batches | {sum(sizes)}))))
    model = Rig(path).load(acl)
    arrays = pictures(*sizes)

    answers = model.execute([request(input=array) for array in arrays])

    for array, got in zip(arrays, answers, strict=True):
        assert got.values["logits"][:, 0].tolist() == array.sum(axis=1).tolist()


def test_static_batch_is_padded_and_never_set(rig: Rig) -> None:
    acl = FakeAcl(small_om(batches=(24,)))
    model = rig.load(acl)
    (got,) = model.execute([request(input=pictures(5)[0])])
    assert got.values["logits"].shape == (5, 2)
    assert "mdl.set_dynamic_batch_size" not in acl.calls


@pytest.mark.parametrize(
    ("om", "reason"),
    [
        (small_om(out=F16), "class_count refuses FP16: the answer is FP32 as declared"),
        (small_om(dtype=F16), "an FP16 input of the OM is filled from FP32"),
    ],
)
def test_half_precision_is_hidden(rig: Rig, om: Om, reason: str) -> None:
    model = rig.load(FakeAcl(om))
    (got,) = model.execute([request(input=pictures(2)[0])])
    assert got.values["logits"].dtype == F32, reason
    assert got.values["logits"][:, 0].tolist() == [6, 15]


def test_inputs_are_found_by_the_names_of_the_om(rig: Rig) -> None:
    om = Om([("b", U8, [1]), ("a", F32, [2])], [("logits", F32, [2])], [1, 4])
    model = rig.load(FakeAcl(om), inputs={"a": ("TYPE_FP32", [2]), "b": ("TYPE_UINT8", [1])})
    (got,) = model.execute([request(a=np.ones((2, 2), F32), b=np.full((2, 1), 7, U8))])
    assert got.values["logits"][:, 0].tolist() == [9, 9]


@pytest.mark.parametrize(
    ("instance", "chips", "device"),
    [("digits_0_0", "2", 0), ("digits_0_1", "2", 1), ("digits_0_5", "2", 1), ("digits", "1", 0)],
)
def test_instances_are_spread_over_the_chips(
    rig: Rig, instance: str, chips: str, device: int
) -> None:
    acl = FakeAcl(small_om())
    rig.load(acl, instance=instance, parameters={"chip_count": chips})
    assert acl.device == device


def test_order_of_calls(rig: Rig) -> None:
    acl = FakeAcl(small_om())
    model = rig.load(acl)
    order = ["init", "rt.set_device", "get_soc_name", "rt.create_context", "mdl.load_from_file"]
    assert [call for call in acl.calls if call in order] == order
    acl.calls.clear()
    model.execute([request(input=pictures(1)[0])])
    assert acl.calls == [
        "rt.set_context",
        "rt.memcpy",
        "mdl.set_dynamic_batch_size",
        "mdl.execute",
        "rt.memcpy",
    ]


@pytest.mark.parametrize("run_mode", [1, 0])
def test_finalize_gives_everything_back(rig: Rig, run_mode: int) -> None:
    acl = FakeAcl(small_om(), run_mode=run_mode)
    rig.load(acl).finalize()
    assert sorted(acl.freed) == sorted(acl.memory)
    assert acl.calls[-1] == "finalize"


def test_on_the_chips_own_cores_nothing_is_copied(rig: Rig) -> None:
    acl = FakeAcl(small_om(), run_mode=0)
    model = rig.load(acl)
    (got,) = model.execute([request(input=pictures(2)[0])])
    assert got.values["logits"][:, 0].tolist() == [6, 15]
    assert not {"rt.memcpy", "rt.malloc_host"} & set(acl.calls)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((1, 4), F32), "shape [1, 4]; wanted is [N, 3]"),
        (np.ones((1, 3, 1), F32), "wanted is [N, 3]"),
        (np.ones((1, 3), F16), "is float16, not TYPE_FP32"),
        (np.ones((9, 3), F32), "batch size 9 is not within 1..8"),
        (np.ones((0, 3), F32), "batch size 0 is not within 1..8"),
    ],
)
def test_a_bad_request_spoils_no_other(rig: Rig, array: Any, words: str) -> None:
    model = rig.load(FakeAcl(small_om()))
    good = request(input=pictures(1)[0])
    first, bad, last = model.execute([good, request(input=array), good])
    assert bad.error.code == "INVALID_ARG"
    assert words in bad.error.message
    assert first.values["logits"][0, 0] == last.values["logits"][0, 0] == 6


@pytest.mark.parametrize(
    ("acl", "config", "words"),
    [
        (FakeAcl(small_om()), {"max_batch_size": 16}, "compiled for batch [1, 2, 4, 8]"),
        (FakeAcl(small_om()), {"parameters": {"batch_sizes": "1,2"}}, "batch_sizes [1, 2]"),
        (FakeAcl(small_om()), {"parameters": {"model_file": "/none.om"}}, "/none.om is not there"),
        (FakeAcl(small_om()), {"parameters": {"chip_count": "two"}}, 'chip_count is "two"'),
        (
            FakeAcl(small_om(dtype=U8)),
            {},
            "the input input is TYPE_FP32 [3]; in the OM it is uint8 [3]",
        ),
        (
            FakeAcl(small_om()),
            {"outputs": {"logits": ("TYPE_FP32", [1000])}},
            "output logits is TYPE_FP32 [1000]; in the OM it is float32 [2]",
        ),
        (
            FakeAcl(small_om()),
            {"outputs": {"a": ("TYPE_FP32", [2]), "b": ("TYPE_FP32", [2])}},
            "config.pbtxt names the outputs a, b; the OM has logits",
        ),
        (
            FakeAcl(small_om()),
            {"inputs": {"input": ("TYPE_STRING", [1])}},
            "TYPE_STRING, which this runtime cannot handle",
        ),
    ],
)
def test_contradictions_are_refused_at_load(
    rig: Rig, left_behind: Message, acl: FakeAcl, config: dict[str, Any], words: str
) -> None:
    with pytest.raises(TritonModelException):
        rig.load(acl, **config)
    assert left_behind()["reason"] == "ModelLoadFailed"
    assert words in left_behind()["message"]


@pytest.mark.parametrize(
    ("call", "code", "reason", "words"),
    [
        ("rt.set_device", 107001, "ModelLoadFailed", "no such chip"),
        ("rt.set_device", 507033, "ModelLoadFailed", "driver mount"),
        ("mdl.load_from_file", 545001, "ModelLoadFailed", "newer CANN"),
        ("mdl.load_from_file", 507008, "ChipMismatch", "spec.accelerator.chip"),
        ("mdl.load_from_file", 245000, "OutOfMemory", "memory is full"),
        ("rt.malloc", 207001, "OutOfMemory", "instancesPerChip"),
        ("mdl.get_desc", 999999, "ModelLoadFailed", "acl.mdl.get_desc: ACL error 999999"),
    ],
)
def test_error_codes_at_load(
    rig: Rig, left_behind: Message, call: str, code: int, reason: str, words: str
) -> None:
    with pytest.raises(TritonModelException):
        rig.load(FakeAcl(small_om(), fail={call: code}))
    message = left_behind()
    assert (message["reason"], message["code"]) == (reason, str(code))
    assert words in message["message"]
    assert message["detail"] == "E99999: Inner Error! the device said no"


def test_setup_failure_of_a_later_chip_says_what_helps(rig: Rig, left_behind: Message) -> None:
    acl = FakeAcl(small_om(), fail={"rt.set_device": 507033})
    with pytest.raises(TritonModelException):
        rig.load(acl, instance="digits_0_1", parameters={"chip_count": "2"})
    assert "try count 1 and more replicas" in left_behind()["message"]


MIB = 2**20
FULL = {1: (300 * MIB, 21534 * MIB)}


@pytest.mark.parametrize(
    ("room", "need", "reason"),
    [
        (FULL, (299 * MIB, MIB + 1), "a byte too much, of what it works in and its weights"),
        ({0: FULL[1]}, (0, 301 * MIB), "a chip with DDR"),
        ({1: (0, 0), 0: FULL[1]}, (301 * MIB, 0), "one that says 0 of what it has not"),
        ({1: (0, 21534 * MIB)}, (1, 0), "nothing is left at all"),
    ],
)
def test_a_full_chip_is_told_by_numbers_before_the_load(
    rig: Rig, left_behind: Message, room: Any, need: tuple[int, int], reason: str
) -> None:
    acl = FakeAcl(small_om(), room=room, need=need)
    with pytest.raises(TritonModelException):
        rig.load(acl)
    message = left_behind()
    assert (message["reason"], message["code"]) == ("OutOfMemory", "ChipFull"), reason
    assert "of 21534 MiB free; put fewer models on it" in message["message"]
    assert "ACL" not in message["message"]
    assert "mdl.load_from_file" not in acl.calls, "the others are not disturbed"


@pytest.mark.parametrize(
    ("room", "need", "fail", "reason"),
    [
        (FULL, (200 * MIB, 100 * MIB), {}, "it just fits"),
        (None, (0, 0), {}, "a CANN without these calls"),
        (FULL, (400 * MIB, 0), {"mdl.query_size": 1}, "the OM does not tell"),
        ({1: (0, 0)}, (400 * MIB, 0), {}, "the chip does not tell"),
        ({1: (-1, 21534 * MIB)}, (400 * MIB, 0), {}, "no such number"),
    ],
)
def test_what_nobody_tells_is_left_to_the_load(
    rig: Rig, room: Any, need: tuple[int, int], fail: dict[str, int], reason: str
) -> None:
    acl = FakeAcl(small_om(), room=room, need=need, fail=fail)
    rig.load(acl)
    assert "mdl.load_from_file" in acl.calls, reason


def test_another_chip_is_refused_before_the_load(rig: Rig, left_behind: Message) -> None:
    acl = FakeAcl(small_om(), soc="Ascend910B4")
    with pytest.raises(TritonModelException):
        rig.load(acl)
    assert left_behind()["reason"] == "ChipMismatch"
    assert "set spec.accelerator.chip to Ascend910B4" in left_behind()["message"]
    assert "mdl.load_from_file" not in acl.calls


def test_a_slice_of_the_chip_is_the_chip(rig: Rig) -> None:
    rig.load(FakeAcl(small_om(), soc="Ascend310P3vir02"))


def test_image_without_pyacl(termination_log: Path, left_behind: Message) -> None:
    config = Config(parameters={"model_file": "x", "chip_count": "1", "batch_sizes": "1"})
    with acl_module(None), pytest.raises(TritonModelException):
        ascend_om.TritonPythonModel().initialize(config.args())
    assert "AscendOM needs an image with CANN" in left_behind()["message"]


def test_failure_of_the_warm_up_leaves_its_cause(rig: Rig, left_behind: Message) -> None:
    acl = FakeAcl(small_om())
    model = rig.load(acl)
    acl.fail["mdl.execute"] = 545601
    (got,) = model.execute([request(input=pictures(1)[0])])
    assert got.error.code == "INTERNAL"
    assert left_behind()["reason"] == "ModelLoadFailed"
    assert "did not finish in time" in left_behind()["message"]


def test_failure_of_a_later_request_is_only_its_answer(rig: Rig, left_behind: Message) -> None:
    acl = FakeAcl(small_om())
    model = rig.load(acl)
    model.execute([request(input=pictures(1)[0])])
    acl.fail["mdl.execute"] = 545601
    (got,) = model.execute([request(input=pictures(1)[0])])
    assert "E99999" in got.error.message
    assert left_behind() == {}


@pytest.mark.parametrize("code", [507010, 507011, 507014, 507015, 507899])
def test_a_lost_chip_ends_the_process_after_the_answer(
    rig: Rig, left_behind: Message, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    timers: list[Any] = []

    class Timer:
        def __init__(self, seconds: float, function: Any, args: Any) -> None:
            self.call = (function, args)

        def start(self) -> None:
            timers.append(self.call)

    monkeypatch.setattr(threading, "Timer", Timer)
    acl = FakeAcl(small_om())
    model = rig.load(acl)
    model.execute([request(input=pictures(1)[0])])
    acl.fail["mdl.execute"] = code

    (lost,) = model.execute([request(input=pictures(1)[0])])
    acl.fail.clear()
    (after,) = model.execute([request(input=pictures(1)[0])])

    assert lost.error.code == after.error.code == "UNAVAILABLE"
    assert (left_behind()["reason"], left_behind()["code"]) == ("CrashLooping", str(code))
    assert timers == [(os._exit, (1,))]
