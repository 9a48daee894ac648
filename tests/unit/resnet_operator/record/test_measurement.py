"""The judgement: which numbers hold which bars, and which bars nobody could ever judge."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from tests.support.builders import MEASURED, a_meta, a_settings, an_artifact, merged, resolved

from resnet_jobs.order.job import parse_job
from resnet_operator.api.validation import Validation
from resnet_operator.errors import InvalidSpec
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.measurement import Measurement, in_words, shortfalls, validation_key
from resnet_operator.render.serving import pod_template
from resnet_operator.render.validation import evaluation_spec, validation_job

DATASET = {"uri": "pvc://data/cifar100.tar", "sha256": "12" * 32, "format": "CifarPython"}


def asked(bars: dict[str, str] | None = None, *, speed: int | None = None) -> Validation:
    value: dict[str, Any] = {"dataset": DATASET, "thresholds": bars or {}}
    if speed is not None:
        value["benchmark"] = {"minImagesPerSecond": speed}
    return Validation.model_validate(value)


def measured(**numbers: Any) -> Measurement:
    said = {k: v for k, v in (MEASURED | numbers).items() if v is not None}
    return Measurement.from_message(json.dumps(said), attempt=1)


@dataclass(frozen=True)
class Judged:
    reason: str
    bars: dict[str, str] = field(default_factory=dict)
    speed: int | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    want: tuple[str, ...] = ()


JUDGED = (
    Judged("top-1 above its bar", {"minTop1": "0.79"}, numbers={"top1": 0.7901}),
    Judged("top-1 at its bar", {"minTop1": "0.7901"}, numbers={"top1": 0.7901}),
    Judged(
        "top-1 below its bar by one picture of ten thousand",
        {"minTop1": "0.7902"},
        numbers={"top1": 0.7901},
        want=("top1 0.7901 is below minTop1 0.7902",),
    ),
    Judged("all right", {"minTop1": "1"}, numbers={"top1": 1.0}),
    Judged("a bar of nothing", {"minTop1": "0"}, numbers={"top1": 0}),
    Judged(
        "a tenth, which no float of two is: it decides nothing",
        {"maxTop1Drop": "0.1"},
        numbers={"top1": 0.7, "top1Reference": 0.8},
    ),
    Judged(
        "a drop above the bar",
        {"maxTop1Drop": "0.004"},
        numbers={"top1": 0.7901, "top1Reference": 0.7942},
        want=("top1 drops by 0.0041, more than maxTop1Drop 0.004",),
    ),
    Judged(
        "a drop at the bar",
        {"maxTop1Drop": "0.0041"},
        numbers={"top1": 0.7901, "top1Reference": 0.7942},
    ),
    Judged(
        "better than the source model",
        {"maxTop1Drop": "0"},
        numbers={"top1": 0.8, "top1Reference": 0.79},
    ),
    Judged(
        "as good as the source model",
        {"maxTop1Drop": "0"},
        numbers={"top1": 0.8, "top1Reference": 0.8},
    ),
    Judged("cosine above", {"minCosineSimilarity": "0.99"}, numbers={"cosineSimilarity": 0.9987}),
    Judged("cosine at", {"minCosineSimilarity": "0.99"}, numbers={"cosineSimilarity": 0.99}),
    Judged(
        "cosine below, by less than is shown of other numbers",
        {"minCosineSimilarity": "0.999999"},
        numbers={"cosineSimilarity": 0.999998},
        want=("cosineSimilarity 0.999998 is below minCosineSimilarity 0.999999",),
    ),
    Judged(
        "a cosine of nearly one is not said to be one",
        {"minCosineSimilarity": "1"},
        numbers={"cosineSimilarity": 0.99999987},
        want=("cosineSimilarity 0.999999 is below minCosineSimilarity 1",),
    ),
    Judged(
        "a drop of nearly nothing is not said to be nothing",
        {"maxTop1Drop": "0"},
        numbers={"top1": 0.7, "top1Reference": 0.7000001},
        want=("top1 drops by 0.000001, more than maxTop1Drop 0",),
    ),
    Judged(
        "a cosine below zero",
        {"minCosineSimilarity": "0"},
        numbers={"cosineSimilarity": -0.25},
        want=("cosineSimilarity -0.25 is below minCosineSimilarity 0",),
    ),
    Judged("agreement above", {"minTop1Agreement": "0.99"}, numbers={"top1Agreement": 0.991}),
    Judged("agreement at", {"minTop1Agreement": "0.991"}, numbers={"top1Agreement": 0.991}),
    Judged(
        "agreement below",
        {"minTop1Agreement": "0.992"},
        numbers={"top1Agreement": 0.991},
        want=("top1Agreement 0.991 is below minTop1Agreement 0.992",),
    ),
    Judged("fast", speed=5000, numbers={"imagesPerSecond": 5123.4}),
    Judged("just fast enough", speed=5123, numbers={"imagesPerSecond": 5123.0}),
    Judged(
        "slow",
        speed=5124,
        numbers={"imagesPerSecond": 5123.9},
        want=("imagesPerSecond 5123 is below minImagesPerSecond 5124",),
    ),
    Judged(
        "two bars that do not hold, of four: both are told",
        {"minTop1": "0.8", "maxTop1Drop": "0.001", "minTop1Agreement": "0.9"},
        speed=100,
        want=(
            "top1 0.7901 is below minTop1 0.8",
            "top1 drops by 0.0041, more than maxTop1Drop 0.001",
        ),
    ),
    Judged(
        "four bars that hold",
        {
            "minTop1": "0.79",
            "maxTop1Drop": "0.005",
            "minCosineSimilarity": "0.99",
            "minTop1Agreement": "0.99",
        },
        speed=5000,
    ),
    Judged(
        "no number of what has a bar: not passed by silence",
        {
            "minTop1": "0",
            "maxTop1Drop": "1",
            "minCosineSimilarity": "0",
            "minTop1Agreement": "0",
        },
        speed=1,
        numbers=dict.fromkeys(
            ("top1", "top1Reference", "cosineSimilarity", "top1Agreement", "imagesPerSecond")
        ),
        want=(
            "top1 was not measured",
            "the drop of top1 was not measured",
            "cosineSimilarity was not measured",
            "top1Agreement was not measured",
            "imagesPerSecond was not measured",
        ),
    ),
    Judged(
        "no source model, and no bar that needs one",
        {"minTop1": "0.79"},
        numbers=dict.fromkeys(("top1Reference", "cosineSimilarity", "top1Agreement")),
    ),
    Judged(
        "a reference without the candidate's own number",
        {"maxTop1Drop": "1"},
        numbers={"top1": None},
        want=("the drop of top1 was not measured",),
    ),
    Judged(
        "not a number holds no bar",
        {"minCosineSimilarity": "0"},
        numbers={"cosineSimilarity": float("nan")},
        want=("cosineSimilarity was not measured",),
    ),
)


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.reason)
def test_a_bar(case: Judged) -> None:
    found = shortfalls(measured(**case.numbers), asked(case.bars, speed=case.speed))
    assert found == case.want, case.reason


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.reason)
def test_a_number_from_the_record_is_judged_alike(case: Judged) -> None:
    """The record is JSON: what it keeps must not move a number across its bar."""
    kept = Measurement.from_record(measured(**case.numbers).to_record())
    assert kept is not None
    assert shortfalls(kept, asked(case.bars, speed=case.speed)) == case.want, case.reason


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("0.7901", "0.7901"),
        ("1", "1"),
        ("1.0", "1"),
        ("0", "0"),
        ("0.99871234", "0.998712"),
        ("0.9999999", "1"),
        ("1E-7", "0"),
        ("-0.25", "-0.25"),
    ],
)
def test_a_share_in_words(value: str, want: str) -> None:
    assert in_words(Decimal(value)) == want


NO_MESSAGES = (
    ("nothing", ""),
    ("no JSON", "Killed"),
    ("no object", "[]"),
    ("a failure", '{"ok": false, "reason": "EvaluationFailed"}'),
    ("no number of samples", '{"ok": true, "top1": 0.5}'),
    ("text for a number", '{"ok": true, "samples": 5, "top1": "high"}'),
    ("speeds in a list", '{"ok": true, "samples": 5, "throughput": [1]}'),
    ("a speed in text", '{"ok": true, "samples": 5, "throughput": {"24": "1e999999"}}'),
    ("a number whose integer has a million digits", '{"ok": true, "samples": 5, "top1": 1e999999}'),
    ("a number that cannot be written out", '{"ok": true, "samples": 5, "top1": 1e-999999}'),
    ("half a picture", '{"ok": true, "samples": 5.5}'),
    ("a boolean for a number", '{"ok": true, "samples": true}'),
)


@pytest.mark.parametrize(("reason", "text"), NO_MESSAGES, ids=[case[0] for case in NO_MESSAGES])
def test_what_is_no_message_of_an_evaluator(reason: str, text: str) -> None:
    with pytest.raises(ValueError):
        Measurement.from_message(text, attempt=1)


# Bars that nobody could judge are refused before any Job.

OM = {"model": {"uri": "pvc://models/resnet50.om"}}
QUANTIZED = {"model": {"quantized": True}}
RAW = {"conversion": {"preprocessing": {"rawAIPP": "aipp_op { aipp_mode: static }"}}}
NEEDY = ("maxTop1Drop", "minCosineSimilarity", "minTop1Agreement")


@pytest.mark.parametrize("bar", NEEDY)
@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (OM, "there is no source model to compare an OM with"),
        (QUANTIZED, "only ATC can read what AMCT has quantized, so there is nothing to compare"),
        (RAW, "what the source model would see is not known with preprocessing.rawAIPP"),
    ],
    ids=["an OM", "quantized by the user", "AIPP as text"],
)
def test_a_bar_without_a_reference_is_refused(bar: str, spec: dict[str, Any], why: str) -> None:
    gate = {"validation": {"dataset": DATASET, "thresholds": {"minTop1": "0.5", bar: "0.5"}}}
    with pytest.raises(InvalidSpec, match=f"remove validation.thresholds.{bar}; {why}"):
        resolved(merged(spec, gate))
    without = merged(gate, {"validation": {"thresholds": {bar: None}}})
    assert resolved(merged(spec, without)).spec.validation is not None


# What a result may be shared by.


def key(
    validation: Validation, *, artifact: Artifact | None = None, uid: str = "a", refetch: str = ""
) -> str:
    return validation_key(
        validation=validation,
        artifact=artifact or an_artifact(),
        uid=uid,
        refetch=refetch or None,
    )


BASE = asked({"minTop1": "0.5"})
UNPINNED = Validation.model_validate(
    {"dataset": DATASET | {"sha256": None}, "thresholds": {"minTop1": "0.5"}}
)


def test_a_pinned_data_set_is_measured_once_for_all_objects_and_bars() -> None:
    assert key(BASE) == key(asked({"minTop1": "0.9", "maxTop1Drop": "0.1"}, speed=7))
    assert key(BASE) == key(BASE, uid="b", refetch="1")


@pytest.mark.parametrize(
    ("reason", "other"),
    [
        ("another artifact", key(BASE, artifact=an_artifact(sha256="ee" * 32))),
        (
            "more loops",
            key(
                Validation.model_validate(
                    {"dataset": DATASET, "benchmark": {"loops": 7, "minImagesPerSecond": 1}}
                )
            ),
        ),
        (
            "another data set",
            key(Validation.model_validate({"dataset": DATASET | {"sha256": "34" * 32}})),
        ),
        ("other labels", key(Validation.model_validate({"dataset": DATASET | {"labels": "a"}}))),
        ("a data set without digest", key(UNPINNED)),
    ],
)
def test_what_needs_a_measurement_of_its_own(reason: str, other: str) -> None:
    assert other != key(BASE), reason


def test_an_unpinned_data_set_is_of_one_object_and_one_refetch() -> None:
    assert len({key(UNPINNED), key(UNPINNED, uid="b"), key(UNPINNED, refetch="1")}) == 3


def test_the_default_number_of_loops_is_as_good_as_written_out() -> None:
    hundred = Validation.model_validate({"dataset": DATASET, "benchmark": {"loops": 100}})
    assert key(hundred) == key(BASE)


def test_the_evaluator_is_told_what_it_measures() -> None:
    found = resolved({"validation": {"dataset": DATASET, "thresholds": {"minTop1": "0.5"}}})
    artifact = an_artifact()
    order = evaluation_spec(
        namespace=a_meta().namespace,
        resolved=found,
        artifact=artifact,
        asked=BASE,
        validation="ab" * 8,
        settings=a_settings(),
    )
    assert order["sha256"] == artifact.model_sha256, "another file would be no reference"
    assert order["model"] == {
        "name": "resnet50",
        "artifact": artifact.sha256,
        "maxBatchSize": 8,
        "inputs": [{"name": "actual_input_1", "dataType": "FP32", "dims": [3, 224, 224]}],
        "outputs": [{"name": "output1", "dataType": "FP32", "dims": [1000]}],
    }
    assert order["dataset"] == DATASET
    assert order["benchmark"] == {"loops": 100}
    assert "thresholds" not in order, "it measures and does not judge"


@pytest.mark.parametrize(
    ("reason", "spec"),
    [
        ("a chip with its defaults", {}),
        ("no chip", {"accelerator": {"chip": "CPU"}}),
        (
            "quantized, with AIPP",
            {
                "conversion": {
                    "batchSizes": [24],
                    "preprocessing": {
                        "pixelFormat": "RGB888",
                        "source": {"height": 224, "width": 224},
                    },
                    "quantization": {"calibration": {"uri": "pvc://data/pictures.tar"}},
                }
            },
        ),
    ],
)
def test_the_order_is_one_that_the_jobs_image_can_read(reason: str, spec: dict[str, Any]) -> None:
    settings = a_settings(amct_image="registry.example/amct:1")
    order = evaluation_spec(
        namespace=a_meta().namespace,
        resolved=resolved(merged({"validation": {"dataset": DATASET}}, spec), settings=settings),
        artifact=an_artifact(),
        asked=BASE,
        validation="ab" * 32,
        settings=settings,
    )
    read = parse_job(json.dumps(order))
    assert read.dataset is not None, reason
    assert (read.dataset.format, read.dataset.sha256) == ("CifarPython", "12" * 32)
    assert read.served is not None
    assert read.served.max_batch_size == order["batchSizes"][-1]
    assert read.validation_key == "ab" * 32
    assert read.loops == 100
    assert read.quantization is None, "the reference is the source model as it came"


def candidate_of(spec: dict[str, Any], *, sidecar: str = "") -> dict[str, Any]:
    """Return the spec of the candidate's pod; `sidecar` stands beside Triton in the revision."""
    gate = {"validation": {"dataset": DATASET, "thresholds": {"minTop1": "0.5"}}}
    found = resolved(merged(gate, spec))
    template = pod_template(
        service=a_meta(),
        resolved=found,
        artifact=an_artifact(),
        revision="resnet50-0123456789",
        has_labels=False,
        settings=a_settings(),
    )
    if sidecar:
        mounts = [{"name": "keys", "mountPath": "/keys"}]
        template["spec"]["containers"].append({"name": sidecar, "volumeMounts": mounts})
        template["spec"]["volumes"].append({"name": "keys", "secret": {"secretName": "tls"}})
    job = validation_job(
        resolved=found,
        artifact=an_artifact(),
        record=a_meta("record"),
        validation="ab" * 8,
        attempt=1,
        template=json.dumps(template),
        settings=a_settings(),
    )
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def test_the_candidate_is_triton_and_the_evaluator_alone() -> None:
    """Another container would never end, and with it the Job."""
    pod = candidate_of({}, sidecar="gateway")
    assert [container["name"] for container in pod["containers"]] == ["triton", "evaluate"]
    assert "keys" not in {volume["name"] for volume in pod["volumes"]}


def test_timing_the_chip_is_no_slow_start() -> None:
    """It comes before Triton answers: a probe of the serving pod would end it."""
    triton, _ = candidate_of({"serving": {"loadTimeoutSeconds": 30}})["containers"]
    assert not [key for key in triton if key.endswith("Probe")]
    assert triton["args"][0] == "--benchmark=/eval/benchmark.json"


def test_without_a_chip_there_is_nothing_to_time() -> None:
    pod = candidate_of({"accelerator": {"chip": "CPU"}})
    assert pod["containers"][0]["args"][0] == "--until-file=/eval/done"
