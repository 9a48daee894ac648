"""The templates, compiled once. jinja2 and yaml are used here only."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import orjson
import yaml

PACKAGES = Path(__file__).resolve().parents[2]
# A wheel has templates/ inside the package; repository and image have it beside operator/.
INSTALLED = PACKAGES / "resnet_operator" / "templates"
TEMPLATES = INSTALLED if INSTALLED.is_dir() else PACKAGES.parent / "templates"
RUNTIME_FILES = PACKAGES / "resnet_runtime"
DRIVER_FILES = PACKAGES / "resnet_jobs" / "driver"
# Begins what stands for a value in a rendered text; nobody writes this character in a template.
MARK = "\ue000"
# What most values are, and need no copy.
SCALARS = frozenset({str, int, float, bool, type(None)})


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


@functools.cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


def render_text(template: str, **context: Any) -> str:
    """Render one template as text."""
    return _template(template).render(**context)


def render_all(template: str, **context: Any) -> list[dict[str, Any]]:
    """Render a template of one or more YAML documents.

    Objects differ in their values and seldom in their shape, and parsing is what costs: so the
    text with marks in place of the values is parsed once, and then only filled.
    """
    holes: list[Any] = []
    text = render_text(template, **context, holes=holes)
    values = [_plain(value) for value in holes]
    return [fill(values) for fill in _parse(text)]


Fill = Callable[[list[Any]], Any]


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> tuple[Fill, ...]:
    return tuple(_filler(node) for node in yaml.load_all(text, Loader=yaml.CSafeLoader))


def _filler(node: Any) -> Fill:
    """Return what makes a copy of a parsed document with the values in place of the marks.

    Most of a document has no marks: that is copied as a whole, from its JSON.
    """
    if isinstance(node, str) and node.startswith(MARK):
        return operator.itemgetter(int(node[1:]))
    if not _is_marked(node):
        if not isinstance(node, dict | list):
            return lambda _: node
        copied = orjson.dumps(node)
        return lambda _: orjson.loads(copied)
    if isinstance(node, list):
        items = [_filler(item) for item in node]
        return lambda values: [item(values) for item in items]
    fields = [(_filler(key), _filler(item)) for key, item in node.items()]
    return lambda values: {key(values): item(values) for key, item in fields}


def _is_marked(node: Any) -> bool:
    if isinstance(node, str):
        return node.startswith(MARK)
    if isinstance(node, dict):
        return any(_is_marked(key) or _is_marked(item) for key, item in node.items())
    return isinstance(node, list) and any(_is_marked(item) for item in node)


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it, without enums and tuples, and always in one order."""
    if type(value) in SCALARS:
        return value
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
