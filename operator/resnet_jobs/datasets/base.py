"""Labelled pictures for the evaluator: five layouts on disk, one way to read them.

`open_dataset` looks at every name and label before anything expensive starts, so that a wrong line
is told in the first second and not after the whole set was measured. A picture's bytes are read
only when its turn comes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.files import digest_file
from resnet_jobs.pictures import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


FIELD = "spec.validation.dataset: "
IGNORED = ("__MACOSX",)  # what a Mac adds to archives


class Kind(Enum):
    """What reading a sample gives."""

    ENCODED = "picture files"  # bytes of a JPEG, PNG, …
    PIXELS = "uint8 pictures"  # RGB [H, W, 3]
    TENSORS = "float tensors"  # [C, H, W], what the network takes
    RAW = "raw input files"  # bytes of the served input


@dataclass(frozen=True)
class Dataset:
    """Samples with their labels; `read(i)` gives sample i, whose name for people is `names[i]`."""

    kind: Kind
    names: Sequence[str]
    labels: tuple[int, ...]
    read: Callable[[int], Any]
    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        return ((self.read(index), label) for index, label in enumerate(self.labels))


@dataclass(frozen=True)
class Layout:
    """Where the set lies and what it has to fit: `sample_bytes` is the size of one served input."""

    folder: Path
    labels: str | None
    classes: int
    sample_bytes: int

    @property
    def labels_path(self) -> Path | None:
        """The file that the order names; `InvalidSpec` when it is not there."""
        if self.labels is None:
            return None
        path = self.folder / self.labels
        if not path.is_file() or not is_inside(path, self.folder):
            raise invalid(
                f'there is no file "{self.labels}" (spec.validation.dataset.labels) in it'
            )
        return path


def of_files(kind: Kind, files: list[Path], labels: list[int], *, layout: Layout) -> Dataset:
    """A data set of one file a sample, read when asked for."""

    def read(index: int) -> bytes:
        return files[index].read_bytes()

    names = tuple(path.relative_to(layout.folder).as_posix() for path in files)
    return Dataset(
        kind=kind, names=names, labels=tuple(labels), read=read, files=tuple(sorted(set(files)))
    )


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, text) of what is no comment and not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(f"{path.name} is no text in UTF-8") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def check_label(label: int, classes: int, *, where: str) -> int:
    """The label; `InvalidSpec` when the model has no such class."""
    if not 0 <= label < classes:
        hint = ": labels count from 0, subtract 1" if label == classes else ""
        raise invalid(f"{where}: the label {label} is not within 0..{classes - 1}{hint}")
    return label


def visible(folder: Path) -> list[Path]:
    """The entries that a person put there."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.name not in IGNORED
    ]


def all_files(folder: Path) -> list[Path]:
    """All files below the folder, sorted, without hidden ones; links out of it do not count."""
    found: list[Path] = []
    for path in visible(folder):
        if path.is_dir() and not path.is_symlink():
            found += all_files(path)
        elif path.is_file() and (not path.is_symlink() or is_inside(path, folder)):
            found.append(path)
    return found


def pictures_in(folder: Path) -> list[Path]:
    return [path for path in all_files(folder) if path.suffix.lower() in SUFFIXES]


def is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def digest_of(dataset: Dataset, folder: Path) -> str:
    """The set's own name: SHA-256 over its files' sorted "path sha256" lines."""
    checksum = hashlib.sha256()
    for path in dataset.files:
        name = path.relative_to(folder).as_posix()
        checksum.update(f"{name} {digest_file(path).sha256}\n".encode())
    return checksum.hexdigest()


def invalid(message: str) -> JobError:
    return JobError(Reason.INVALID_SPEC, f"{FIELD}{message}")
