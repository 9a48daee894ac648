"""The templates, compiled once. jinja2 and yaml are used here only."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

PACKAGES = Path(__file__).resolve().parents[2]
# A wheel has templates/ inside the package; repository and image have it beside operator/.
INSTALLED = PACKAGES / "resnet_operator" / "templates"
TEMPLATES = INSTALLED if INSTALLED.is_dir() else PACKAGES.parent / "templates"
RUNTIME_FILES = PACKAGES / "resnet_runtime"
DRIVER_FILES = PACKAGES / "resnet_jobs" / "driver"
# Begins what stands for a value in a rendered text; nobody writes this character in a template.
MARK = "\ue000"


def _pb_string(value: str) -> str:
    # A protobuf text string: JSON's escapes are a subset of its own for printable text.
    return json.dumps(value, ensure_ascii=False)


@jinja2.pass_context
def _hole(context: jinja2.runtime.Context, value: Any) -> str:
    """Keep a value aside and leave a mark: what users write never passes through YAML."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises
    holes: list[Any] = context["holes"]
    holes.append(value)
    return f'"{MARK}{len(holes) - 1}"'


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"pb": _pb_string, "tojson": _hole}
    return environment


def render_text(template: str, **context: Any) -> str:
    """Render one template as text."""
    return _environment().get_template(template).render(**context)


def render_all(template: str, **context: Any) -> list[dict[str, Any]]:
    """Render a template of one or more YAML documents.

    Objects differ in their values and seldom in their shape, and parsing is what costs: so the
    text with marks in place of the values is parsed once, and then only filled.
    """
    holes: list[Any] = []
    text = render_text(template, **context, holes=holes)
    values = [_plain(value) for value in holes]
    return [_fill(document, values) for document in _parse(text)]


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> tuple[Any, ...]:
    return tuple(yaml.load_all(text, Loader=yaml.CSafeLoader))


def _fill(node: Any, values: list[Any]) -> Any:
    """Return a copy of a parsed document with the values in place of the marks."""
    if isinstance(node, str):
        return values[int(node[1:])] if node.startswith(MARK) else node
    if isinstance(node, dict):
        return {_fill(key, values): _fill(item, values) for key, item in node.items()}
    if isinstance(node, list):
        return [_fill(item, values) for item in node]
    return node


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it, without enums and tuples, and always in one order."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def render_one(template: str, **context: Any) -> dict[str, Any]:
    """Render a template of one YAML document."""
    (value,) = render_all(template, **context)
    return value


@functools.cache
def read_template(name: str) -> str:
    """Return a template's text as it is."""
    return (TEMPLATES / name).read_text()


@functools.cache
def read_runtime_file(name: str) -> str:
    """Return the text of one file of `resnet_runtime`."""
    return (RUNTIME_FILES / name).read_text()


@functools.cache
def read_driver_file(name: str) -> str:
    """Return the text of one of the scripts that run in foreign images."""
    return (DRIVER_FILES / name).read_text()


@functools.cache
def runtime_files() -> tuple[str, ...]:
    """Return the names of the files of `resnet_runtime`."""
    return tuple(sorted(path.name for path in RUNTIME_FILES.glob("*.py")))
