"""Archives of strangers: what comes out of them, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from resnet_jobs.base.archive import Unpacked, is_archive, unpack
from resnet_jobs.base.errors import JobError, Reason

FILES = {"n01/a.png": b"a" * 5000, "n01/b.png": b"b", "n02/deep/c.png": b""}
# As programs on Windows write it, folders as entries of their own.
WINDOWS = {"n01\\": b"", **{name.replace("/", "\\"): data for name, data in FILES.items()}}
Build = Callable[[Path], None]


def tar(members: list[tuple[str, bytes | None, bytes]], *, mode: str = "w") -> Build:
    """`members` are name, content or None, and type."""

    def build(path: Path) -> None:
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            for name, data, kind in members:
                member = tarfile.TarInfo(name)
                member.type = kind
                member.size = len(data or b"")
                member.linkname = "/etc/passwd"
                archive.addfile(member, io.BytesIO(data or b""))

    return build


def plain(files: dict[str, bytes], mode: str) -> Build:
    return tar([(name, data, tarfile.REGTYPE) for name, data in files.items()], mode=mode)


def zipped(files: dict[str, bytes], *, attributes: int = 0) -> Build:
    def build(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                member = zipfile.ZipInfo(name)
                member.external_attr = attributes << 16
                archive.writestr(member, data, zipfile.ZIP_DEFLATED)

    return build


def unpacked(tmp_path: Path, name: str, build: Build) -> tuple[Unpacked, dict[str, bytes]]:
    path, folder = tmp_path / "arrived", tmp_path / "set"
    build(path)
    found = unpack(path, folder, name=name, monotonic=lambda: 0.0)
    files = [entry for entry in folder.rglob("*") if not entry.is_dir()]
    return found, {str(file.relative_to(folder)): file.read_bytes() for file in files}


def parted(path: Path) -> None:
    """A .tgz of two gzip members, with the zeros behind that tapes leave."""
    plain(FILES, "w")(path)
    data = path.read_bytes()
    path.write_bytes(gzip.compress(data[:700]) + gzip.compress(data[700:]) + bytes(1024))


GOOD: list[tuple[str, str, Build]] = [
    ("tar", "set.tar", plain(FILES, "w")),
    ("tar.gz", "set.tar.gz", plain(FILES, "w:gz")),
    ("tgz in capitals", "SET.TGZ", plain(FILES, "w:gz")),
    ("zip", "set.zip", zipped(FILES)),
    ("zip, made on Windows", "set.zip", zipped(WINDOWS)),
    ("the name says gz, and it is not", "set.tar.gz", plain(FILES, "w")),
    (
        "gzip in two parts",
        "set.tgz",
        parted,
    ),
    (
        "as tar writes the folder it stands in",
        "set.tar",
        plain({f"./{name}": data for name, data in FILES.items()}, "w"),
    ),
    (
        "a folder of its own is no file",
        "set.tar",
        tar(
            [("n01", None, tarfile.DIRTYPE)]
            + [(name, data, tarfile.REGTYPE) for name, data in FILES.items()]
        ),
    ),
    (
        "what the Finder adds stays out",
        "set.zip",
        zipped({**FILES, "__MACOSX/n01/._a.png": b"x", "n01/._a.png": b"x", ".DS_Store": b"x"}),
    ),
]


@pytest.mark.parametrize(("why", "name", "build"), GOOD, ids=[g[0] for g in GOOD])
def test_what_comes_out(why: str, name: str, build: Build, tmp_path: Path) -> None:
    assert is_archive(name)
    found, files = unpacked(tmp_path, name, build)
    assert files == FILES, why
    assert found == Unpacked(files=3, size=5001)


def encrypted(path: Path) -> None:
    zipped(FILES)(path)
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(signature, at + 4)
    path.write_bytes(bytes(data))


def cut(build: Build, left: float) -> Build:
    def made(path: Path) -> None:
        build(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * left)])

    return made


def scratched(build: Build, place: float) -> Build:
    def made(path: Path) -> None:
        build(path)
        data = bytearray(path.read_bytes())
        data[int((len(data) - 1) * place)] ^= 0xFF
        path.write_bytes(bytes(data))

    return made


def understated(path: Path) -> None:
    """A zip whose directory says that the first file is small."""
    zipped({"a": b"x" * 100_000})(path)
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(bytes(data))


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 10)


def method(number: int) -> Build:
    """A zip by a method of compression that Python lacks, as newer programs choose it."""

    def build(path: Path) -> None:
        zipped({"a": b"x" * 100})(path)
        data = bytearray(path.read_bytes())
        for signature, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            at = data.find(signature) + place
            data[at : at + 2] = struct.pack("<H", number)
        path.write_bytes(bytes(data))

    return build


def elsewhere(path: Path) -> None:
    """A zip whose directory says that a file lies before the archive begins."""
    zipped({"a": b"x", "b": b"y"})(path)
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\x05\x06")
    data[end + 16 : end + 20] = struct.pack("<I", len(data))
    path.write_bytes(bytes(data))


def unnamed(path: Path) -> None:
    zipped({"a": b"x"})(path)
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 28 : at + 30], data[at + 46 : at + 47] = struct.pack("<H", 0), b""
    end = data.rfind(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", end - at)
    path.write_bytes(bytes(data))


def packed(compress: Callable[[bytes], bytes], kind: int) -> Build:
    """Damage in the middle of a compression, which each library tells in its own way."""

    def build(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a", bytes(range(256)) * 40, kind)
        data = path.read_bytes()
        at = data.find(compress(b"")[:2]) + 12 if kind == zipfile.ZIP_BZIP2 else 60
        path.write_bytes(data[:at] + b"\xff" * 8 + data[at + 8 :])

    return build


def twice(path: Path) -> None:
    """`cat one.tar two.tar`: readers end where the first does."""
    plain({"a": b"x"}, "w")(path)
    one = path.read_bytes()
    plain({"b": b"y"}, "w")(path)
    path.write_bytes(one + path.read_bytes())


def pax(**headers: str) -> Build:
    def build(path: Path) -> None:
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            member = tarfile.TarInfo("a")
            member.pax_headers = {key.replace("_", "."): value for key, value in headers.items()}
            archive.addfile(member)

    return build


def of(head: bytes) -> Build:
    def build(path: Path) -> None:
        path.write_bytes(head.ljust(3000, b"\1") if head else b"")

    return build


REG = tarfile.REGTYPE
REFUSED: list[tuple[str, str, Build, str]] = [
    ("out of it", "s.tar", tar([("../x", b"x", REG)]), "leads out of it"),
    ("out of it, on a detour", "s.tar", tar([("a/../../x", b"x", REG)]), "leads out of it"),
    ("an absolute path", "s.tar.gz", tar([("/tmp/x", b"x", REG)], mode="w:gz"), "leads out of it"),
    ("out of it by a folder", "s.tar", tar([("../x", None, tarfile.DIRTYPE)]), "leads out"),
    ("out of it by zip", "s.zip", zipped({"../x": b"x"}), "leads out of it"),
    ("an absolute path in a zip", "s.zip", zipped({"/tmp/x": b"x"}), "leads out of it"),
    ("as Windows writes it", "s.zip", zipped({"..\\x": b"x"}), "leads out of it"),
    ("deeper, as Windows writes it", "s.zip", zipped({"a\\..\\..\\x": b"x"}), "leads out of it"),
    ("a drive of Windows", "s.zip", zipped({"C:\\x": b"x"}), "leads out of it"),
    ("another computer's share", "s.zip", zipped({"\\\\host\\x": b"x"}), "leads out of it"),
    ("a link", "s.tar", tar([("a", None, tarfile.SYMTYPE)]), "--dereference"),
    ("a second name", "s.tar", tar([("a", None, tarfile.LNKTYPE)]), "--hard-dereference"),
    ("a link in a zip", "s.zip", zipped({"a": b"/etc"}, attributes=stat.S_IFLNK), "without -y"),
    ("a device", "s.tar", tar([("a", None, tarfile.CHRTYPE)]), "which is no file"),
    ("a disk", "s.tar", tar([("a", None, tarfile.BLKTYPE)]), "which is no file"),
    ("a pipe", "s.tar", tar([("a", None, tarfile.FIFOTYPE)]), "which is no file"),
    ("nothing", "s.tar", tar([]), "holds no files"),
    ("folders only", "s.tar", tar([("a", None, tarfile.DIRTYPE)]), "holds no files"),
    ("an empty zip", "s.zip", zipped({}), "holds no files"),
    ("a password", "s.zip", encrypted, "is encrypted"),
    ("half a tar", "s.tar", cut(plain(FILES, "w"), 0.2), "is damaged or not what its name says"),
    ("half a gz", "s.tar.gz", cut(plain(FILES, "w:gz"), 0.7), "is damaged"),
    ("half a zip", "s.zip", cut(zipped(FILES), 0.5), "is damaged"),
    ("a scratch in a gz", "s.tgz", scratched(plain(FILES, "w:gz"), 0.5), "is damaged"),
    ("a gz with a wrong sum", "s.tgz", scratched(plain(FILES, "w:gz"), 0.98), "is damaged"),
    ("a scratch in an xz", "s.tar", scratched(plain(FILES, "w:xz"), 0.5), "is damaged"),
    ("a scratch in a zip", "s.zip", scratched(zipped(FILES), 0.1), "is damaged"),
    ("noise", "s.tar", noise, "is damaged"),
    ("noise as a zip", "s.zip", noise, "is damaged"),
    ("a size that is a lie", "s.zip", understated, "is damaged"),
    (
        "a file that is a folder, too",
        "s.tar",
        tar([("a", b"x", REG), ("a/b", b"x", REG)]),
        "a file and a folder of one name",
    ),
    (
        "a folder that is a file, too",
        "s.tar",
        tar([("a/b", b"x", REG), ("a", b"x", REG)]),
        "a file and a folder of one name",
    ),
    ("one name twice", "s.tar", tar([("a", b"1", REG), ("a", b"2", REG)]), 'holds "a" twice'),
    ("twice, by two signs", "s.zip", zipped({"d/a": b"1", "d\\a": b"2"}), 'holds "d/a" twice'),
    ("two archives put together", "s.tar", twice, "goes on behind its end"),
    ("a file without a name", "s.zip", unnamed, "without a name"),
    ("a place before the file", "s.zip", elsewhere, "is damaged"),
    ("a method of newer programs", "s.zip", method(93), "is damaged"),
    ("AES, which hides its method", "s.zip", method(99), "is damaged"),
    ("a scratch in bzip2", "s.zip", packed(bz2.compress, zipfile.ZIP_BZIP2), "is damaged"),
    ("a scratch in LZMA", "s.zip", packed(lzma.compress, zipfile.ZIP_LZMA), "is damaged"),
    ("a sparse file of no size", "s.tar", pax(GNU_sparse_size="x"), "is damaged"),
    ("out of it by an extended header", "s.tar", pax(path="../x"), "leads out of it"),
    ("longer by an extended header", "s.tar", pax(size="999999"), "is damaged"),
    ("folders without an end", "s.tar", tar([("a/" * 2000 + "b", b"x", REG)]), "is damaged"),
    ("a 7-Zip archive", "s.zip", of(b"7z\xbc\xaf\x27\x1c"), "is a 7-Zip archive: pack it as .tar"),
    ("a RAR archive", "s.zip", of(b"Rar!\x1a\7\0"), "is a RAR archive"),
    ("Zstandard", "s.tar", of(b"\x28\xb5\x2f\xfd"), "is a Zstandard archive"),
    ("a page for a login", "s.tgz", of(b"<html>"), "is a web page"),
    ("a page with a mark", "s.zip", of(b"\xef\xbb\xbf\n<!doctype html>"), "is a web page"),
    ("Git LFS's pointer", "s.zip", of(b"version https://git-lfs"), "is a Git LFS pointer"),
    ("a zip that is called tar", "s.tar.gz", zipped(FILES), "is a ZIP archive by its content"),
    ("a tar that is called zip", "s.zip", plain(FILES, "w"), "is a tar archive by its content"),
    ("a tar.gz that is called zip", "s.zip", plain(FILES, "w:gz"), "is a gzip archive by its"),
    ("empty", "s.tar.gz", of(b""), "is empty"),
    ("a name that no disk takes", "s.tar", tar([("a" * 300, b"x", REG)]), "a name that is too"),
]


@pytest.mark.parametrize(("why", "name", "build", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refused(why: str, name: str, build: Build, want: str, tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        unpacked(tmp_path, name, build)
    assert (caught.value.reason, caught.value.exit_code) == (Reason.INVALID_SPEC, 64), why
    assert want in caught.value.message
    assert not (tmp_path / "x").exists()
    assert not any(entry.is_symlink() for entry in tmp_path.rglob("*"))


def bomb(path: Path) -> None:
    """64 MiB in 64 KiB."""
    with gzip.open(path, "wb") as file, tarfile.open(fileobj=file, mode="w|") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = 64 * 1024 * 1024
        archive.addfile(member, io.BytesIO(bytes(member.size)))


def many(path: Path) -> None:
    """Each file has room, all of them have not."""
    plain({str(number): bytes(300_000) for number in range(8)}, "w:gz")(path)


BOMBS: list[tuple[str, str, Build, int]] = [
    ("one file, by its header", "s.tar.gz", bomb, 0),
    ("the same as a zip", "s.zip", zipped({"zeros": bytes(64 * 1024 * 1024)}), 0),
    ("many small ones", "s.tar.gz", many, 3),
]


@pytest.mark.parametrize(("why", "name", "build", "written"), BOMBS, ids=[b[0] for b in BOMBS])
def test_bombs_end_where_the_disk_does(
    why: str, name: str, build: Build, written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk of one mebibyte, less what was unpacked already."""
    folder = tmp_path / "set"

    def usage(_: Path) -> SimpleNamespace:
        used = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        return SimpleNamespace(free=1024 * 1024 - used)

    monkeypatch.setattr("resnet_jobs.base.files.shutil.disk_usage", usage)
    with pytest.raises(JobError) as caught:
        unpacked(tmp_path, name, build)
    assert (caught.value.reason, caught.value.exit_code) == (Reason.EPHEMERAL_STORAGE_EXCEEDED, 84)
    assert len(list(folder.iterdir())) == written, why
