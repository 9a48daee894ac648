"""Data sets that a text file lists: ImageList and RawBin, one line "file label" a sample.

`datasets.open_dataset` calls this. The reference guides write such lists by hand or by a script
("img0 49", without the suffix, the pictures in a folder beside), so the search is forgiving; what
is ambiguous or missing is refused with its line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from resnet_jobs.datasets.base import (
    Dataset,
    Kind,
    Layout,
    all_files,
    check_label,
    invalid,
    of_files,
    text_lines,
)
from resnet_jobs.pictures import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LINE = re.compile(r"(?P<name>.+?)(?:\s*,\s*|\s+)(?P<label>-?\d+)")
LIST_SUFFIXES = (".txt", ".lst", ".list", ".csv")


def open_image_list(layout: Layout) -> Dataset:
    """Picture files, of any folder below the data set's."""
    files, labels = _read_list(layout, SUFFIXES)
    return of_files(Kind.ENCODED, files, labels, layout=layout)


def open_raw_bin(layout: Layout) -> Dataset:
    """One .bin a sample: the bytes of the served input, as a client would send them."""
    files, labels = _read_list(layout, (".bin",))
    for path in files:
        size = path.stat().st_size
        if size != layout.sample_bytes:
            raise invalid(
                f"{path.relative_to(layout.folder)} has {size} bytes; one sample of the served "
                f"input has {layout.sample_bytes}"
            )
    return of_files(Kind.RAW, files, labels, layout=layout)


def _read_list(layout: Layout, suffixes: tuple[str, ...]) -> tuple[list[Path], list[int]]:
    everything = all_files(layout.folder)
    path = layout.labels_path or _only_list(everything)
    index = _Index(everything, beside=path.parent, suffixes=suffixes)
    files: list[Path] = []
    labels: list[int] = []
    lines: dict[Path, int] = {}
    for number, text in text_lines(path):
        where = f"{path.name}, line {number}"
        match = LINE.fullmatch(text)
        if match is None:
            raise invalid(f'{where}: "{text[:60]}" is not a file and a number, such as "img0 49"')
        file = index.find(match["name"], where=where)
        if file in lines:
            raise invalid(f"{where}: {file.name} is listed in line {lines[file]} already")
        lines[file] = number
        files.append(file)
        labels.append(check_label(int(match["label"]), layout.classes, where=where))
    return files, labels


def _only_list(files: list[Path]) -> Path:
    found = [path for path in files if path.suffix.lower() in LIST_SUFFIXES]
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found[:5])
    raise invalid(
        f"there are several text files in it ({names}): name the list in labels"
        if found
        else 'there is no list in it: a text file with lines such as "img0.png 49"'
    )


class _Index:
    """Finds the file of a line: beside the list, else wherever the name is the only one."""

    def __init__(self, files: Iterable[Path], *, beside: Path, suffixes: tuple[str, ...]) -> None:
        self._beside = beside
        self._suffixes = suffixes
        self._known = {path for path in files if path.suffix.lower() in suffixes}
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(self._known):
            for key in {path.name, path.stem}:
                self._by_name.setdefault(key, []).append(path)
        self._by_stem: dict[Path, list[Path]] = {}
        for path in sorted(self._known):
            self._by_stem.setdefault(path.with_suffix(""), []).append(path)

    def find(self, name: str, *, where: str) -> Path:
        if name.startswith("/") or ".." in name.split("/"):
            raise invalid(f'{where}: "{name[:60]}" must be a path below the list, without ".."')
        path = self._beside / name
        if path in self._known:
            return path
        found = self._by_stem.get(path) or self._by_name.get(name.rsplit("/", 1)[-1], [])
        if len(found) == 1:
            return found[0]
        if found:
            both = " and ".join(
                str(one.relative_to(self._beside))
                for one in found[:2]
                if one.is_relative_to(self._beside)
            )
            raise invalid(f'{where}: "{name[:60]}" may be several files ({both}): add the suffix')
        kinds = ", ".join(self._suffixes)
        raise invalid(f'{where}: there is no file "{name[:60]}" (with or without {kinds})')
