"""From a file to a resolved ResNetService, with the operator's settings or stand-ins for them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from resnet_cli.exits import CliError, Exit
from resnet_operator.api import KIND
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.resolve import resolve
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.rows import ROWS
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.service_spec import spec_of
from resnet_operator.settings.operator import Settings

Body = dict[str, Any]
NO_UID = "00000000-0000-4000-8000-000000000000"
# Names that stand for the images of the chart: no cluster is asked for its own.
STAND_INS: Body = {
    "jobs_image": "chart-default/resnet-jobs",
    "fetch_image": "chart-default/resnet-fetch",
    "converter_images": {"": "chart-default/cann"},
    "amct_image": "chart-default/amct",
    "export_image": "chart-default/torch",
    "serving_images": {name: f"chart-default/serving-{name.lower()}" for name in ROWS},
    "store": {"image": "chart-default/nginx"},
}


@dataclass(frozen=True, kw_only=True)
class Order:
    """One ResNetService of a file, decided; `refusal` says why it cannot be."""

    meta: Meta
    body: Body
    settings: Settings
    resolved: Resolved | None
    refusal: str = ""

    @property
    def decided(self) -> Resolved:
        if self.resolved is None:
            raise CliError(f"{self.meta.name}: {self.refusal}", Exit.NOT_WELL)
        return self.resolved


def read_settings(file: str | None) -> Settings:
    """Return the stand-ins, with what a file of the operator's settings says over them."""
    given = [] if file is None else _load(file)
    if not all(isinstance(one, dict) for one in given) or len(given) > 1:
        raise CliError(f"{file}: write the operator's settings as one map", Exit.BAD_FILE)
    try:
        return Settings(**(STAND_INS | (given[0] if given else {})))
    except ValueError as error:
        raise CliError(f"{file}: {_first_line(error)}", Exit.BAD_FILE) from error


def read_orders(
    file: str,
    *,
    settings: Settings,
    namespace: str,
    uid_of: Callable[[str, str], str] = lambda *_: "",
) -> list[Order]:
    """Return the ResNetServices of a file, `-` for standard input; others in it are left out.

    `uid_of` a namespace and a name is that of the live object: names of Jobs may depend on it.
    """
    bodies = [one for one in _load(file) if isinstance(one, dict)]
    listed = [item for one in bodies for item in (one.get("items") or [one])]
    found = [one for one in listed if isinstance(one, dict) and one.get("kind") == KIND]
    if not found:
        raise CliError(f"{file}: there is no {KIND} in it", Exit.BAD_FILE)
    return [_order(body, settings, namespace, uid_of) for body in found]


def _order(
    body: Body, settings: Settings, namespace: str, uid_of: Callable[[str, str], str]
) -> Order:
    given = body.get("metadata") or {}
    if not isinstance(given, dict) or not given.get("name"):
        raise CliError("a ResNetService has no metadata.name; write one", Exit.BAD_FILE)
    about = {"namespace": namespace, "resourceVersion": "1"} | given
    about["uid"] = uid_of(about["namespace"], about["name"]) or NO_UID
    meta = Meta.from_body({"metadata": about})
    try:
        spec = spec_of(body)
        resolved = resolve(name=meta.name, uid=meta.uid, spec=spec, settings=settings)
    except InvalidSpec as error:
        return Order(meta=meta, body=body, settings=settings, resolved=None, refusal=error.message)
    return Order(meta=meta, body=body, settings=settings, resolved=resolved)


def _load(file: str) -> list[Any]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        return [one for one in yaml.safe_load_all(text) if one is not None]
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", Exit.BAD_FILE) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{file} is not YAML: {_first_line(error)}", Exit.BAD_FILE) from error


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
