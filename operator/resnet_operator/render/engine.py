"""The templates, compiled once. jinja2 and yaml are used here only."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
# A mark as it stands in JSON.
MARKED = re.compile(f'"{MARK}([0-9]+)"'.encode())
# So many of the last renderings are kept: those of the objects that are being looked at.
MOST_RENDERED = 64


def _pb_string(value: str) -> str:
    # A protobuf text string: JSON's escapes are a subset of its own for printable text.
    return json.dumps(value, ensure_ascii=False)


@jinja2.pass_context
def _hole(context: jinja2.runtime.Context, value: Any) -> str:
    """Keep a value aside and leave a mark: what users write never passes through YAML."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises
    holes: list[bytes] = context["holes"]
    # Always in one order, whatever it was declared in.
    holes.append(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
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


def rendered_for(name: str, template: str, **context: Any) -> str:
    """Render a template as text whose `name` is all that tells most objects apart.

    It is rendered once with a mark in the place of the name, for all that are alike but for it.
    """
    values = orjson.dumps(context, default=_plain)
    if MARK.encode() in values:
        return render_text(template, name=name, **orjson.loads(values))
    return _marked(template, values).replace(_pb_string(MARK), _pb_string(name))


@functools.lru_cache(maxsize=MOST_RENDERED)
def _marked(template: str, values: bytes) -> str:
    return render_text(template, name=MARK, **orjson.loads(values))


def render_all(template: str, **context: Any) -> list[dict[str, Any]]:
    """Render a template of one or more YAML documents; each answer is the caller's own.

    The same values make the same documents: plans ask again and again for what they asked for
    before, and are answered from what was rendered last.
    """
    values = orjson.dumps(context, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return [orjson.loads(document) for document in _documents(template, values)]


@functools.lru_cache(maxsize=MOST_RENDERED)
def _documents(template: str, values: bytes) -> tuple[bytes, ...]:
    """Return the documents as JSON, rendered with values that are known as JSON alone.

    Objects differ in their values and seldom in their shape, and parsing is what costs: so the
    text with marks in place of the values is parsed once, and then only filled.
    """
    holes: list[bytes] = []
    text = render_text(template, **orjson.loads(values), holes=holes)
    return tuple(shape.filled(holes) for shape in _parse(text))


@dataclass(frozen=True, slots=True)
class Shape:
    """A parsed document as JSON, cut at its marks: `numbers` are of the holes between `parts`."""

    parts: tuple[bytes, ...]
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, document: Any) -> Shape:
        parts = MARKED.split(orjson.dumps(document))
        return cls(tuple(parts[::2]), tuple(map(int, parts[1::2])))

    def filled(self, holes: Sequence[bytes]) -> bytes:
        first, *rest = self.parts
        pairs = zip(self.numbers, rest, strict=True)
        return b"".join((first, *(text for at, part in pairs for text in (holes[at], part))))


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> tuple[Shape, ...]:
    return tuple(Shape.of(node) for node in yaml.load_all(text, Loader=yaml.CSafeLoader))


def _plain(value: Any) -> Any:
    """Return what JSON knows of a value that it does not know."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be rendered")


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
