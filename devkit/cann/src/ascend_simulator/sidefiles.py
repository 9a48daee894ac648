"""The smaller files that ATC reads: which passes, precisions and types they ask for.

Called by order.py. What they change in the numbers is done by precision.py; the switches of fusion
passes are checked and recorded, because there are no such passes here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ascend_simulator.errors import AtcError

if TYPE_CHECKING:
    from pathlib import Path

_ON_OFF = {"on", "off"}
_PRECISIONS = (
    "high_performance",
    "high_precision",
    "super_performance",
    "support_out_of_bound_index",
    "enable_float_32_execution",
    "enable_hi_float_32_execution",
)
_LISTS = ("black-list", "white-list", "gray-list")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise AtcError("E13001", path, reason) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise AtcError("E10032", path, error) from error


def _invalid(option: str, value: object, reason: str) -> AtcError:
    return AtcError("E10001", value, f"--{option}", reason)


def fusion_switches(path: Path) -> dict[str, str]:
    """`XFusionPass:off` lines, or the JSON {"Switch": {"GraphFusion": {…}, "UBFusion": {…}}}."""
    option = "fusion_switch_file"
    if _text(path).lstrip().startswith("{"):
        switches = _json(path).get("Switch")
        if not isinstance(switches, dict) or set(switches) - {"GraphFusion", "UBFusion"}:
            raise _invalid(option, path, 'The JSON holds {"Switch": {"GraphFusion", "UBFusion"}}.')
        pairs = [
            (f"{kind}.{name}", state)
            for kind, passes in switches.items()
            for name, state in passes.items()
        ]
    else:
        pairs = []
        for line in filter(None, map(str.strip, _text(path).splitlines())):
            name, _, state = line.partition(":")
            pairs.append((name.strip(), state.strip()))
    for name, state in pairs:
        if state not in _ON_OFF:
            raise _invalid(option, f"{name}:{state}", "A pass is on or off.")
    return dict(pairs)


def op_precisions(path: Path) -> dict[str, str]:
    """`[ByOpType]` and `[ByNodeName]` sections of `key=mode`; the latter's keys start with @."""
    option = "op_precision_mode"
    found: dict[str, str] = {}
    section = ""
    for line in filter(None, map(str.strip, _text(path).splitlines())):
        if line.startswith("#"):
            continue
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
            if section not in {"ByOpType", "ByNodeName"}:
                raise _invalid(option, line, "The sections are [ByOpType] and [ByNodeName].")
            continue
        name, equals, mode = (part.strip() for part in line.partition("="))
        if not equals or not section or mode not in _PRECISIONS:
            raise _invalid(option, line, f"The values are {', '.join(_PRECISIONS)}.")
        found[f"@{name}" if section == "ByNodeName" else name] = mode
    return found


def mix_lists(path: Path) -> dict[str, dict[str, list[str]]]:
    """{"black-list": {"to-add": ["Add"], "to-remove": […]}, "white-list": …, "gray-list": …}"""
    content = _json(path)
    bad = _invalid("modify_mixlist", path, f"The JSON holds {', '.join(_LISTS)}.")
    if not isinstance(content, dict) or set(content) - set(_LISTS):
        raise bad
    for changes in content.values():
        if not isinstance(changes, dict) or set(changes) - {"to-add", "to-remove"}:
            raise bad
    return content


def kept_types(path: Path) -> tuple[str, ...]:
    """Node names, or `OpType::Conv2D` for all of a type, one a line."""
    return tuple(filter(None, map(str.strip, _text(path).splitlines())))


def first_layer_quantization(path: Path) -> bool:
    """The only feature of --compression_optimize_conf that needs no NPU."""
    option = "compression_optimize_conf"
    chosen = False
    for line in filter(None, map(str.strip, _text(path).splitlines())):
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "calibration":
            raise AtcError("E10055", "calibration inside ATC needs an NPU; the simulator has none")
        if name != "enable_first_layer_quantization":
            raise _invalid(option, name, "The feature is not known.")
        if value not in {"true", "false"}:
            raise _invalid(option, value, "The value must be true or false.")
        chosen = value == "true"
    return chosen
