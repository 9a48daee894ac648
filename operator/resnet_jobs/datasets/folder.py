"""ImageFolder: one folder of pictures for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
from resnet_jobs.datasets.base import (
    Dataset,
    Kind,
    Layout,
    invalid,
    of_files,
    pictures_in,
    text_lines,
    visible,
)

CLASSES_FILE = "classes.txt"


def open_image_folder(layout: Layout) -> Dataset:
    """One folder a class. Its number is its place in classes.txt, else among the sorted names."""
    listed = layout.labels_path
    root = listed.parent if listed is not None else _root(layout.folder)
    if listed is None and (root / CLASSES_FILE).is_file():
        listed = root / CLASSES_FILE
    folders = sorted((path for path in visible(root) if path.is_dir()), key=lambda path: path.name)
    if not folders:
        raise invalid("ImageFolder needs one folder for each class, with pictures inside")
    if listed is not None:
        numbers = _numbers(listed, layout)
    elif len(folders) == layout.classes:
        numbers = {path.name: number for number, path in enumerate(folders)}
    else:
        raise invalid(
            f"it has {len(folders)} class folders and the model {layout.classes} classes: add a "
            f"{CLASSES_FILE} with the class names in the model's order, one a line"
        )
    files: list[Path] = []
    labels: list[int] = []
    for folder in folders:
        if folder.name not in numbers:
            name = listed.name if listed is not None else CLASSES_FILE
            raise invalid(f'the folder "{folder.name}" is no class of {name}')
        found = pictures_in(folder)
        files += found
        labels += [numbers[folder.name]] * len(found)
    return of_files(Kind.ENCODED, files, labels, layout=layout)


def _root(folder: Path) -> Path:
    """The folder with the class folders: archives often have one more around them."""
    while True:
        entries = visible(folder)
        if len(entries) != 1 or not any(path.is_dir() for path in _entries(entries[0])):
            return folder
        folder = entries[0]


def _entries(path: Path) -> list[Path]:
    return visible(path) if path.is_dir() else []


def _numbers(path: Path, layout: Layout) -> dict[str, int]:
    """Class name to number. Lines of ImageNet's "n01440764 tench" count by their first word too."""
    numbers: dict[str, int] = {}
    lines = [(place, text) for place, text in text_lines(path)]
    if len(lines) > layout.classes:
        raise invalid(f"{path.name} has {len(lines)} classes and the model {layout.classes}")
    for number, (place, text) in enumerate(lines):
        if numbers.setdefault(text, number) != number:
            raise invalid(f'{path.name}, line {place}: the class "{text}" is there twice')
    for number, (_, text) in enumerate(lines):
        numbers.setdefault(text.split()[0], number)
    return numbers
