"""Files of several objects, settings, and models that are inspected elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.support.apiserver import ROOT

from resnet_cli.exits import CliError, Exit
from resnet_cli.offline.inspection import inspect
from resnet_cli.offline.order import NO_UID, read_orders, read_settings

SAMPLES = ROOT / "samples"


def orders(text: str, folder: Path) -> list[str]:
    path = folder / "in.yaml"
    path.write_text(text)
    found = read_orders(str(path), settings=read_settings(None), namespace="vision")
    return [f"{one.meta.namespace}/{one.meta.name}" for one in found]


def test_lists_and_other_kinds(tmp_path: Path) -> None:
    body = yaml.safe_load((SAMPLES / "digits-cpu.yaml").read_text())
    listed = {"kind": "List", "items": [body, {"kind": "ConfigMap"}]}
    elsewhere = {**body, "metadata": {"name": "other", "namespace": "robots"}}
    text = yaml.safe_dump_all([listed, {"kind": "Secret"}, elsewhere])
    assert orders(text, tmp_path) == [f"vision/{body['metadata']['name']}", "robots/other"]


def test_the_uid_of_a_live_object_is_taken() -> None:
    path = str(SAMPLES / "digits-cpu.yaml")
    settings = read_settings(None)
    (plain,) = read_orders(path, settings=settings, namespace="a")
    (live,) = read_orders(path, settings=settings, namespace="a", uid_of=lambda *_: "u")
    assert (plain.meta.uid, live.meta.uid) == (NO_UID, "u")


@pytest.mark.parametrize(
    ("text", "says"),
    [("- a\n", "as one map"), ("workers: many\n", "workers")],
)
def test_settings_that_are_none(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(CliError, match=says) as caught:
        read_settings(str(path))
    assert caught.value.exit_code is Exit.BAD_FILE


@pytest.mark.parametrize("sample", ["resnet50-pytorch.yaml", "resnet50-oneflow.yaml"])
def test_what_only_the_job_can_inspect(sample: str) -> None:
    (order,) = read_orders(str(SAMPLES / sample), settings=read_settings(None), namespace="vision")
    with pytest.raises(CliError, match="is not inspected here") as caught:
        inspect(order, SAMPLES / "digits" / "digits-resnet.onnx")
    assert caught.value.exit_code is Exit.MISSING_HERE
