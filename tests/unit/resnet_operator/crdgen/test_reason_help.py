"""Every reason has its place among the stages, and two commands that a person can type."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import yaml
from tests.cluster.manifests import root_schema
from tests.support.apiserver import ROOT

from resnet_cli.commands.logs import Stage as LogStage
from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.crdgen.reason_help import HELP, Stage

COMMANDS = [(reason, text) for reason, known in HELP.items() for text in (known.shows, known.helps)]
ids = [f"{reason.value}: {text[:40]}" for reason, text in COMMANDS]
every_command = pytest.mark.parametrize(("reason", "text"), COMMANDS, ids=ids)


def test_no_reason_is_left_out() -> None:
    assert HELP.keys() == set(Reason)
    assert {known.stage for known in HELP.values()} == set(Stage)


def test_stages_come_in_one_piece() -> None:
    """The table is read from top to bottom, as an object goes."""
    stages = list(dict.fromkeys(known.stage for known in HELP.values()))
    assert stages == list(Stage)


@every_command
def test_a_command_can_be_typed(reason: Reason, text: str) -> None:
    words = shlex.split(text, comments=True)
    assert words[0] in {"kubectl", "helm", "npu-smi"}, reason
    assert "\n" not in text


@every_command
def test_a_patch_changes_fields_that_there_are(reason: Reason, text: str) -> None:
    words = shlex.split(text, comments=True)
    if "resnetservice" not in words or "-p" not in words:
        return
    node, value = root_schema(), json.loads(words[words.index("-p") + 1])
    while isinstance(value, dict):
        ((key, value),) = value.items()
        node = node["properties"].get(key) if "properties" in node else node["additionalProperties"]
        assert node, f"{reason}: there is no field {key}"


@every_command
def test_a_value_of_the_chart_is_one(reason: Reason, text: str) -> None:
    values = yaml.safe_load((ROOT / "charts/resnet-operator/values.yaml").read_text())
    for name in re.findall(r"--set ([\w.]+)=", text):
        node = values
        for part in name.split("."):
            assert part in node, f"{reason}: the chart has no value {name}"
            node = node[part]


@every_command
def test_labels_and_annotations_are_ours(reason: Reason, text: str) -> None:
    known = {names.RETRY, names.SERVICE, names.COMPONENT}
    assert set(re.findall(r"[\w.]*(?:resnet-operator|kubernetes)\.io/[\w-]+", text)) <= known, (
        reason
    )


@every_command
def test_a_stage_has_a_log(reason: Reason, text: str) -> None:
    if found := re.search(r"--stage (\w+)", text):
        assert found[1] in set(LogStage), reason
