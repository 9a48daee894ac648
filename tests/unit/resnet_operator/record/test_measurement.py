"""The judgement: which numbers hold which bars, and which bars nobody could ever judge."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from tests.support.builders import MEASURED, a_meta, a_settings, an_artifact, merged, resolved

from resnet_contract.order import parse_job
from resnet_contract.types import Diagnose, StatedLoad
from resnet_operator.api.validation import Validation
from resnet_operator.errors import InvalidSpec
from resnet_operator.plan.artifact.contract import settle
from resnet_operator.reading.decimals import in_words
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.latency import serving_at_load
from resnet_operator.record.measurement import Measurement, shortfalls, validation_key
from resnet_operator.render.serving import pod_template
from resnet_operator.render.validation import evaluation_spec, validation_job

DATASET = {"uri": "pvc://data/cifar100.tar", "sha256": "12" * 32, "format": "CifarPython"}
BARRED: dict[str, Any] = {"dataset": DATASET, "thresholds": {"minTop1": "0.5"}}


def asked(
    bars: dict[str, str] | None = None, *, speed: int | None = None, p99: int | None = None
) -> Validation:
    value: dict[str, Any] = {"dataset": DATASET} | ({"thresholds": bars} if bars else {})
    if speed is not None:
        value["benchmark"] = {"minImagesPerSecond": speed}
    if p99 is not None:
        stated = {"maxP99Milliseconds": p99, "load": {"concurrency": 1}}
        value["benchmark"] = value.get("benchmark", {}) | stated
    if value.keys() == {"dataset"}:
        value["thresholds"] = {"minTop1": "0"}
    return Validation.model_validate(value)


def asking(changes: dict[str, Any]) -> Validation:
    """Return a gate with one threshold and what a test is about."""
    return Validation.model_validate(BARRED | changes)


def measured(**numbers: Any) -> Measurement:
    said = {k: v for k, v in (MEASURED | numbers).items() if v is not None}
    return Measurement.from_message(json.dumps(said), attempt=1)


def waited(p99: float | None, *, failed: int = 0) -> dict[str, Any]:
    return {
        "requests": 400,
        "failedRequests": failed,
        "requestsPerSecond": 99.71,
        "p50Milliseconds": 3.25,
        "p90Milliseconds": 4.0004,
        "p99Milliseconds": p99,
    }


@dataclass(frozen=True)
class Judged:
    reason: str
    bars: dict[str, str] = field(default_factory=dict)
    speed: int | None = None
    p99: int | None = None
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
    Judged("quick", p99=25, numbers={"latency": waited(24.9996)}),
    Judged("just quick enough", p99=25, numbers={"latency": waited(25)}),
    Judged(
        "slow by less than is shown",
        p99=25,
        numbers={"latency": waited(25.00001)},
        want=("p99Milliseconds 25.001 is above maxP99Milliseconds 25",),
    ),
    Judged(
        "so many failed that there is no 99th percentile",
        p99=25,
        numbers={"latency": waited(None, failed=7)},
        want=(
            "7 of 400 requests failed at the stated load, so that maxP99Milliseconds 25 is not met",
        ),
    ),
    Judged("latency without a threshold", numbers={"latency": waited(1e6)}),
    Judged(
        "a result from before the load was stated",
        p99=25,
        want=("p99Milliseconds was not measured",),
    ),
    Judged(
        "fast and slow at once: both are told",
        speed=6000,
        p99=1,
        numbers={"latency": waited(1.5)},
        want=(
            "imagesPerSecond 5123 is below minImagesPerSecond 6000",
            "p99Milliseconds 1.5 is above maxP99Milliseconds 1",
        ),
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
    found = shortfalls(measured(**case.numbers), asked(case.bars, speed=case.speed, p99=case.p99))
    assert found == case.want, case.reason


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.reason)
def test_a_number_from_the_record_is_judged_alike(case: Judged) -> None:
    """The record is JSON: what it keeps must not move a number across its bar."""
    kept = Measurement.from_record(measured(**case.numbers).to_record())
    assert kept is not None
    assert shortfalls(kept, asked(case.bars, speed=case.speed, p99=case.p99)) == case.want, (
        case.reason
    )


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
    ("more memory than chips have", '{"ok": true, "samples": 5, "memoryBytes": 17592186044417}'),
    ("memory in words", '{"ok": true, "samples": 5, "memoryBytes": "much"}'),
    ("a debt of memory", '{"ok": true, "samples": 5, "memoryBytes": -1}'),
    ("half a picture", '{"ok": true, "samples": 5.5}'),
    ("a diagnosis in a list", '{"ok": true, "samples": 5, "diagnosis": ["Labels"]}'),
    ("a diagnosis of numbers", '{"ok": true, "samples": 5, "diagnosis": {"cause": 1}}'),
    ("a long one", '{"ok": true, "samples": 5, "diagnosis": {"cause": "' + "x" * 2000 + '"}}'),
    ("latency in a list", '{"ok": true, "samples": 5, "latency": [1]}'),
    ("latency without a count", '{"ok": true, "samples": 5, "latency": {"p99Milliseconds": 1}}'),
    (
        "a latency in text",
        '{"ok": true, "samples": 5, "latency": {"requests": 1, "failedRequests": "0"}}',
    ),
    ("a boolean for a number", '{"ok": true, "samples": true}'),
)


@pytest.mark.parametrize(("reason", "text"), NO_MESSAGES, ids=[case[0] for case in NO_MESSAGES])
def test_what_is_no_message_of_an_evaluator(reason: str, text: str) -> None:
    with pytest.raises(ValueError):
        Measurement.from_message(text, attempt=1)


def test_latency_as_a_status_shows_it() -> None:
    assert measured(latency=waited(25.00001)).shown()["latency"] == {
        "requests": 400,
        "failedRequests": 0,
        "requestsPerSecond": 99,
        "p50Milliseconds": "3.25",
        "p90Milliseconds": "4",
        "p99Milliseconds": "25",
    }
    without = measured(latency=waited(None, failed=400)).shown()["latency"]
    assert "p99Milliseconds" not in without
    assert without["failedRequests"] == 400


DIAGNOSIS = {"cause": "Labels", "message": "the labels are off by 1", "patch": "{}"}


def test_a_diagnosis_is_kept_and_shown() -> None:
    found = measured(diagnosis=DIAGNOSIS | {"more": "of a later version"})
    kept = Measurement.from_record(found.to_record())
    assert kept is not None
    assert kept.shown()["diagnosis"] == DIAGNOSIS
    assert "diagnosis" not in measured().shown()


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


@pytest.mark.parametrize(
    ("benchmark", "why"),
    [
        ({"maxP99Milliseconds": 5}, "write load: a latency is only comparable at a stated load"),
        ({"maxP99Milliseconds": 5, "load": {}}, "write one of concurrency and requestsPerSecond"),
        (
            {"load": {"concurrency": 1, "requestsPerSecond": 1}},
            "write one of concurrency and requestsPerSecond",
        ),
        (
            {"load": {"concurrency": 1, "batchSize": 9}},
            "write a validation.benchmark.load.batchSize that is not above the largest batch",
        ),
    ],
)
def test_a_latency_nobody_could_measure_is_refused(benchmark: dict[str, Any], why: str) -> None:
    """Also of an object that is older than the CRD's rule."""
    gate = {"validation": {**BARRED, "benchmark": benchmark}}
    with pytest.raises(InvalidSpec, match=why):
        resolved(gate)


