"""datasets.py: five layouts, and what is said of a set that cannot be measured with."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.datasets.base import Dataset, Kind, digest_of
from resnet_jobs.datasets.open import open_dataset

DIGITS = Path(__file__).parents[4] / "samples/digits"
SAMPLE_BYTES = 12
Builder = Callable[[Path], Any]


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (2, 2), (value, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def put(folder: Path, files: dict[str, bytes | str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def opened(folder: Path, kind: str, *, labels: str | None = None, classes: int = 3) -> Dataset:
    return open_dataset(folder, kind, labels=labels, classes=classes, sample_bytes=SAMPLE_BYTES)


def refusal(folder: Path, kind: str, *, labels: str | None = None, classes: int = 3) -> str:
    with pytest.raises(JobError) as caught:
        opened(folder, kind, labels=labels, classes=classes)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert len(caught.value.message) <= 300, "a longer one would be cut"
    return caught.value.message


A, B, C = png(1), png(2), png(3)
FOLDERS: dict[str, bytes | str] = {
    "cat/b.png": B,
    "cat/a.PNG": A,
    "dog/deep/c.png": C,
    "owl/d.png": A,
}


@pytest.mark.parametrize(
    ("files", "labels", "want", "reason"),
    [
        (FOLDERS, None, [0, 0, 1, 2], "the sorted folders are the classes, as torchvision has it"),
        (
            {f"val/{name}": data for name, data in FOLDERS.items()},
            None,
            [0, 0, 1, 2],
            "archives have one more folder around them",
        ),
        (
            {**FOLDERS, "classes.txt": "owl\n# not a class\n\ncat\ndog\n"},
            None,
            [1, 1, 2, 0],
            "the model's own order, found by its name",
        ),
        (
            {**FOLDERS, "names/order.txt": ""}
            | {f"set/{name}": data for name, data in FOLDERS.items()}
            | {"set/order.txt": "dog a dog\ncat the cat\nowl\n"},
            "set/order.txt",
            [1, 1, 0, 2],
            "the order that the user names, with words behind as ImageNet has",
        ),
        (
            {**FOLDERS, ".DS_Store": b"x", "__MACOSX/x.png": A, "cat/notes.md": "x"},
            None,
            [0, 0, 1, 2],
            "what a Mac adds is no class and no picture",
        ),
    ],
)
def test_image_folder(
    tmp_path: Path,
    files: dict[str, bytes | str],
    labels: str | None,
    want: list[int],
    reason: str,
) -> None:
    put(tmp_path, files)
    dataset = opened(tmp_path, "ImageFolder", labels=labels)
    assert list(dataset.labels) == want, reason
    assert dataset.kind is Kind.ENCODED
    assert [value for value, _ in dataset] == [A, B, C, A], "sorted by name"
    assert dataset.names[0].endswith("cat/a.PNG")


@pytest.mark.parametrize(
    ("lines", "files", "want"),
    [
        ("img0 1\nimg1 2\n", {"img0.png": A, "img1.jpg": B}, [("img0.png", 1), ("img1.jpg", 2)]),
        ("b.png 0\na.png 1", {"a.png": A, "b.png": B}, [("b.png", 0), ("a.png", 1)]),
        ("# a list\n\n  pic/a.png   2\n", {"pic/a.png": A}, [("pic/a.png", 2)]),
        ("img0 2\n", {"pic/img0.png": A}, [("pic/img0.png", 2)]),
        ("a.png, 2\n", {"a.png": A}, [("a.png", 2)]),
        ("my cat.png 2\r\n", {"my cat.png": A}, [("my cat.png", 2)]),
        ("\ufeffv1.2 1\n", {"v1.2.png": A}, [("v1.2.png", 1)]),
        ("a 1\nb/a 2", {"a.png": A, "b/a.png": B}, [("a.png", 1), ("b/a.png", 2)]),
    ],
    ids=["no suffix", "order of the list", "comments", "R1", "commas", "spaces", "dots", "nearest"],
)
def test_image_list(
    tmp_path: Path, lines: str, files: dict[str, bytes | str], want: list[tuple[str, int]]
) -> None:
    put(tmp_path, {**files, "img_label.txt": lines})
    dataset = opened(tmp_path, "ImageList")
    assert list(zip(dataset.names, dataset.labels, strict=True)) == want
    assert dataset.read(0) in (A, B)


def test_a_list_is_relative_to_its_own_place(tmp_path: Path) -> None:
    put(tmp_path, {"val/list.txt": "a.png 2", "val/a.png": A, "a.png": B, "readme.txt": "hello"})
    dataset = opened(tmp_path, "ImageList", labels="val/list.txt")
    assert dataset.names == ("val/a.png",)


def test_raw_files_are_the_bytes_of_the_input(tmp_path: Path) -> None:
    put(tmp_path, {"bin_data/img0.bin": bytes(range(12)), "pic/img0.png": A, "l.txt": "img0 2"})
    dataset = opened(tmp_path, "RawBin")
    assert (dataset.kind, dataset.names) == (Kind.RAW, ("bin_data/img0.bin",))
    assert dataset.read(0) == bytes(range(12))


PIXELS = np.arange(36, dtype=np.uint8).reshape(3, 2, 2, 3)


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("pictures", "Label")])
def test_one_npz(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays: dict[str, Any] = dict(zip(names, (PIXELS, np.array([2, 0, 1])), strict=True))
    np.savez(tmp_path / "set.npz", **arrays)
    dataset = opened(tmp_path, "Npy")
    assert (dataset.kind, dataset.labels) == (Kind.PIXELS, (2, 0, 1))
    np.testing.assert_array_equal(dataset.read(1), PIXELS[1])
    assert dataset.names[1] == "set.npz[1]"


@pytest.mark.parametrize(
    ("labels_name", "named"), [("labels.npy", None), ("truth.npy", "truth.npy")]
)
def test_two_npy_files(tmp_path: Path, labels_name: str, named: str | None) -> None:
    tensors = np.arange(36, dtype=np.float64).reshape(3, 3, 2, 2)
    np.save(tmp_path / "x.npy", tensors)
    np.save(tmp_path / labels_name, np.array([2, 0, 1], np.uint8))
    dataset = opened(tmp_path, "Npy", labels=named)
    assert (dataset.kind, dataset.labels) == (Kind.TENSORS, (2, 0, 1))
    assert dataset.read(2).dtype == np.float32
    np.testing.assert_array_equal(dataset.read(2), tensors[2])


def test_the_samples_own_held_out_set(tmp_path: Path) -> None:
    (tmp_path / "heldout.npz").write_bytes((DIGITS / "heldout.npz").read_bytes())
    dataset = opened(tmp_path, "Npy", classes=10)
    assert (len(dataset), dataset.kind) == (200, Kind.PIXELS)
    assert dataset.read(0).shape == (32, 32, 3)


# The bytes that Python 2 wrote into the authors' files: protocol 2, texts as `str`, the array by
# numpy.core.multiarray._reconstruct. Written by hand, because no Python 2 is here to do it.
def python2_pickle(rows: Any, key: str, labels: list[int]) -> bytes:
    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def whole(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n"
    empty = b"(cnumpy\nndarray\n" + b"(" + whole(0) + b"t" + text(b"b") + b"t"
    dtype = b"cnumpy\ndtype\n(" + text(b"u1") + whole(0) + whole(1) + b"tR"
    dtype += b"(" + whole(3) + text(b"|") + b"NNN" + whole(-1) + whole(-1) + whole(0) + b"tb"
    shape = b"(" + whole(rows.shape[0]) + whole(rows.shape[1]) + b"t"
    state = b"(" + whole(1) + shape + dtype + b"\x89" + text(rows.tobytes()) + b"t"
    array = reconstruct + empty + b"R" + state + b"b"
    numbers = b"](" + b"".join(whole(label) for label in labels) + b"e"
    return (
        b"\x80\x02}("
        + (text(b"filenames") + b"](" + text(b"a.png") + b"e")
        + (text(b"data") + array)
        + (text(key.encode()) + numbers)
        + b"u."
    )


def cifar_rows(count: int = 2) -> Any:
    """Rows whose red plane is the row's number plus 1, green 100, blue 200."""
    rows = np.zeros((count, 3, 32, 32), np.uint8)
    rows[:, 0] = np.arange(1, count + 1).reshape(-1, 1, 1)
    rows[:, 1], rows[:, 2] = 100, 200
    rows[:, 0, 0, 1] = 77  # row 0, column 1: tells height from width
    return rows.reshape(count, 3072)


