"""The templates, compiled once. jinja2 and yaml are used here only."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "templates"
RUNTIME_FILES = ROOT / "operator" / "resnet_runtime"


def _pb_string(value: str) -> str:
    # A protobuf text string: JSON's escapes are a subset of its own for printable text.
    return json.dumps(value, ensure_ascii=False)


def _yaml_json(value: Any) -> str:
    # jinja2's own tojson writes an emoji as two surrogates, which YAML does not put together.
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return re.sub(r"[^ -~]", lambda found: f"\\U{ord(found[0]):08x}", text)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, where every value passes tojson
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"pb": _pb_string, "tojson": _yaml_json}
    return environment


def render_text(template: str, **context: Any) -> str:
    """Render one template as text."""
    return _environment().get_template(template).render(**context)


def render_all(template: str, **context: Any) -> list[dict[str, Any]]:
    """Render a template of one or more YAML documents."""
    text = render_text(template, **context)
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


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
def runtime_files() -> tuple[str, ...]:
    """Return the names of the files of `resnet_runtime`."""
    return tuple(sorted(path.name for path in RUNTIME_FILES.glob("*.py")))