def test_the_batch_of_a_load_is_held_against_the_oms_own_sizes() -> None:
    """Only the file knows them: refused when it has been read."""
    load = {"concurrency": 1, "batchSize": 4}
    found = resolved(OM | {"validation": {**BARRED, "benchmark": {"load": load}}})
    assert settle(found, an_artifact(batch_sizes=(1, 4))).max_batch_size == 4
    with pytest.raises(InvalidSpec, match=r"load\.batchSize is 4, the largest batch"):
        settle(found, an_artifact(batch_sizes=(1, 2)))


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
            key(asking({"dataset": DATASET | {"sha256": "34" * 32}})),
        ),
        ("other labels", key(asking({"dataset": DATASET | {"labels": "a"}}))),
        ("a data set without digest", key(UNPINNED)),
    ],
)
def test_what_needs_a_measurement_of_its_own(reason: str, other: str) -> None:
    assert other != key(BASE), reason


def key_of_spec(benchmark: dict[str, Any], **serving: Any) -> str:
    gate = {"dataset": DATASET, "benchmark": benchmark, "thresholds": {"minTop1": "0.5"}}
    spec = resolved({"validation": gate, "serving": serving}).spec
    assert spec.validation is not None
    return validation_key(
        validation=spec.validation,
        artifact=an_artifact(),
        uid="a",
        refetch=None,
        serving=serving_at_load(spec),
    )


LOADED = {"load": {"concurrency": 4}}
QUEUES = {"batching": {"maxQueueDelayMicroseconds": 5000}}


