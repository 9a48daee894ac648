"""Files of weights are read as data: nothing runs, nothing is taken on trust, all is bounded."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.resnet_jobs.checkpoints import saved
from tests.unit.resnet_jobs.checkpoints.saved import Raw, name, storage, tensor, text, whole

from resnet_jobs.base.errors import JobError
from resnet_jobs.checkpoints.weights_file import Entry, open_weights
from resnet_jobs.driver.checkpoint import MisfitError
from resnet_jobs.driver.saved import pickled
from resnet_jobs.driver.saved.names import CALLS, INERT, Name
from resnet_jobs.driver.saved.pickled import read_pickle

ONES = np.ones((2, 3), "f4")


def opened(path: Path, data: bytes) -> Any:
    path.write_bytes(data)
    return open_weights(path).root


def read_all(path: Path, data: bytes) -> None:
    for value in opened(path, data).values():
        value.load()


def ends(read: Callable[[], Any]) -> Any:
    """What is read, or the sentence why not; any other end is an error."""
    try:
        return read()
    except (MisfitError, JobError) as error:
        return str(error)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights"


# --- what is read -------------------------------------------------------------------------------

WRITERS: list[tuple[str, Callable[[Any], bytes]]] = [
    ("the archive of today", saved.archive),
    ("the stream of before 1.6", saved.stream),
]


@pytest.mark.parametrize(("why", "write"), WRITERS)
def test_a_checkpoint(file: Path, why: str, write: Callable[[Any], bytes]) -> None:
    numbers = np.arange(24, dtype="f4").reshape(2, 3, 4)
    root = opened(file, write({"state_dict": {"a": numbers, "b": ONES}, "epoch": 3}))
    assert root["epoch"] == 3, why
    assert np.array_equal(root["state_dict"]["a"].load(), numbers), why
    assert np.array_equal(root["state_dict"]["b"].load(), ONES), why


def test_views_of_one_storage(file: Path) -> None:
    """A transposed view, a slice, and two tensors that share their numbers."""
    kept = storage("0", 12)
    root = {
        "turned": tensor(kept, 0, (3, 4), (1, 3)),
        "part": tensor(kept, 4, (2,), (2,)),
        "one": tensor(kept, 11, (), ()),
        "empty": tensor(kept, 0, (0, 4), (4, 1)),
    }
    numbers = np.arange(12, dtype="f4")
    found = opened(file, saved.archive(root, data__0=numbers.tobytes()))
    assert np.array_equal(found["turned"].load(), numbers.reshape(4, 3).T)
    assert found["part"].load().tolist() == [4, 6]
    assert (found["one"].load().shape, float(found["one"].load())) == ((), 11)
    assert found["empty"].load().shape == (0, 4)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats_become_fp32(file: Path, kind: str) -> None:
    found = opened(file, saved.archive({"a": np.array([0.5, -2], kind)}))["a"].load()
    assert (found.dtype, found.tolist()) == (np.float32, [0.5, -2])


@pytest.mark.parametrize("kind", ["F16", "BF16", "F32", "F64"])
def test_safetensors(file: Path, kind: str) -> None:
    found = opened(file, saved.safetensors({"a": np.array([[0.5, -2]])}, kind=kind))["a"]
    assert (found.shape, found.load().dtype, found.load().tolist()) == (
        (1, 2),
        np.float32,
        [[0.5, -2]],
    )


def test_bfloat16_of_pytorch(file: Path) -> None:
    half = (np.array([1.5, -3], "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    root = {"a": tensor(storage("0", 2, "BFloat16Storage"), 0, (2,), (1,))}
    assert opened(file, saved.archive(root, data__0=half))["a"].load().tolist() == [1.5, -3]


BESIDE: list[tuple[str, Any, Any]] = [
    (
        "arguments of a training",
        Raw(name("argparse", "Namespace") + b")\x81}" + text("lr") + b"K\x01sb"),
        None,
    ),
    ("a set", Raw(name("__builtin__", "set") + b"(]t\x52"), None),
    (
        "a number of numpy",
        Raw(
            name("numpy.core.multiarray", "scalar")
            + b"("
            + name("numpy", "dtype")
            + b"("
            + text("f8")
            + b"\x89\x88tR"
            + b"(K\x03"
            + text("<")
            + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            + name("_codecs", "encode")
            + b"("
            + text("\0\0\0\0\0\0\xf8?")
            + text("latin1")
            + b"tRtR"
        ),
        1.5,
    ),
    ("an empty OrderedDict", Raw(name("collections", "OrderedDict") + b")R"), {}),
    ("a tuple of names", ("cat", "dog"), ("cat", "dog")),
]


@pytest.mark.parametrize(("why", "value", "want"), BESIDE)
def test_what_trainings_leave_beside_the_weights(
    file: Path, why: str, value: Any, want: Any
) -> None:
    found = opened(file, saved.archive({"state_dict": {"a": ONES}, "beside": value}))
    assert np.array_equal(found["state_dict"]["a"].load(), ONES), why
    assert want is None or found["beside"] == want, why


# --- what is refused ----------------------------------------------------------------------------


def called(module: str, function: str, *arguments: bytes) -> Raw:
    return Raw(name(module, function) + b"(" + b"".join(arguments) + b"tR")


def on_stack(module: str, function: str) -> Raw:
    return Raw(text(module) + text(function) + b"\x93")


SHELL = text("touch pwned")
MALICIOUS: list[tuple[str, bytes, str]] = [
    ("os.system", called("os", "system", SHELL), "os.system"),
    ("posix.system", called("posix", "system", SHELL), "posix.system"),
    ("nt.system", called("nt", "system", SHELL), "nt.system"),
    ("eval", called("builtins", "eval", SHELL), "builtins.eval"),
    ("exec of Python 2", called("__builtin__", "execfile", SHELL), "__builtin__.execfile"),
    ("getattr, to reach anything", called("builtins", "getattr", SHELL), "builtins.getattr"),
    ("an import", called("importlib", "import_module", SHELL), "importlib.import_module"),
    ("a subprocess", called("subprocess", "Popen", SHELL), "subprocess.Popen"),
    (
        "torch's own way back to pickle",
        called("torch.storage", "_load_from_bytes", SHELL),
        "_load_from_bytes",
    ),
    ("torch's compiler", called("torch._C", "_import_ir_module", SHELL), "torch._C"),
    ("torch.load itself", called("torch.serialization", "load", SHELL), "torch.serialization.load"),
    ("torch.hub", called("torch.hub", "load", SHELL), "torch.hub.load"),
    ("numpy.load", called("numpy", "load", SHELL), "numpy.load"),
    ("a name from the stack", Raw(on_stack("os", "system") + b"(" + SHELL + b"tR"), "os.system"),
    (
        "a dotted name from the stack",
        Raw(on_stack("collections", "OrderedDict.fromkeys")),
        "fromkeys",
    ),
    ("a name made of something else", Raw(b"K\x01K\x02\x93"), "not text"),
    (
        "a name out of the memory",
        Raw(text("os") + b"q\x01" + text("system") + b"\x93"),
        "os.system",
    ),
    (
        "another module's alias",
        called("torch._utils.os", "system", SHELL),
        "torch._utils.os.system",
    ),
    ("a known name of another module", called("os", "OrderedDict"), "os.OrderedDict"),
    ("an instance the old way", Raw(b"(" + SHELL + b"ios\nsystem\n"), "INST"),
    ("an object the old way", Raw(b"(" + name("collections", "OrderedDict") + b"o"), "OBJ"),
    ("a class made again", Raw(name("os", "system") + b")\x81"), "os.system"),
    ("a class made again, with names", Raw(name("os", "system") + b")}\x92"), "os.system"),
    ("an extension by number", Raw(b"\x82\x01"), "EXT1"),
    ("an identity as text", Raw(b"Pstorage\n"), "PERSID"),
    ("a buffer from outside", Raw(b"\x97"), "NEXT_BUFFER"),
    (
        "a call of what a call made",
        Raw(called("collections", "OrderedDict") + b")R"),
        "without a name",
    ),
    ("a call of a text", Raw(text("os.system") + b"(" + SHELL + b"tR"), "without a name"),
    (
        "a call of a storage's class",
        Raw(name("torch", "FloatStorage") + b"(" + whole(9) + b"tR"),
        "as a function",
    ),
    ("a state for a text", Raw(text("a") + b"}b"), "a state"),
    ("another codec: a bomb", called("_codecs", "encode", text("a"), text("zip")), "another code"),
    (
        "a tensor of a class of its own",
        called(
            "torch._tensor",
            "_rebuild_from_type_v2",
            name("collections", "OrderedDict"),
            name("torch", "Tensor"),
            b")",
            b"}",
        ),
        "class of its own",
    ),
    ("a reference to a module", Raw(b"(" + text("module") + b"NNNNtQ"), "other than numbers"),
    (
        "a storage of an unknown class",
        Raw(storage("0", 1, "FloatStorage").replace(b"FloatStorage", b"Size")),
        "unknown type",
    ),
]


@pytest.mark.parametrize(("why", "value", "words"), MALICIOUS, ids=[row[0] for row in MALICIOUS])
@pytest.mark.parametrize("write", [saved.archive, saved.stream], ids=["archive", "stream"])
def test_a_program_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, write: Any, why: str, value: bytes, words: str
) -> None:
    monkeypatch.chdir(file.parent)
    with pytest.raises(MisfitError) as caught:
        opened(file, write({"state_dict": {"a": ONES}, "x": Raw(value)}))
    assert words in str(caught.value), why
    assert "torch.save(model.state_dict(), path)" in str(caught.value), "says what to do"
    assert [path.name for path in file.parent.iterdir()] == ["weights"], "nothing has run"


def test_no_name_of_the_lists_is_ever_looked_up() -> None:
    """The names stand for data: the reader has no way to import."""
    known = {*CALLS, *INERT}
    for module, function in known:
        found = read_pickle(io.BytesIO(b"\x80\x02" + name(module, function) + b"."))
        assert found == Name(module, function)
    assert not {"os", "sys", "importlib", "operator", "functools"} & {m for m, _ in known}


TENSORS: list[tuple[str, bytes]] = [
    ("beyond the storage", tensor(storage("0", 4), 0, (5,), (1,))),
    ("beyond it by the offset", tensor(storage("0", 4), 2, (3,), (1,))),
    ("beyond it by a stride", tensor(storage("0", 4), 0, (2, 2), (3, 1))),
    ("before it", tensor(storage("0", 4), -1, (1,), (1,))),
    ("with a negative stride", tensor(storage("0", 4), 3, (4,), (-1,))),
    ("with a negative size", tensor(storage("0", 4), 0, (-4,), (1,))),
    ("repeated by a stride of 0: a bomb", tensor(storage("0", 1), 0, (1 << 40,), (0,))),
    ("repeated twice over", tensor(storage("0", 4), 0, (1 << 20, 1 << 20), (0, 0))),
    ("with more strides than sizes", tensor(storage("0", 4), 0, (4,), (1, 1))),
    ("of a hundred dimensions", tensor(storage("0", 4), 0, (1,) * 100, (1,) * 100)),
    ("of an absurd size", tensor(storage("0", 1 << 80), 0, (1,), (1,))),
    ("of no storage", tensor(Raw(b"N"), 0, (1,), (1,))),
    (
        "with truth for a size",
        Raw(tensor(storage("0", 4), 0, (7,), (1,)).replace(whole(7), b"\x88")),
    ),
]


@pytest.mark.parametrize(("why", "value"), TENSORS, ids=[row[0] for row in TENSORS])
def test_an_impossible_tensor_is_refused(file: Path, why: str, value: bytes) -> None:
    with pytest.raises(MisfitError, match=r"(damaged|harm)"):
        opened(file, saved.archive({"a": Raw(value)}, data__0=bytes(16)))


def test_a_storage_is_what_it_says(file: Path) -> None:
    """Fewer numbers in the file than the pickle says, none at all, and one key of two sizes."""
    root = {"a": tensor(storage("0", 6), 0, (6,), (1,))}
    for data in ({"data__0": bytes(20)}, {"data__1": bytes(24)}):
        found = opened(file, saved.archive(root, **data))
        with pytest.raises(MisfitError, match="damaged"):
            found["a"].load()
    root["b"] = tensor(storage("0", 7), 0, (6,), (1,))
    with pytest.raises(MisfitError, match="two kinds"):
        opened(file, saved.archive(root, data__0=bytes(28)))


# --- archives -----------------------------------------------------------------------------------


def members(**more: bytes) -> dict[str, bytes]:
    value = {"a": tensor(storage("0", 6), 0, (6,), (1,))}
    writer = saved.Writer()
    return {"data.pkl": b"\x80\x02" + writer.encode(value) + b".", "data/0": bytes(24), **more}


def directory_at(data: bytes) -> int:
    return int(struct.unpack_from("<I", data, data.rfind(b"PK\x05\x06") + 16)[0])


def changed(data: bytes, at: int, *numbers: int) -> bytes:
    """With four bytes for each number, from `at` on."""
    new = struct.pack(f"<{len(numbers)}I", *numbers)
    return data[:at] + new + data[at + len(new) :]


def overlapping(data: bytes) -> bytes:
    """The second member begins where the first one does."""
    second = data.index(b"PK\x01\x02", directory_at(data) + 4)
    return changed(data, second + 42, 0)


def much_larger(data: bytes) -> bytes:
    """The numbers have a terabyte, by the directory: sizes of 0xfffffff0."""
    second = data.index(b"PK\x01\x02", directory_at(data) + 4)
    return changed(data, second + 20, 0xFFFFFFF0, 0xFFFFFFF0)


ARCHIVES: list[tuple[str, Callable[[], bytes], str]] = [
    ("compressed: a bomb", lambda: saved.zipped(members(), zipfile.ZIP_DEFLATED), "compressed"),
    ("members inside of each other", lambda: overlapping(saved.zipped(members())), "damaged"),
    ("a size beyond the file", lambda: much_larger(saved.zipped(members())), "damaged"),
    ("two pickles", lambda: saved.zipped(members(**{"b/data.pkl": b"N."})), "damaged"),
    ("no pickle", lambda: saved.zipped({"data/0": b"1234"}), "damaged"),
    ("the other byte order", lambda: saved.zipped(members(byteorder=b"big")), "byte order"),
    ("cut off", lambda: saved.zipped(members())[:-30], "damaged"),
    ("the beginning alone", lambda: saved.zipped(members())[:40], "damaged"),
    (
        "another name in its own header",
        lambda: saved.zipped(members()).replace(b"archive/data/0", b"archive/data/9", 1),
        "damaged",
    ),
    (
        "a pickle that runs out of its member",
        lambda: saved.zipped(members(**{"data.pkl": b"\x80\x02}"})),
        "damaged",
    ),
    (
        "a count that is not so",
        lambda: saved.zipped(members())[:-12] + b"\x09" + saved.zipped(members())[-11:],
        "damaged",
    ),
]


@pytest.mark.parametrize(("why", "make", "words"), ARCHIVES, ids=[row[0] for row in ARCHIVES])
def test_an_archive_that_torch_does_not_write(
    file: Path, why: str, make: Callable[[], bytes], words: str
) -> None:
    data = make()
    with pytest.raises(MisfitError) as caught:
        read_all(file, data)
    assert words in str(caught.value), why


def test_two_members_of_one_name(file: Path) -> None:
    """One reader would take the first, another the last."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr("archive/data.pkl", b"\x80\x02}.")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("archive/data.pkl", b"\x80\x02].")
    with pytest.raises(MisfitError, match="damaged"):
        opened(file, data.getvalue())


