"""YAML by the parser of C: Python's takes ten times as long, half a second for the chart's CRDs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable


def read(text: str) -> Any:
    """Return the one document of a text."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def read_all(text: str) -> list[Any]:
    """Return the documents of a text, without those that say nothing, as charts have them."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def write_all(documents: Iterable[Any]) -> str:
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper)
