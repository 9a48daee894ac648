"""What the API server and the operator accept, the Job accepts: addresses and pictures."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.cluster.conversion_rule_cases import CONVERSION_RULES
from tests.cluster.manifests import SMALLEST, service
from tests.cluster.rule_cases import RULES, RuleCase
from tests.support.builders import a_service, a_settings, deterministic, resolved

from resnet_contract.address import parse_source
from resnet_contract.blocks import parse_preprocessing
from resnet_contract.fields import Fields, OrderError
from resnet_operator.render.conversion import job_spec

ADDRESSES = [case for case in RULES if list(case.refused) == ["model.uri"]]
many = settings(deterministic, max_examples=400)
WORDS = (
    "a A models . .. ... -a a- a_b a.onnx @ : # ? %2e h:port h:80 h:99999 [::1] [::1 user@h / // "
    "r/-a:v1 v1 datasets spaces a@main :v1 @x #a.onnx é"
)
words = st.sampled_from([*WORDS.split(" "), "", " ", "\n", "\0", f"sha256:{'0' * 64}"])
schemes = st.sampled_from(
    ["pvc", "configmap", "http", "https", "s3", "obs", "hf", "modelscope", "oci", "ftp", "HTTP"]
)
uris = st.builds(
    lambda scheme, parts, glue: f"{scheme}://{glue.join(parts)}",
    schemes,
    st.lists(words, min_size=1, max_size=5),
    st.sampled_from(["/", "/", "/", "", ":", "@"]),
)


@pytest.mark.parametrize("case", ADDRESSES, ids=lambda case: case.reason)
def test_an_older_object_is_refused_by_the_operator_with_the_same_sentence(case: RuleCase) -> None:
    found = a_service({"model": {"uri": case.refused["model.uri"]}})
    assert case.message in (found.invalid or ""), case.reason


@pytest.mark.thorough
@many
@given(uris)
@example("pvc://models/.")
@example("pvc://models/.../")
@example("s3://bucket/./")
@example("configmap://m/.")
@example("https://h:port/a.onnx")
@example("oci://r/-a:v1#a.onnx")
@example("hf://a/b/.")
@example("hf://datasets/a/b/.@main")
def test_what_is_accepted_the_job_accepts(uri: str) -> None:
    found = a_service({"model": {"uri": uri, "format": "ONNX"}})
    if found.invalid is None:
        parse_source(uri)


PICTURES: list[RuleCase] = [
    case
    for case in CONVERSION_RULES
    if any(path.startswith("conversion.preprocessing") for path in case.accepted)
]


@pytest.mark.parametrize("case", PICTURES, ids=lambda case: case.reason)
def test_pictures_that_are_accepted_the_job_accepts(case: RuleCase) -> None:
    spec: dict[str, Any] = service(copy.deepcopy(case.accepted))["spec"]
    block = spec.get("conversion", {}).get("preprocessing")
    if not block:
        return
    chip = {"accelerator": SMALLEST["accelerator"]}
    found = resolved({"conversion": {"preprocessing": block}, **chip})
    order = job_spec(namespace="models", resolved=found, settings=a_settings())
    try:
        parse_preprocessing(Fields(order["preprocessing"], at="spec.conversion.preprocessing"))
    except OrderError as error:
        pytest.fail(f"{case.reason}: {error}")


def test_one_number_for_all_colours_reaches_the_job_three_times() -> None:
    """The pipeline takes one number too: one rule for both."""
    block = {
        "pixelFormat": "RGB888",
        "source": {"height": 8, "width": 8},
        "mean": [78],
        "std": [70],
    }
    found = resolved({"conversion": {"preprocessing": block}})
    order = job_spec(namespace="models", resolved=found, settings=a_settings())
    assert order["preprocessing"]["mean"] == [78, 78, 78]
    assert order["preprocessing"]["std"] == [70, 70, 70]
