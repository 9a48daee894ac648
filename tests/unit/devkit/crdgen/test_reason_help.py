"""Every reason has its place among the stages, and two commands that a person can type."""

from __future__ import annotations

import json
import re
import shlex

import yaml
from devkit.crdgen.reason_help import HELP, Stage
from tests.cluster.manifests import root_schema
from tests.support.apiserver import ROOT

from resnet_cli.commands.logs import Stage as LogStage
from resnet_operator import names
from resnet_operator.api.reasons import Reason

COMMANDS = [(reason, text) for reason, known in HELP.items() for text in (known.shows, known.helps)]


def test_no_reason_is_left_out() -> None:
    assert HELP.keys() == set(Reason)
    assert {known.stage for known in HELP.values()} == set(Stage)


def test_stages_come_in_one_piece() -> None:
    """The table is read from top to bottom, as an object goes."""
    stages = list(dict.fromkeys(known.stage for known in HELP.values()))
    assert stages == list(Stage)


def found_in_commands(pattern: str) -> list[tuple[Reason, str]]:
    """Return what a pattern finds in all commands; a test that looks at nothing would pass."""
    found = [(reason, one) for reason, text in COMMANDS for one in re.findall(pattern, text)]
    assert found, pattern
    return found


def test_a_command_can_be_typed() -> None:
    for reason, text in COMMANDS:
        assert shlex.split(text, comments=True)[0] in {"kubectl", "helm", "npu-smi"}, reason
        assert "\n" not in text, reason


def test_a_patch_changes_fields_that_there_are() -> None:
    words = [(reason, shlex.split(text, comments=True)) for reason, text in COMMANDS]
    patches = [one for one in words if "resnetservice" in one[1] and "-p" in one[1]]
    assert patches
    for reason, typed in patches:
        node, value = root_schema(), json.loads(typed[typed.index("-p") + 1])
        while isinstance(value, dict):
            ((key, value),) = value.items()
            within = node.get("properties")
            node = within.get(key) if within else node["additionalProperties"]
            assert node, f"{reason}: there is no field {key}"


def test_a_value_of_the_chart_is_one() -> None:
    values = yaml.safe_load((ROOT / "charts/resnet-operator/values.yaml").read_text())
    for reason, name in found_in_commands(r"--set ([\w.]+)="):
        node = values
        for part in name.split("."):
            assert part in node, f"{reason}: the chart has no value {name}"
            node = node[part]


def test_labels_and_annotations_are_ours() -> None:
    known = {names.RETRY, names.SERVICE, names.COMPONENT}
    for reason, name in found_in_commands(r"[\w.]*(?:resnet-operator|kubernetes)\.io/[\w-]+"):
        assert name in known, reason


def test_a_stage_has_a_log() -> None:
    for reason, stage in found_in_commands(r"--stage (\w+)"):
        assert stage in set(LogStage), reason
