"""What the Job said, what the record keeps, and what comes out again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import (
    ARTIFACT_SHA256,
    CHIP,
    CPU_MESSAGES,
    MESSAGES,
    NOW,
    SOURCE_SHA256,
    an_artifact,
    deterministic,
    tensor,
)

from resnet_operator.errors import Misfit
from resnet_operator.plan.times import to_text
from resnet_operator.record.artifact import ARTIFACT_KEY, FAILURE_KEY, Artifact, Failure, TensorInfo


def test_messages_make_an_artifact() -> None:
    found = Artifact.from_messages(MESSAGES, chip=CHIP)
    assert found == Artifact(
        content_key="ef" * 32,
        sha256=ARTIFACT_SHA256,
        size_bytes=51_000_000,
        file="model.om",
        chip=CHIP,
        compiler="ATC 8.2.RC1",
        origin="Converted",
        duration_seconds=12.3,
        command=("atc", "--framework=5", f"--soc_version={CHIP}"),
        model_sha256=SOURCE_SHA256,
        model_size_bytes=102_000_000,
        opset=13,
        inputs=(tensor("actual_input_1", 3, 224, 224),),
        outputs=(tensor("output1", 1000),),
    )


def test_on_a_cpu_nothing_was_compiled() -> None:
    found = Artifact.from_messages(CPU_MESSAGES, chip="CPU")
    assert (found.compiler, found.origin, found.command) == ("none", "Copied", ())
    assert found.duration_seconds == 0


def test_a_hit_in_the_store_took_no_time() -> None:
    hit = MESSAGES["convert"] | {"hit": True, "durationSeconds": None}
    found = Artifact.from_messages(MESSAGES | {"convert": hit}, chip=CHIP)
    assert found.duration_seconds == 0


def test_a_quantized_model_names_its_quantizer() -> None:
    said = {"ok": True, "tool": "AMCT 8.2.RC1", "argv": ["amct_onnx", "calibration"]}
    found = Artifact.from_messages(MESSAGES | {"quantize": said}, chip=CHIP)
    assert found.quantizer == "AMCT 8.2.RC1"
    assert found.quantize_command == ("amct_onnx", "calibration")


def test_an_om_as_it_came_tells_its_own_contract() -> None:
    """`prepare` cannot read it; only the CANN image can."""
    prepare = {"ok": True, "inputs": [], "outputs": []}
    picture = {"name": "input", "dataType": "UINT8", "dims": [32, 32, 3], "layout": "NHWC"}
    logits = {"name": "logits", "dataType": "FP32", "dims": [10]}
    read = {"inputs": [picture], "outputs": [logits], "batchSizes": [1, 8]}
    messages = MESSAGES | {"prepare": prepare, "convert": MESSAGES["convert"] | read}
    found = Artifact.from_messages(messages, chip=CHIP)
    assert found.inputs == (TensorInfo("input", "UINT8", (32, 32, 3), "NHWC"),)
    assert found.outputs == (TensorInfo("logits", "FP32", (10,)),)
    assert (found.opset, found.batch_sizes) == (0, (1, 8))


@pytest.mark.parametrize("silent", ["fetch", "prepare", "publish"])
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_a_silent_container_is_no_artifact(silent: str, how: str) -> None:
    messages = {k: v for k, v in MESSAGES.items() if k != silent}
    if how == "empty":
        messages[silent] = {}
    with pytest.raises(Misfit, match=silent):
        Artifact.from_messages(messages, chip=CHIP)


texts = st.text(max_size=8)
tensors = st.builds(
    TensorInfo,
    st.text(min_size=1, max_size=8),
    st.sampled_from(["FP32", "INT64"]),
    st.lists(st.integers(1, 999), max_size=4).map(tuple),
    st.sampled_from([None, "NCHW", "NHWC"]),
)
artifacts = st.builds(
    an_artifact,
    command=st.lists(texts, max_size=3).map(tuple),
    notes=st.lists(texts, max_size=3).map(tuple),
    inputs=st.lists(tensors, max_size=2).map(tuple),
    outputs=st.lists(tensors, max_size=2).map(tuple),
    arch=st.none() | texts,
    duration_seconds=st.floats(0, 1e6),
)
failures = st.builds(
    Failure,
    attempt=st.integers(1, 99),
    reason=texts,
    message=texts,
    permanent=st.booleans(),
    time=st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)).map(to_text),
    detail=texts,
    code=st.none() | texts,
)


@deterministic
@given(artifacts)
def test_an_artifact_survives_its_record(artifact: Artifact) -> None:
    data = artifact.to_record()
    assert Artifact.from_record(data) == artifact
    assert all(isinstance(value, str) for value in data.values())


@deterministic
@given(failures)
def test_a_failure_survives_its_record(failure: Failure) -> None:
    assert Failure.from_record(failure.to_record()) == failure


def test_an_empty_record_holds_neither() -> None:
    assert Artifact.from_record({}) is None
    assert Failure.from_record({}) is None


def test_the_same_artifact_is_the_same_text() -> None:
    """The record is immutable: a second writer must write the same bytes."""
    assert an_artifact().to_record() == an_artifact().to_record()


def grown(data: dict[str, str], key: str) -> dict[str, Any]:
    return {key: json.dumps(json.loads(data[key]) | {"addedNextYear": 1})}


def test_a_record_of_a_newer_operator_is_read() -> None:
    """Else a step back to the older version would leave every object without status."""
    assert Artifact.from_record(grown(an_artifact().to_record(), ARTIFACT_KEY)) == an_artifact()
    failure = Failure(attempt=1, reason="x", message="y", permanent=True, time=to_text(NOW))
    assert Failure.from_record(grown(failure.to_record(), FAILURE_KEY)) == failure