@pytest.mark.parametrize(
    ("name", "key", "classes"),
    [
        ("cifar-100-python/test", "fine_labels", 100),
        ("cifar-10-batches-py/test_batch", "labels", 10),
        ("cifar-100-python/test", "coarse_labels", 20),
    ],
)
def test_cifar_as_published(tmp_path: Path, name: str, key: str, classes: int) -> None:
    put(tmp_path, {name: python2_pickle(cifar_rows(), key, [7, 3]), "cifar-100-python/meta": b"x"})
    dataset = opened(tmp_path, "CifarPython", classes=classes)
    assert (dataset.labels, dataset.kind) == ((7, 3), Kind.PIXELS)
    picture = dataset.read(1)
    assert picture.shape == (32, 32, 3)
    assert picture[5, 5].tolist() == [2, 100, 200], "RGB, from three planes"
    assert picture[0, 1, 0] == 77
    assert picture[1, 0, 0] == 2


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_cifar_packed_again_by_python_3(tmp_path: Path, protocol: int) -> None:
    batch = {"data": cifar_rows(), "labels": np.array([1, 2])}
    put(tmp_path, {"mine": pickle.dumps(batch, protocol)})
    dataset = opened(tmp_path, "CifarPython", labels="mine", classes=10)
    assert dataset.labels == (1, 2)
    assert dataset.read(0)[5, 5].tolist() == [1, 100, 200]