def test_a_latency_threshold_is_judged_on_the_numbers_that_are_there() -> None:
    assert key_of_spec(LOADED) == key_of_spec(LOADED | {"maxP99Milliseconds": 5})
    written_out = {"load": {"concurrency": 4, "batchSize": 1}}
    assert key_of_spec(LOADED) == key_of_spec(written_out), "its default"


@pytest.mark.parametrize(
    ("reason", "other"),
    [
        ("no load at all", key_of_spec({})),
        ("more clients", key_of_spec({"load": {"concurrency": 5}})),
        ("an open load", key_of_spec({"load": {"requestsPerSecond": 4}})),
        ("larger requests", key_of_spec({"load": {"concurrency": 4, "batchSize": 2}})),
        ("another queue delay: clients wait for it", key_of_spec(LOADED, **QUEUES)),
        ("more instances", key_of_spec(LOADED, instancesPerChip=2)),
    ],
)
def test_a_latency_of_another_load_or_other_serving_is_another_number(
    reason: str, other: str
) -> None:
    assert other != key_of_spec(LOADED), reason


def test_without_a_load_a_change_of_batching_measures_nothing_again() -> None:
    assert key_of_spec({}) == key_of_spec({}, **QUEUES) == key(BASE)
    assert key_of_spec(LOADED) == key_of_spec(LOADED, replicas=3), "it is that of one replica"


def test_only_a_look_at_what_passed_needs_another_run() -> None:
    def looking(when: str) -> str:
        value = {"dataset": DATASET, "thresholds": {"minTop1": "0.5"}, "diagnose": when}
        return key(Validation.model_validate(value))

    assert looking("OnFailure") == looking("Never") == key(BASE)
    assert looking("Always") != key(BASE)


def test_an_unpinned_data_set_is_of_one_object_and_one_refetch() -> None:
    assert len({key(UNPINNED), key(UNPINNED, uid="b"), key(UNPINNED, refetch="1")}) == 3


def test_the_default_number_of_loops_is_as_good_as_written_out() -> None:
    hundred = asking({"benchmark": {"loops": 100}})
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


def test_the_evaluator_is_told_the_load_and_not_its_threshold() -> None:
    benchmark = {"load": {"requestsPerSecond": 50}, "maxP99Milliseconds": 7}
    found = resolved({"validation": {"dataset": DATASET, "benchmark": benchmark}})
    assert found.spec.validation is not None
    order = evaluation_spec(
        namespace=a_meta().namespace,
        resolved=found,
        artifact=an_artifact(),
        asked=found.spec.validation,
        validation="ab" * 8,
        settings=a_settings(),
    )
    load = {"requestsPerSecond": 50, "batchSize": 1}
    assert order["benchmark"] == {"loops": 100, "load": load}
    assert parse_job(json.dumps(order)).load == StatedLoad(
        concurrency=None, requests_per_second=50, batch=1
    )


@pytest.mark.parametrize(
    ("quantization", "want"),
    [
        (None, Diagnose("OnFailure", {"minTop1": 0.5})),
        ({}, Diagnose("OnFailure", {"minTop1": 0.5}, quantized=True, calibration_batches=5)),
        (
            {"skipLayers": ["a"]},
            Diagnose("OnFailure", {"minTop1": 0.5}, True, ("a",), calibration_batches=5),
        ),
        (
            {"rawConfig": "x"},
            Diagnose("OnFailure", {"minTop1": 0.5}, True, None, calibration_batches=5),
        ),
    ],
)
def test_the_evaluator_is_told_what_a_patch_would_add_to(
    quantization: dict[str, Any] | None, want: Diagnose
) -> None:
    gate: dict[str, Any] = {"validation": {"dataset": DATASET, "thresholds": {"minTop1": "0.5"}}}
    if quantization is not None:
        calibration: dict[str, Any] = {"calibration": {"uri": "pvc://data/pictures.tar"}}
        gate["conversion"] = {"batchSizes": [8], "quantization": calibration | quantization}
    settings = a_settings(amct_image="registry.example/amct:1")
    found = resolved(gate, settings=settings)
    assert found.spec.validation is not None
    order = evaluation_spec(
        namespace="models",
        resolved=found,
        artifact=an_artifact(),
        asked=found.spec.validation,
        validation="ab" * 8,
        settings=settings,
    )
    assert parse_job(json.dumps(order)).diagnose == want


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
        resolved=resolved(merged({"validation": BARRED}, spec), settings=settings),
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
        classes=None,
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
