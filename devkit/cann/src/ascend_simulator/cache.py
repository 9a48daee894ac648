"""The cache of compiled operators: --op_compiler_cache_mode and _dir. Called by compiler.py.

Real ATC keeps each compiled operator. There are no kernels here, so one entry is a whole compiled
network, under the digest of all that goes into it; a second conversion of the same reads it back.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from ascend_simulator import om
from ascend_simulator.errors import AtcError
from ascend_simulator.version import ATC_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from ascend_simulator.order import Order


class Cache:
    """The entry of one order; does nothing when the cache is off."""

    def __init__(self, order: Order) -> None:
        self._path: Path | None = None
        self._forced = order.choices.cache_forced
        if order.choices.cache:
            folder = order.choices.cache / "kernel_cache" / order.soc_version
            self._path = folder / f"{_key(order)}.o"

    def read(self, command_line: str, model_name: str) -> tuple[om.Header, bytes] | None:
        """What an earlier run left; nothing for a damaged entry."""
        if self._path is None or self._forced:
            return None
        try:
            header, graph = om.split(self._path.read_bytes())
        except (OSError, om.NotAnOmError):
            return None
        return replace(header, command_line=command_line, model_name=model_name), graph

    def write(self, header: om.Header, graph: bytes) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            om.write(self._path, header, graph)
            size = {"size": self._path.stat().st_size, "sha256": header.graph_sha256}
            self._path.with_suffix(".json").write_text(json.dumps(size) + "\n")
        except OSError as error:
            raise AtcError("E13004", error.filename, error.strerror) from error


def _key(order: Order) -> str:
    """Every byte of the files and every option decides; where they lie does not."""
    choices = asdict(order.choices)
    for name in ("cache", "cache_forced"):
        del choices[name]
    given = choices.pop("given")
    paths = {"insert_op_conf", "fusion_switch_file", "op_precision_mode", "modify_mixlist",
             "keep_dtype", "compression_optimize_conf"}  # fmt: skip
    choices["given"] = {
        name: value
        for name, value in given.items()
        if name not in paths and not name.startswith("op_compiler_cache")
    }
    digest = hashlib.sha256(ATC_VERSION.encode())
    digest.update(json.dumps(choices, sort_keys=True, default=str).encode())
    for path in (order.model, order.aipp_file):
        digest.update(path.read_bytes() if path else b"\0")
    return digest.hexdigest()[:40]
