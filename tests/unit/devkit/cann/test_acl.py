"""The simulated pyACL: order of calls, memory, profiles, errors and numbers."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.unit.devkit.cann.networks import Chip, convert, pictures, reference, small_network

from resnet_runtime.dump import read_dump

if TYPE_CHECKING:
    from pathlib import Path

STATIC = "--input_shape=input:4,3,12,12"
DYNAMIC = ("--input_shape=input:-1,3,12,12", "--dynamic_batch_size=1,2,4")
TOLERANCE = 2e-2


def test_static_model_gives_onnx_runtimes_answers(workdir: Path, chip: Chip) -> None:
    convert(STATIC)
    chip.open()
    model, desc = chip.load("net.om")
    mdl = chip.acl.mdl
    dims = {"name": "input", "dimCount": 4, "dims": [4, 3, 12, 12]}
    assert mdl.get_input_dims(desc, 0) == (dims, 0)
    assert mdl.get_output_name_by_index(desc, 0) == "Gemm_8:0:output"
    assert (mdl.get_input_data_type(desc, 0), mdl.get_input_format(desc, 0)) == (0, 0)
    inputs, (source,), outputs, (target,) = chip.datasets(desc)
    batch = pictures(4)
    chip.upload(source, batch)
    assert mdl.execute(model, inputs, outputs) == 0
    answers = chip.download(target, (4, 5))
    assert np.abs(answers - reference(small_network(), batch)).max() < TOLERANCE
    assert mdl.set_dynamic_batch_size(model, inputs, 0, 4) == 100019, "no profiles in this model"


def test_each_profile_runs_its_rows_and_no_more(workdir: Path, chip: Chip) -> None:
    convert(*DYNAMIC)
    chip.open()
    model, desc = chip.load("net.om")
    mdl = chip.acl.mdl
    assert mdl.get_input_dims(desc, 0)[0]["dims"] == [-1, 3, 12, 12]
    assert mdl.get_output_dims(desc, 0)[0]["dims"] == [4, 5], "described at the largest profile"
    assert mdl.get_dynamic_batch(desc) == ({"batchCount": 3, "batch": [1, 2, 4]}, 0)
    where, code = mdl.get_input_index_by_name(desc, "ascend_mbatch_shape_data")
    assert (where, code) == (1, 0)
    inputs, (source, _), outputs, (target,) = chip.datasets(desc)
    batch = pictures(4)
    wanted = reference(small_network(), batch)
    chip.upload(source, batch)
    for profile in (2, 1, 4):
        assert chip.acl.rt.memset(target, 80, 255, 80) == 0
        assert mdl.set_dynamic_batch_size(model, inputs, where, profile) == 0
        assert mdl.get_cur_output_dims(desc, 0)[0]["dims"] == [profile, 5]
        assert mdl.execute(model, inputs, outputs) == 0
        answers = chip.download(target, (4, 5))
        assert np.abs(answers[:profile] - wanted[:profile]).max() < TOLERANCE
        assert np.isnan(answers[profile:]).all(), "rows beyond the profile are not touched"


def test_without_a_batch_the_largest_profile_runs(workdir: Path, chip: Chip) -> None:
    convert(*DYNAMIC)
    chip.open()
    model, desc = chip.load("net.om")
    inputs, (source, _), outputs, (target,) = chip.datasets(desc)
    chip.upload(source, pictures(4))
    assert chip.acl.mdl.execute(model, inputs, outputs) == 0
    wanted = reference(small_network(), pictures(4))
    assert np.abs(chip.download(target, (4, 5)) - wanted).max() < TOLERANCE


def test_a_batch_that_is_no_profile(workdir: Path, chip: Chip) -> None:
    convert(*DYNAMIC)
    chip.open()
    model, desc = chip.load("net.om")
    inputs, *_ = chip.datasets(desc)
    assert chip.acl.mdl.set_dynamic_batch_size(model, inputs, 1, 3) == 145013
    assert "3 is not among [1, 2, 4]" in chip.acl.get_recent_err_msg()
    assert chip.acl.get_recent_err_msg() == "", "reading the message forgets it"
    assert chip.acl.mdl.set_dynamic_batch_size(model, inputs, 0, 2) == 100000, "the wrong input"


def test_streams(workdir: Path, chip: Chip) -> None:
    convert(STATIC)
    chip.open()
    model, desc = chip.load("net.om")
    inputs, (source,), outputs, (target,) = chip.datasets(desc)
    chip.upload(source, pictures(4))
    stream, code = chip.acl.rt.create_stream()
    assert code == 0
    assert chip.acl.mdl.execute_async(model, inputs, outputs, stream) == 0
    assert chip.acl.rt.synchronize_stream(stream) == 0
    assert np.isfinite(chip.download(target, (4, 5))).all()
    assert chip.acl.rt.destroy_stream(stream) == 0


def test_a_chip_that_fails_now_and_then(
    workdir: Path, chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(STATIC)
    monkeypatch.setenv("SIMULATED_NPU_FAILS_EVERY", "3")
    chip.open()
    model, desc = chip.load("net.om")
    inputs, _, outputs, _ = chip.datasets(desc)
    codes = [chip.acl.mdl.execute(model, inputs, outputs) for _ in range(7)]
    assert codes == [0, 0, 507018, 0, 0, 507018, 0]
    assert "Aicpu kernel execute failed" in chip.acl.get_recent_err_msg()


def test_model_of_another_chip(workdir: Path, chip: Chip) -> None:
    convert(STATIC, "--soc_version=Ascend910B4")
    chip.open()
    assert chip.acl.get_soc_name() == "Ascend310P3"
    assert chip.acl.mdl.load_from_file("net.om") == (0, 507008)
    message = chip.acl.get_recent_err_msg()
    assert "socversion[Ascend910B4] does not match the current device" in message


def test_order_of_calls(workdir: Path, chip: Chip) -> None:
    convert(STATIC)
    acl: Any = chip.acl
    assert acl.finalize() == 100001
    assert acl.rt.malloc(64, 0) == (0, 107002), "no context before set_device"
    assert acl.rt.set_device(0) == 0
    assert acl.mdl.load_from_file("net.om") == (0, 100001), "init comes first"
    assert acl.init() == 0
    assert acl.init() == 100002
    model, code = acl.mdl.load_from_file("net.om")
    assert code == 0
    assert acl.mdl.unload(model) == 0
    assert acl.mdl.unload(model) == 145003
    assert acl.rt.reset_device(0) == 0
    assert acl.finalize() == 0
    assert acl.finalize() == 100037


def test_contexts_belong_to_threads(workdir: Path, chip: Chip) -> None:
    convert(STATIC)
    chip.open()
    context, _ = chip.acl.rt.create_context(0)
    model, desc = chip.load("net.om")
    inputs, _, outputs, _ = chip.datasets(desc)
    seen: list[int] = []

    def other_thread() -> None:
        seen.append(chip.acl.mdl.execute(model, inputs, outputs))
        other, _ = chip.acl.rt.create_context(0)
        seen.append(chip.acl.mdl.execute(model, inputs, outputs))
        assert chip.acl.rt.destroy_context(other) == 0
        seen.append(chip.acl.rt.set_context(context))
        seen.append(chip.acl.mdl.execute(model, inputs, outputs))

    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join()
    assert seen == [107002, 107004, 0, 0]


DEVICES = [
    ({"ASCEND_VISIBLE_DEVICES": "5,2"}, 2, {0: 0, 1: 0, 2: 107001}, "ids count from 0"),
    ({"ASCEND_VISIBLE_DEVICES": "2-2"}, 1, {0: 0}, "a range"),
    ({"ASCEND_VISIBLE_DEVICES": "Ascend310P-5"}, 1, {0: 0}, "a name"),
    ({"ASCEND_VISIBLE_DEVICES": "3"}, 1, {0: 507033}, "no /dev/davinci3 in the container"),
    ({"ASCEND_VISIBLE_DEVICES": "void"}, 0, {0: 207004}, "a conversion pod"),
    ({"ASCEND_VISIBLE_DEVICES": ""}, 0, {0: 207004}, "a pod without a chip"),
    ({"SIMULATED_NPU_SOC": ""}, 0, {0: 207004}, "a node without chips"),
]


@pytest.mark.parametrize(("environment", "count", "codes", "reason"), DEVICES)
def test_devices(
    chip: Chip,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    count: int,
    codes: dict[int, int],
    reason: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    acl = Chip().acl  # the process looks at its environment once
    assert acl.rt.get_device_count() == (count, 0), reason
    assert {device: acl.rt.set_device(device) for device in codes} == codes, reason


def test_memory_is_limited_and_given_back(
    workdir: Path, chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(STATIC)
    monkeypatch.setenv("SIMULATED_NPU_MEMORY_MB", "1")
    chip = Chip()
    chip.open()
    address, code = chip.acl.rt.malloc(1 << 20, 0)
    assert (address, code) == (0, 207001), "32 bytes are added to every allocation"
    assert chip.acl.get_recent_err_msg().startswith("EL0004: [PID: ")
    address, code = chip.acl.rt.malloc((1 << 20) - 64, 0)
    assert code == 0
    assert chip.acl.mdl.load_from_file("net.om") == (0, 207001)
    assert chip.acl.rt.free(address) == 0
    assert chip.acl.rt.free(address) == 107000
    model, _ = chip.load("net.om")
    free, total, _ = chip.acl.rt.get_mem_info(1)
    assert free < total
    assert chip.acl.mdl.unload(model) == 0
    assert chip.acl.rt.get_mem_info(1)[0] == total


def test_copies_are_checked(chip: Chip) -> None:
    chip.open()
    rt = chip.acl.rt
    device, _ = rt.malloc(64, 0)
    host, _ = rt.malloc_host(64)
    assert (device % 64, host % 64) == (0, 0)
    assert rt.memcpy(device, 64, host, 64, 1) == 0
    assert rt.memcpy(device, 64, host, 65, 1) == 107000, "more than the target holds"
    assert rt.memcpy(host, 64, device, 64, 1) == 107000, "host and device mixed up"
    assert rt.memcpy(device, 64, host, 64, 4) == 100000, "no such direction"
    assert rt.free_host(device) == 107000
    assert rt.get_run_mode() == (1, 0)


def test_numpy_sees_host_memory(chip: Chip) -> None:
    chip.open()
    host, _ = chip.acl.rt.malloc_host(16)
    view = chip.acl.util.ptr_to_numpy(host, (2, 2), 11)
    view[:] = [[1, 2], [3, 4]]
    assert np.frombuffer(chip.acl.util.ptr_to_bytes(host, 16), np.float32).tolist() == [1, 2, 3, 4]
    assert chip.acl.util.numpy_to_ptr(view) == host


def test_datasets_must_fit(workdir: Path, chip: Chip) -> None:
    convert(STATIC)
    chip.open()
    model, desc = chip.load("net.om")
    inputs, _, outputs, _ = chip.datasets(desc)
    small, _ = chip.dataset([8])
    empty = chip.acl.mdl.create_dataset()
    execute = chip.acl.mdl.execute
    assert execute(model, small, outputs) == 100017
    assert execute(model, inputs, small) == 100018
    assert execute(model, empty, outputs) == 100017
    assert execute(99, inputs, outputs) == 145003
    assert execute(model, 12345, outputs) == 100000


BAD_FILES = [("gone.om", 145002), ("net.onnx", 145006), ("half.om", 145006)]


@pytest.mark.parametrize(("name", "code"), BAD_FILES)
def test_bad_files(workdir: Path, chip: Chip, name: str, code: int) -> None:
    convert(STATIC)
    (workdir / "half.om").write_bytes((workdir / "net.om").read_bytes()[:-100])
    chip.open()
    assert chip.acl.mdl.load_from_file(name) == (0, code)
    assert chip.acl.get_recent_err_msg()


def test_load_from_memory(workdir: Path, chip: Chip) -> None:
    convert(STATIC)
    data = (workdir / "net.om").read_bytes()
    chip.open()
    model, code = chip.acl.mdl.load_from_mem(chip.acl.util.bytes_to_ptr(data), len(data))
    assert (code, model > 0) == (0, True)


def test_what_is_not_simulated_is_missing(chip: Chip) -> None:
    with pytest.raises(AttributeError):
        chip.acl.mdl.load_from_file_with_mem  # noqa: B018
    with pytest.raises(AttributeError):
        chip.acl.media  # noqa: B018
    assert "simulator" in chip.acl.__version__


def test_a_dump_has_each_operators_result(workdir: Path, chip: Chip) -> None:
    """As a chip does when the configuration of acl.init asks for it."""
    convert(STATIC)
    folder = workdir / "dumped"
    wish = {"dump_path": str(folder), "dump_mode": "output", "dump_list": [{"model_name": "net"}]}
    (workdir / "acl.json").write_text(json.dumps({"dump": wish}))
    assert chip.acl.init(str(workdir / "acl.json")) == 0
    assert chip.acl.rt.set_device(0) == 0
    model, desc = chip.load("net.om")
    inputs, (source,), outputs, (target,) = chip.datasets(desc)
    batch = pictures(4)
    chip.upload(source, batch)
    assert chip.acl.mdl.execute(model, inputs, outputs) == 0
    answers = chip.download(target, (4, 5))
    assert np.abs(answers - reference(small_network(), batch)).max() < TOLERANCE
    found = dict(read_dump(path.read_bytes()) for path in folder.rglob("*") if path.is_file())
    assert len(found) >= 3
    assert {len(value) for value in found.values()} == {4}
    kinds = {path.name.split(".")[0] for path in folder.rglob("*") if path.is_file()}
    assert "Relu" in kinds
