"""No string of a user or of a model ever becomes structure, whatever it holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jinja2
import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.golden.rendering import SETTINGS, Case
from tests.support.builders import a_meta, an_artifact, deterministic, resolved, tensor
from tritonclient.grpc import model_config_pb2

from resnet_operator import names
from resnet_operator.render.conversion import job
from resnet_operator.render.engine import render_one
from resnet_operator.render.network import network_service
from resnet_operator.render.serving import pod_template
from resnet_operator.render.store import store_children
from resnet_operator.render.triton.config import config_pbtxt
from resnet_operator.settings.operator import Settings

pytestmark = pytest.mark.thorough  # hundreds of drawn strings

NASTY = (
    '"',
    "'",
    '" } ] parameters { key: "x" value { string_value: "y',
    "a\nb: c",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "{# gone #}",
    "}}",
    "# comment",
    "- item",
    "key: value",
    "&anchor",
    "*alias",
    "!!python/object:os.system",
    "\\",
    "\\U0001f600",
    "\x00\x07\x1b\x7f\x85",
    "\u2028\ufeff\ufffe",
    "日本語",
    "😀",
    "yes",
    "null",
    "~",
    "1e3",
    "0x10",
    " leading and trailing ",
    "<script>&amp;</script>",
    "\ue0000",  # what the engine itself puts in the place of a value
)
any_text = st.sampled_from(NASTY) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20
)
# The fixture that puts fixed files in place may serve all examples.
quickly = settings(deterministic, suppress_health_check=[HealthCheck.function_scoped_fixture])


def every(test: Any) -> Any:
    """Run the test with each nasty text too, not just with those that are drawn."""
    for text in NASTY:
        test = example(text)(test)
    return test


def replaced(tree: Any, old: str, new: str) -> Any:
    """Return the tree with `new` in the place of `old` in every key and string."""
    if isinstance(tree, dict):
        return {replaced(k, old, new): replaced(v, old, new) for k, v in tree.items()}
    if isinstance(tree, list):
        return [replaced(item, old, new) for item in tree]
    return tree.replace(old, new) if isinstance(tree, str) else tree


PLAIN = "PLAIN"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def preferring(text: str) -> dict[str, Any]:
    term = {"key": text, "operator": "In", "values": [text]}
    return {"weight": 1, "preference": {"matchExpressions": [term]}}


def serving_of(text: str) -> dict[str, Any]:
    serving = {
        "env": [{"name": "A", "value": text}],
        "podAnnotations": {"a": text, text: "b"},
        "nodeSelector": {text: "x"},
        "tolerations": [{"key": text, "value": text}],
        "affinity": {"nodeAffinity": {PREFERRED: [preferring(text)]}},
        "service": {"annotations": {text: text}},
    }
    found = resolved({"serving": serving})
    template = pod_template(
        service=a_meta(),
        resolved=found,
        artifact=an_artifact(),
        revision="resnet50-0123456789",
        classes=None,
        settings=Settings(**SETTINGS),
    )
    service = network_service(service=a_meta(), resolved=found)
    service["metadata"]["annotations"].pop("serving.resnet-operator.io/template-digest")
    return {"template": template, "service": service}


def job_of(text: str) -> dict[str, Any]:
    conversion = {
        "inputShapes": {text: [3, 224, 224]},
        "nodeSelector": {text: "x"},
        "tolerations": [{"key": text}],
    }
    uri = f"https://models.example.com/{text}"
    # Put in behind the check: what a template is given must not matter to it.
    good = resolved({"model": {"uri": "https://h/a"}, "conversion": conversion})
    model = good.spec.model.model_copy(update={"uri": uri})
    spec = good.spec.model_copy(update={"model": model})
    found = replace(good, spec=spec, source_key="0123456789abcdef")
    made = job(
        service=a_meta(),
        resolved=found,
        record=a_meta("rns-0123456789abcdef"),
        attempt=1,
        settings=Settings(**SETTINGS),
    )
    made["metadata"]["labels"].pop(names.MEANS, None)  # a digest of the text, not the text
    pod = made["spec"]["template"]["spec"]
    for container in [*pod["initContainers"], *pod["containers"]]:
        for item in container["env"]:
            if item["name"] == "RESNET_JOB" and isinstance(item["value"], str):
                item["value"] = json.loads(item["value"])  # one list may be shared by several
    return made


@quickly
@every
@given(any_text)
def test_serving_children(text: str) -> None:
    assert serving_of(text) == replaced(serving_of(PLAIN), PLAIN, text)


@quickly
@every
@given(any_text)
def test_job(text: str) -> None:
    assert job_of(text) == replaced(job_of(PLAIN), PLAIN, text)


@quickly
@every
@given(any_text)
def test_config_pbtxt(text: str) -> None:
    """Names of tensors come from the model, which comes from anywhere."""
    artifact = an_artifact(inputs=(tensor(text, 3, 32, 32),), outputs=(tensor(text, 10),))
    found = replace(resolved(), model_name=text, chip=text)
    config = text_format.Parse(
        config_pbtxt(resolved=found, artifact=artifact, labelled=text),
        model_config_pb2.ModelConfig(),
    )
    assert config.name == text
    assert [t.name for t in config.input] == [text]
    assert [t.name for t in config.output] == [text]
    assert all(list(warmup.inputs) == [text] for warmup in config.model_warmup)
    assert len(config.model_warmup) == 4
    assert set(config.parameters) == {"batch_sizes", "chip_count", "model_file", "soc_version"}
    assert config.parameters["soc_version"].string_value == text


@quickly
@every
@given(any_text)
def test_store(text: str) -> None:
    """The settings are the administrator's, and a slip of the pen is enough."""
    changes = {"image": text, "size": text, "storageClassName": text}
    found = store_children("models", Settings(**(SETTINGS | {"store": changes})))
    kinds = [child["kind"] for child in found]
    assert kinds == ["ConfigMap", "PersistentVolumeClaim", "Service", "NetworkPolicy", "Deployment"]
    claim, deployment = found[1]["spec"], found[-1]["spec"]
    assert claim["storageClassName"] == text
    assert claim["resources"] == {"requests": {"storage": text}}
    assert deployment["template"]["spec"]["containers"][0]["image"] == text


def test_labels_are_kept_byte_for_byte() -> None:
    labels = "日本\r\n\ttab: {x}\n\n# 5\n"
    case = replace(Case.read("npu-two-chips"), labels=labels)
    assert case.children()["revision"]["data"]["labels.txt"] == labels


def test_a_value_that_a_template_asks_for_and_nobody_gives_is_an_error() -> None:
    context = {"namespace": "a", "labels": {}, "owners": [], "selector": {}, "type": "ClusterIP"}
    with pytest.raises(jinja2.UndefinedError, match="'name' is undefined"):
        render_one("service.yaml.j2", **context, annotations={})