class Evil:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self._what = (call, arguments)

    def __reduce__(self) -> Any:
        return self._what


def touch(path: str) -> None:
    Path(path).touch()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda trap: Evil(__import__("os").system, f"touch {trap}"), "posix.system"),
        (lambda trap: Evil(eval, f"open({trap!r}, 'w')"), "builtins.eval"),
        (lambda trap: Evil(__import__("subprocess").Popen, ["touch", trap]), "subprocess.Popen"),
        (lambda trap: Evil(getattr, "", "join"), "builtins.getattr"),
        (lambda trap: Evil(np.load, trap), "numpy.load"),
        (lambda trap: Evil(np.array([]).tofile, trap), "builtins.getattr"),
    ],
    ids=["os.system", "eval", "Popen", "getattr", "numpy.load", "a method of an array"],
)
def test_a_malicious_pickle_is_refused_before_it_runs(
    tmp_path: Path, make: Callable[[str], Any], name: str
) -> None:
    trap = tmp_path / "trap"
    folder = tmp_path / "set"
    put(folder, {"test": pickle.dumps({"data": make(str(trap)), "labels": [1]}, 4)})
    message = refusal(folder, "CifarPython", classes=10)
    assert f"wants to load {name}:" in message
    assert "it was not run" in message
    assert not trap.exists()


def many(count: int) -> str:
    return "\n".join(f"class{number}" for number in range(count))


def npz(**values: Any) -> Builder:
    return lambda folder: np.savez(folder / "set.npz", **values)


def files(**content: bytes | str) -> Builder:
    named = {key.replace("__", "/").replace("_dot_", "."): value for key, value in content.items()}
    return lambda folder: put(folder, named)


def cifar(batch: Any) -> Builder:
    return lambda folder: put(folder, {"test": pickle.dumps(batch)})


