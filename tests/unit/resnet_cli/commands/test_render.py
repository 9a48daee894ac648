"""`render`: the operator's own children, and what a cluster has otherwise."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.apiserver import ROOT
from tests.unit.resnet_cli.recorded import Body, Recorded

from resnet_cli.commands.render import difference, render, render_diff
from resnet_cli.exits import Exit
from resnet_cli.offline.children import after_the_artifact, before_the_artifact
from resnet_cli.offline.inspection import artifact_of, inspect
from resnet_cli.offline.order import read_orders, read_settings
from resnet_cli.show import Output, Screen

SAMPLE = ROOT / "samples" / "digits-npu.yaml"
MODEL = ROOT / "samples" / "digits" / "digits-resnet.onnx"


def rendered(**more: Any) -> str:
    out = io.StringIO()
    options = {"model": str(MODEL), "labels": None, "settings": None, **more}
    code = render(
        Screen(file=out), file=str(SAMPLE), namespace="vision", output=Output.TEXT, **options
    )
    assert code is Exit.DONE
    return out.getvalue()


def test_all_children_in_the_order_in_which_they_are_made() -> None:
    found = [body for body in yaml.safe_load_all(rendered()) if body]
    kinds = [body["kind"] for body in found]
    assert kinds == ["ConfigMap", "Job", "Service", "ConfigMap", "Deployment"]
    assert {body["metadata"]["namespace"] for body in found} == {"vision"}


def test_config_pbtxt_is_shown() -> None:
    text = rendered()
    assert '# name: "digits"' in text
    assert 'input [ { name: "input" data_type: TYPE_FP32' in text


def test_without_a_model_it_says_what_is_left_out() -> None:
    text = rendered(model=None)
    assert "kind: Deployment" not in text
    assert "give it by --model" in text


def test_settings_of_the_operator_are_used(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("serving_images: {AscendOM: registry.example/mine:1}\n")
    assert "registry.example/mine:1" in rendered(settings=str(settings))


def test_json_is_one_list() -> None:
    out = io.StringIO()
    render(
        Screen(file=out),
        file=str(SAMPLE),
        model=None,
        labels=None,
        settings=None,
        namespace="vision",
        output=Output.JSON,
    )
    assert json.loads(out.getvalue())["kind"] == "List"


# Against a cluster.


def live() -> list[Body]:
    """What the cluster has once the operator has made all, with what the cluster adds."""
    (order,) = read_orders(str(SAMPLE), settings=read_settings(None), namespace="vision")
    artifact = artifact_of(order, inspect(order, MODEL))
    children = before_the_artifact(order) | after_the_artifact(order, artifact, None)
    found = json.loads(json.dumps(list(children.values())))
    for body in found:
        body["metadata"] |= {"uid": "u", "resourceVersion": "7"}
        body.setdefault("status", {})
    found[0]["data"] = artifact.to_record()
    meta = {"name": "digits", "namespace": "vision", "uid": order.meta.uid}
    return [*found, {"kind": "ResNetService", "metadata": meta}]


def compared(objects: list[Body]) -> tuple[Exit, str]:
    out = io.StringIO()
    code = render_diff(
        Recorded(objects, namespace="vision"), Screen(file=out), file=str(SAMPLE), settings=None
    )
    return code, out.getvalue()


def test_what_is_as_rendered_has_no_difference() -> None:
    assert compared(live()) == (Exit.DONE, "")


@pytest.mark.parametrize("kind", ["Job", "Deployment", "Service"])
def test_what_is_not_there_is_a_difference(kind: str) -> None:
    code, text = compared([body for body in live() if body["kind"] != kind])
    assert code is Exit.NOT_WELL
    assert f"+kind: {kind}" in text


def test_a_field_that_differs_is_shown() -> None:
    objects = live()
    (deployment,) = [body for body in objects if body["kind"] == "Deployment"]
    deployment["spec"]["replicas"] = 7
    code, text = compared(objects)
    assert code is Exit.NOT_WELL
    assert "-  replicas: 7\n+  replicas: 1\n" in text
    assert text.count("\n-") == 1, "nothing else differs"


def test_lists_are_compared_by_name() -> None:
    def body(*names: str) -> Body:
        return {
            "kind": "Deployment",
            "metadata": {"name": "a"},
            "spec": {"containers": [{"name": name, "image": name} for name in names]},
        }

    assert difference(body("triton"), body("sidecar", "triton")) == ""