# --- bounds -------------------------------------------------------------------------------------


def test_a_pickle_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In what it reads, in what it says that it has, and in its steps."""
    monkeypatch.setattr(pickled, "MOST_BYTES", 1000)
    monkeypatch.setattr(pickled, "MOST_STEPS", 100)
    for why, program in {
        "a long text": text("x" * 2000),
        "a text that says it is long": b"X\xff\xff\xff\x7f",
        "bytes that say they are": b"\x8e" + b"\xff" * 7 + b"\x7f",
        "a number that says it is": b"\x8b\xff\xff\xff\x7f",
        "a line without an end": b"V" + b"x" * 5000,
        "many steps": b"N0" * 200,
    }.items():
        source = io.BytesIO(b"\x80\x02" + program + b".")
        assert "more than weights" in ends(partial(read_pickle, source)), why


@pytest.mark.parametrize("program", [b"S'\\ '\n", b"i\\\x00\n\n", b"S'\\8'\n"])
def test_an_escape_that_python_only_warns_of_is_damage(program: bytes) -> None:
    assert "damaged" in ends(partial(read_pickle, io.BytesIO(b"\x80\x02" + program + b".")))


def test_hashing_takes_no_time() -> None:
    """A tuple of itself thrice, forty times over, as a key: its hash would take for ever."""
    nested = b")" + b"".join(b"22\x87" for _ in range(40))
    found = read_pickle(io.BytesIO(b"\x80\x02}" + nested + b"Ns."))
    assert list(found) == ["<tuple>"]


def test_a_value_may_hold_itself(file: Path) -> None:
    itself = Raw(b"}q\x01" + text("me") + b"h\x01s")
    assert "me" in opened(file, saved.archive({"a": itself}))["a"]


SOUND = [saved.archive({"state_dict": {"a": ONES}}), saved.stream({"state_dict": {"a": ONES}}),
         saved.safetensors({"a": ONES})]  # fmt: skip


@given(st.sampled_from(SOUND), st.data())
def test_any_damage_ends_as_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, sound: bytes, data: st.DataObject
) -> None:
    """Cut, changed and shuffled: the numbers, or a refusal, and never anything else."""
    broken = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    path = tmp_path_factory.getbasetemp() / "damaged"
    loaded = ends(lambda: opened(path, bytes(broken)))
    while isinstance(loaded, dict) and loaded:
        loaded = next(iter(loaded.values()))
    if isinstance(loaded, Entry):
        loaded = ends(loaded.load)
        assert isinstance(loaded, str) or loaded.nbytes <= len(sound), "no more than the file has"


PLAIN = {"builtins", "resnet_jobs.driver.saved.names"}
CODES = [code.code.encode("latin1") for code in pickletools.opcodes]


@given(st.lists(st.sampled_from(CODES) | st.binary(max_size=3), max_size=60))
def test_any_program_ends(parts: list[bytes]) -> None:
    program = io.BytesIO(b"\x80\x04" + b"".join(parts) + b".")
    assert type(ends(lambda: read_pickle(program))).__module__ in PLAIN


NO_WEIGHTS: list[tuple[str, bytes, str]] = [
    ("an LFS pointer", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ("a login page", b"<!DOCTYPE html><html>", "web page"),
    ("a PNG", b"\x89PNG\r\n\x1a\n" + bytes(60), "a PNG picture"),
    ("an ONNX model", b"\x08\x07\x12\x07pytorch\x1a\x041.13", "format: ONNX"),
    ("an archive of Keras", b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
    ("nothing", b"", "empty"),
    ("prose", b"hello", "a text, not PyTorch weights"),
    ("anything", b"\x07hello", "no PyTorch file"),
    ("MindSpore's", b"\n\x1d\n\7bn1.eps\x12\x12\n\1\1", "a checkpoint of MindSpore"),
    ("another pickle", pickle.dumps({"a": 1}, 2), "none of PyTorch's"),
    ("a safetensors file, cut off", SOUND[2][:-4], "cut off"),
    ("a safetensors file with a hole", SOUND[2] + b"1234", "damaged"),
    (
        "a tensor of numbers that weights are not",
        saved.safetensors({"a": ONES}).replace(b'"F32"', b'"U32"'),
        "type u32",
    ),
]


@pytest.mark.parametrize(("why", "data", "words"), NO_WEIGHTS, ids=[row[0] for row in NO_WEIGHTS])
def test_a_file_without_weights(file: Path, why: str, data: bytes, words: str) -> None:
    with pytest.raises((MisfitError, JobError)) as caught:
        read_all(file, data)
    assert words in str(caught.value), why