Y = np.array([0, 1, 2])
BROKEN: list[tuple[str, Builder, str, str | None]] = [
    ("ImageFolder", files(), "needs one folder for each class", None),
    ("ImageFolder", files(cat__a_dot_png=A), "1 class folders and the model 3 classes", None),
    (
        "ImageFolder",
        lambda f: put(f, {**FOLDERS, "classes.txt": "cat\ndog"}),
        'the folder "owl" is no class of classes.txt',
        None,
    ),
    (
        "ImageFolder",
        lambda f: put(f, {**FOLDERS, "classes.txt": "cat\ndog\ncat"}),
        'classes.txt, line 3: the class "cat" is there twice',
        None,
    ),
    (
        "ImageFolder",
        lambda f: put(f, {**FOLDERS, "classes.txt": many(4)}),
        "classes.txt has 4 classes and the model 3",
        None,
    ),
    ("ImageFolder", lambda f: put(f, FOLDERS), 'no file "none.txt"', "none.txt"),
    (
        "ImageFolder",
        lambda f: put(f, {"a/x.txt": "", "b/x.txt": "", "c/x.txt": ""}),
        "no sample of format ImageFolder was found",
        None,
    ),
    ("ImageList", files(a_dot_png=A), "there is no list in it", None),
    (
        "ImageList",
        files(a_dot_txt="", b_dot_csv=""),
        "several text files in it (a.txt, b.csv)",
        None,
    ),
    ("ImageList", files(l_dot_txt="\n# none\n"), "no sample of format ImageList", None),
    ("ImageList", files(l_dot_txt="a.png cat", a_dot_png=A), 'l.txt, line 1: "a.png cat"', None),
    (
        "ImageList",
        files(l_dot_txt="a.png 0\na.png 1", a_dot_png=A),
        "listed in line 1 already",
        None,
    ),
    ("ImageList", files(l_dot_txt="a 0\na.png 1", a_dot_png=A), "line 2: a.png is listed", None),
    ("ImageList", files(l_dot_txt="\na.png 4", a_dot_png=A), "line 2: the label 4 is not", None),
    ("ImageList", files(l_dot_txt="a.png 3", a_dot_png=A), "labels count from 0", None),
    (
        "ImageList",
        files(l_dot_txt="a.png -1", a_dot_png=A),
        "the label -1 is not within 0..2",
        None,
    ),
    ("ImageList", files(l_dot_txt="b 1", a_dot_png=A), 'line 1: there is no file "b"', None),
    ("ImageList", files(l_dot_txt="../b 1", a_dot_png=A), "a path below the list", None),
    ("ImageList", files(l_dot_txt="/etc/b 1", a_dot_png=A), "a path below the list", None),
    (
        "ImageList",
        files(l_dot_txt="a 1", a_dot_png=A, a_dot_jpg=A),
        "several files (a.jpg and",
        None,
    ),
    ("ImageList", files(l_dot_txt=b"\xff\xfe1"), "l.txt is no text in UTF-8", None),
    ("RawBin", files(l_dot_txt="a 1", a_dot_bin=b"123"), "a.bin has 3 bytes; one sample", None),
    ("RawBin", files(l_dot_txt="a.png 1", a_dot_png=A), "with or without .bin", None),
    ("Npy", files(), "Npy needs one .npz, or x.npy and labels.npy; found: neither", None),
    ("Npy", files(a_dot_npz=b"PK"), "a.npz holds no NumPy array", None),
    ("Npy", files(x_dot_npy=b"no", labels_dot_npy=b"no"), "x.npy holds no NumPy array", None),
    ("Npy", npz(a=PIXELS, b=Y), "holds the arrays a, b; it needs x and y", None),
    ("Npy", npz(x=PIXELS, y=Y[:2]), "2 labels for 3 samples", None),
    ("Npy", npz(x=PIXELS, y=Y + 1), "set.npz[2]: the label 3 is not within 0..2", None),
    ("Npy", npz(x=PIXELS, y=Y / 2), "the labels are float64 [3]", None),
    ("Npy", npz(x=PIXELS, y=np.eye(3, dtype=int)), "must be one whole number a sample", None),
    ("Npy", npz(x=PIXELS[0], y=Y), "set.npz holds uint8 [2, 2, 3]; it must be", None),
    ("Npy", npz(x=PIXELS.transpose(0, 3, 1, 2), y=Y), "set.npz holds uint8 [3, 3, 2, 2]", None),
    ("Npy", npz(x=PIXELS[:0], y=Y[:0]), "no sample of format Npy", None),
    ("Npy", npz(x=np.array([{}, 1, 2]), y=Y), "Python objects; save plain numbers", None),
    ("CifarPython", files(a=b"x"), "needs one file test or test_batch, there are 0", None),
    ("CifarPython", files(test=b"no pickle"), "test is no CIFAR file (UnpicklingError)", None),
    ("CifarPython", files(test=b""), "test is no CIFAR file (EOFError)", None),
    ("CifarPython", cifar([1, 2]), "it holds no dictionary", None),
    ("CifarPython", cifar({"labels": [1]}), "it needs data [n, 3072] and fine_labels", None),
    ("CifarPython", cifar({"data": cifar_rows(), "labels": ["a", "b"]}), "whole numbers", None),
    ("CifarPython", cifar({"data": cifar_rows(), "labels": [1]}), "1 labels for 2 samples", None),
    ("CifarPython", cifar({"data": cifar_rows(), "labels": [1, 9]}), "test[1]: the label 9", None),
    (
        "CifarPython",
        cifar({"data": cifar_rows().astype(object), "labels": [1, 2]}),
        "an array of another kind than whole numbers",
        None,
    ),
    ("Zip", files(), 'the format "Zip" is not known; write one of ImageFolder', None),
]


@pytest.mark.parametrize(
    ("kind", "build", "words", "labels"), BROKEN, ids=[case[2][:40] for case in BROKEN]
)
def test_bad_data_is_a_sentence(
    tmp_path: Path, kind: str, build: Builder, words: str, labels: str | None
) -> None:
    build(tmp_path)
    assert words in refusal(tmp_path, kind, labels=labels)


def test_a_link_out_of_the_set_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path, {"secret.png": A, "set/l.txt": "a 1"})
    (tmp_path / "set/a.png").symlink_to(tmp_path / "secret.png")
    assert 'there is no file "a"' in refusal(tmp_path / "set", "ImageList")


def test_the_digest_is_of_names_and_bytes(tmp_path: Path) -> None:
    put(tmp_path, FOLDERS)
    first = digest_of(opened(tmp_path, "ImageFolder"), tmp_path)
    assert first == digest_of(opened(tmp_path, "ImageFolder"), tmp_path)
    put(tmp_path, {"cat/b.png": C})
    assert digest_of(opened(tmp_path, "ImageFolder"), tmp_path) != first
