"""`evaluate` from its order to its message, against a server whose answers the test chooses."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from tests.support.patience import patient
from tests.unit.resnet_jobs import fake_triton, models
from tests.unit.resnet_jobs.conftest import ORDER, FakeTime

from resnet_contract.order import parse_job
from resnet_contract.progress import last_result
from resnet_jobs import __main__ as program
from resnet_jobs.base.clock import SYSTEM_CLOCK, Clock
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.evaluate import evaluate
from resnet_jobs.evaluation import plan as evaluate_plan
from resnet_jobs.evaluation import result as evaluate_result
from resnet_jobs.evaluation.place import Place
from resnet_jobs.evaluation.triton_client import Triton
from resnet_jobs.store.shared_claim import SharedClaimStore
from resnet_operator.record.measurement import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "ab" * 32
ARTIFACT = "cd" * 32
SAMPLES, BATCH = 21, 8
SERVED: dict[str, Any] = {
    "name": "resnet",
    "inputs": [{"name": "input", "dataType": "FP32", "dims": [3, 8, 8]}],
    "outputs": [{"name": "scores", "dataType": "FP32", "dims": [models.CLASSES]}],
    "maxBatchSize": BATCH,
    "artifact": ARTIFACT,
}
BENCHMARK = {
    "runtime": "AscendOM",
    "chip": "Ascend310P3",
    "cann": "8.2.RC1 (simulator)",
    "loops": 100,
    "memoryBytes": 29293568,
    "profiles": {
        str(batch): {"min": 1.0, "mean": 2.0, "throughput": 500.04 * batch, "count": 100}
        for batch in (1, 8)
    },
}


def tensors() -> Any:
    return np.random.default_rng(11).standard_normal((SAMPLES, 3, 8, 8)).astype(np.float32)


@dataclass
class Bench:
    """The gate's pod in a folder: a data set, a source model, a store; `order` may be changed."""

    root: Path
    order: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place = Workspace(scratch=self.root / "scratch", source=self.root / "source")
        self.store = SharedClaimStore(self.root / "store")
        self.samples = tensors()
        self.place.model.parent.mkdir(parents=True)
        self.place.model.write_bytes(models.classifier().SerializeToString())
        self.session = onnxruntime.InferenceSession(self.place.model)
        self.labels = self.exact(self.samples).argmax(axis=1)
        self.place.dataset.mkdir()
        (self.root / "store").mkdir()
        (self.root / "eval").mkdir()
        self.save(self.samples, self.labels)

    def save(self, samples: Any, labels: Any) -> None:
        np.savez(self.place.dataset / "set.npz", x=samples, y=labels)

    def exact(self, batch: Any) -> Any:
        return self.session.run(None, {"input": batch})[0]

    @property
    def values(self) -> dict[str, Any]:
        return {
            **ORDER,
            "chip": "CPU",
            "dataset": {"uri": "pvc://sets/set.npz", "format": "Npy"},
            "validationKey": KEY,
            "model": SERVED,
            "store": {"type": "SharedClaim", "path": str(self.root / "store")},
            **self.order,
        }

    @property
    def environment(self) -> dict[str, str]:
        return {
            "RESNET_JOB": json.dumps(self.values),
            "RESNET_SCRATCH": str(self.place.scratch),
            "RESNET_SOURCE": str(self.place.source),
            "RESNET_TERMINATION_LOG": str(self.root / "termination-log"),
            "RESNET_EVAL": str(self.root / "eval"),
            "RESNET_LOAD_SECONDS": "0.01",
        }

    def evaluate(self, address: str, *, clock: Any = SYSTEM_CLOCK) -> dict[str, Any]:
        return evaluate(
            parse_job(json.dumps(self.values)),
            self.place,
            Place(folder=self.root / "eval", address=address, load_seconds=0.01),
            store=self.store,
            clock=clock,
        )

    def measured(
        self, answer: Callable[[Any], Any] | None = None, *, instances: int = 1
    ) -> tuple[dict[str, Any], dict[str, Any], fake_triton.FakeTriton]:
        """(message, result.json, server)"""
        with fake_triton.running(answer or self.exact, instances=instances) as server:
            message = self.evaluate(server.address)
        stored = self.store.get_result(KEY)
        assert stored is not None
        return message, json.loads(stored), server

    def refusal(self, answer: Callable[[Any], Any] | None = None) -> JobError:
        with (
            fake_triton.running(answer or self.exact) as server,
            pytest.raises(JobError) as caught,
        ):
            self.evaluate(server.address)
        assert len(caught.value.message) <= 300, "a longer one would be cut"
        return caught.value


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_model_that_answers_like_its_source(bench: Bench) -> None:
    (bench.root / "eval/benchmark.json").write_text(json.dumps(BENCHMARK))
    message, result, server = bench.measured()
    assert message == {
        "ok": True,
        "samples": SAMPLES,
        "top1": 1.0,
        "top1Reference": 1.0,
        "cosineSimilarity": 1.0,
        "top1Agreement": 1.0,
        "imagesPerSecond": result["imagesPerSecond"],
        "memoryBytes": 29293568,
        "resultKey": f"results/{KEY}.json",
        "throughput": {"1": 500.0, "8": 4000.3},
    }
    assert message["imagesPerSecond"] > 0
    shapes = {shape[0] for shape in server.batches[:3]}
    assert shapes == {BATCH, SAMPLES % BATCH}, "the last batch is as small as it is"
    assert {shape[0] for shape in server.batches[3:]} == {BATCH}, "speed is that of full batches"
    assert (result["drop"], result["cosineSimilarityMin"]) == (0.0, 1.0)
    assert result["benchmark"] == BENCHMARK
    assert result["versions"]["cann"] == "8.2.RC1 (simulator)", "what the tools say of themselves"
    assert result["versions"]["triton"] == "2.0 (test)"
    assert result["versions"]["onnxruntime"] == onnxruntime.__version__
    assert result["model"]["artifactSha256"] == ARTIFACT
    assert result["load"]["requestsInFlight"] == 4
    assert len(result["dataset"]["contentSha256"]) == 64


@pytest.mark.parametrize("memory", [None, 0, -5, 2**44 + 1, "7", True, 1.5, [7]])
def test_memory_that_no_chip_has_is_left_out(bench: Bench, memory: Any) -> None:
    """The serving container may be of an image that somebody else has made."""
    found = BENCHMARK | {"memoryBytes": memory}
    (bench.root / "eval/benchmark.json").write_text(json.dumps(found))
    message, _, _ = bench.measured()
    assert "memoryBytes" not in message


def test_the_controller_reads_this_very_message(bench: Bench) -> None:
    """What the two agreed on: nothing that is measured may be lost on the way."""
    (bench.root / "eval/benchmark.json").write_text(json.dumps(BENCHMARK))
    message, _, _ = bench.measured(lambda batch: bench.exact(batch) + 0.3)
    found = Measurement.from_message(json.dumps(message), attempt=2)
    assert found.samples == SAMPLES
    for name, value in (
        ("top1", found.top1),
        ("top1Reference", found.top1_reference),
        ("cosineSimilarity", found.cosine_similarity),
        ("top1Agreement", found.top1_agreement),
        ("imagesPerSecond", found.images_per_second),
    ):
        assert value is not None, name
        assert float(value) == message[name]
    assert {key: float(speed) for key, speed in found.throughput.items()} == message["throughput"]
    assert found.result_key == message["resultKey"]
    assert found.memory_bytes == message["memoryBytes"]


def test_numbers_are_those_of_the_definitions(bench: Bench) -> None:
    """Computed once more here, in the plainest way; the set has wrong labels, the model noise."""
    labels = bench.labels.copy()
    labels[::4] = (labels[::4] + 1) % models.CLASSES
    bench.save(bench.samples, labels)
    noise = np.random.default_rng(4).standard_normal((SAMPLES, models.CLASSES)).astype(np.float32)
    place = {sample.tobytes(): index for index, sample in enumerate(bench.samples)}

    def noisy(batch: Any) -> Any:
        return bench.exact(batch) + noise[[place[sample.tobytes()] for sample in batch]]

    message, result, _ = bench.measured(noisy)
    reference = bench.exact(bench.samples).astype(np.float64)
    scores = noisy(bench.samples).astype(np.float64)
    cosines = [
        float(a @ b / np.sqrt((a @ a) * (b @ b))) for a, b in zip(scores, reference, strict=True)
    ]
    assert message["top1"] == pytest.approx(np.mean(scores.argmax(1) == labels), abs=1e-9)
    assert message["top1Reference"] == pytest.approx(np.mean(reference.argmax(1) == labels))
    assert message["top1Agreement"] == pytest.approx(np.mean(scores.argmax(1) == bench.labels))
    assert message["cosineSimilarity"] == pytest.approx(np.mean(cosines), abs=1e-6)
    assert result["cosineSimilarityMin"] == pytest.approx(min(cosines), abs=1e-6)
    assert result["drop"] == pytest.approx(message["top1Reference"] - message["top1"])
    by_class = result["classes"]
    assert sum(one["samples"] for one in by_class) == SAMPLES
    hits = sum(one["samples"] * one["top1"] for one in by_class)
    assert hits == pytest.approx(SAMPLES * message["top1"])
    wrong = sum(one["count"] for one in result["confusions"])
    assert wrong == SAMPLES - round(hits)
    lowest = min(range(SAMPLES), key=lambda index: cosines[index])
    assert lowest in [one["index"] for one in result["worst"]]
    assert result["worst"][0]["name"] == f"set.npz[{result['worst'][0]['index']}]"


@pytest.mark.thorough
@pytest.mark.parametrize("load", [{"concurrency": 3}, {"requestsPerSecond": 500}])
def test_what_clients_wait_at_the_stated_load(bench: Bench, load: dict[str, int]) -> None:
    bench.order = {"benchmark": {"loops": 5, "load": {**load, "batchSize": 2}}}
    message, result, server = bench.measured()
    found = result["latency"]
    assert found["load"] == {**load, "batchSize": 2}
    assert found["requests"] >= 200
    assert found["failedRequests"] == 0
    times = [found[f"{name}Milliseconds"] for name in ("p50", "p90", "p99", "max")]
    assert 0 < times[0] <= times[1] <= times[2] <= times[3]
    of_the_load = [shape[0] for shape in server.batches if shape[0] == 2]
    assert len(of_the_load) == found["requests"] + 2 * found["clients"], "and two to warm up"
    told = Measurement.from_message(json.dumps(message), attempt=1)
    kept = Measurement.from_record(told.to_record())
    assert kept is not None
    assert kept.latency == told.latency
    assert told.latency is not None
    assert float(told.latency.p99 or 0) == found["p99Milliseconds"]
    assert told.latency.requests == found["requests"]


@pytest.mark.thorough
def test_requests_that_fail_under_load_are_counted(bench: Bench) -> None:
    """A queue that is full refuses some: that is a number, and no failure of the run."""
    bench.order = {"benchmark": {"load": {"concurrency": 2}}}
    asked = itertools.count()

    def full(batch: Any) -> Any:
        if len(batch) == 1 and next(asked) % 10 == 9:
            raise ValueError("Exceeds maximum queue size")
        return bench.exact(batch)

    bench.save(bench.samples[:8], bench.labels[:8])  # no batch of one in the set's own run
    message, result, _ = bench.measured(full)
    assert 15 <= result["latency"]["failedRequests"] <= 25
    assert message["latency"]["p99Milliseconds"] is None
    assert message["latency"]["p50Milliseconds"] > 0


def test_a_load_of_batches_that_triton_does_not_take(bench: Bench) -> None:
    bench.order = {"benchmark": {"load": {"concurrency": 1, "batchSize": 9}}}
    failure = bench.refusal()
    assert failure.reason is Reason.INVALID_SPEC
    assert "load.batchSize 9 is above the largest batch" in failure.message


@pytest.mark.thorough
def test_a_load_beyond_this_containers_memory_is_refused_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_plan, "BYTES_IN_FLIGHT", 4 * 3 * 8 * 8 * 4)
    bench.order = {"benchmark": {"load": {"concurrency": 4}}}
    assert bench.measured()[0]["latency"]["requests"] >= 200
    bench.order = {"benchmark": {"load": {"concurrency": 5}}}
    failure = bench.refusal()
    assert failure.reason is Reason.INVALID_SPEC
    assert "lower concurrency or batchSize" in failure.message


@pytest.mark.parametrize(
    ("instances", "rows", "megabytes", "want", "reason"),
    [
        (1, BATCH, 0.1, 4, "enough for one chip"),
        (8, BATCH, 0.1, 16, "two for each instance: one computes, one is on its way"),
        (4, BATCH // 2, 0.1, 16, "two requests make a batch"),
        (8, BATCH, 10, 3, "but not more than this container's memory can hold"),
        (8, BATCH, 100, 2, "and never one after the other"),
    ],
)
def test_requests_in_flight(
    bench: Bench, instances: int, rows: int, megabytes: float, want: int, reason: str
) -> None:
    served = parse_job(json.dumps(bench.values)).served
    assert served is not None
    with fake_triton.running(bench.exact, instances=instances) as server:
        triton = Triton(
            server.address,
            served,
            tensor=served.inputs[0],
            output=served.outputs[0],
            clock=SYSTEM_CLOCK,
            ended=lambda: False,
        )
        size = int(megabytes * 2**20)
        assert triton.requests_in_flight(rows=rows, sample_bytes=size) == want, reason


def test_a_batch_too_large_for_one_request_goes_in_parts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_plan, "REQUEST_BYTES", 3 * 3 * 8 * 8 * 4 + 1)
    message, result, server = bench.measured()
    assert message["samples"] == SAMPLES
    assert {shape[0] for shape in server.batches} == {3}
    load = result["load"]
    assert (load["batch"], load["requestsInFlight"]) == (3, 6)
    assert result["model"]["maxBatchSize"] == BATCH


def test_a_set_smaller_than_one_batch(bench: Bench) -> None:
    bench.save(bench.samples[:3], bench.labels[:3])
    message, _, server = bench.measured()
    assert (message["samples"], message["top1"]) == (3, 1.0)
    assert server.batches[0] == (3, 3, 8, 8)
    assert {shape[0] for shape in server.batches[1:]} == {BATCH}, "repeated to fill a batch"


def test_a_source_whose_batch_is_fixed_is_still_a_reference(bench: Bench) -> None:
    bench.place.model.write_bytes(models.classifier(batch=4).SerializeToString())
    assert bench.measured()[0]["cosineSimilarity"] == 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "OM", "chip": "Ascend310P3"},
        {"quantized": True, "chip": "Ascend310P3"},
    ],
    ids=["an OM has no source here", "AMCT's operators run nowhere but on the chip"],
)
def test_without_a_reference_labels_are_all_there_is(bench: Bench, changes: dict[str, Any]) -> None:
    bench.order = changes
    bench.place.model.write_bytes(b"nothing that ONNX Runtime can open")
    message, result, _ = bench.measured()
    assert message["top1"] == 1.0
    compared = ("top1Reference", "cosineSimilarity", "top1Agreement")
    assert [message.get(name) for name in compared] == [None, None, None]
    assert result["reference"] is None
    assert Measurement.from_message(json.dumps(message), attempt=1).cosine_similarity is None


def test_pictures_go_through_the_chips_preprocessing(bench: Bench) -> None:
    """Clients send bytes [H, W, 3]; the source model gets what AIPP makes of them."""
    how: dict[str, Any] = {
        "pixelFormat": "RGB888",
        "source": {"height": 10, "width": 10},
        "mean": [120, 110, 100],
        "std": [60, 61, 62],
    }
    bench.order = {
        "chip": "Ascend310P3",
        "preprocessing": how,
        "model": {
            **SERVED,
            "inputs": [{"name": "input", "dataType": "UINT8", "dims": [10, 10, 3]}],
        },
    }
    pixels = np.random.default_rng(6).integers(0, 256, (SAMPLES, 10, 10, 3), dtype=np.uint8)

    def aipp(batch: Any) -> Any:
        assert batch.dtype == np.uint8
        window = batch[:, 1:9, 1:9].astype(np.float32)
        scaled = (window - np.array(how["mean"], np.float32)) / np.array(how["std"], np.float32)
        return bench.exact(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))

    bench.save(pixels, aipp(pixels).argmax(axis=1))
    message, result, _ = bench.measured(aipp)
    assert (message["top1"], message["top1Reference"]) == (1.0, 1.0)
    assert message["cosineSimilarity"] == pytest.approx(1.0, abs=1e-6)
    assert result["model"]["input"] == {"dataType": "UINT8", "dims": [10, 10, 3]}
    text = (
        "aipp_op { related_input_rank: 0 aipp_mode: static input_format: RGB888_U8\n"
        "src_image_size_w: 10 src_image_size_h: 10 crop: true load_start_pos_w: 1\n"
        "load_start_pos_h: 1 crop_size_w: 8 crop_size_h: 8\n"
        + "".join(
            f"mean_chn_{channel}: {mean} var_reci_chn_{channel}: {1 / std}\n"
            for channel, (mean, std) in enumerate(zip(how["mean"], how["std"], strict=True))
        )
        + "}"
    )
    bench.order["preprocessing"] = {"rawAIPP": text}
    again, _, _ = bench.measured(aipp)
    assert again["cosineSimilarity"] == pytest.approx(1.0, abs=1e-6), "the same as a text"


def asks(when: str, **thresholds: str) -> dict[str, Any]:
    return {"when": when, "thresholds": thresholds}


def test_labels_in_another_order_are_named(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message is read by the controller, result.json by people."""
    labels = np.arange(SAMPLES) % models.CLASSES
    place = {sample.tobytes(): label for sample, label in zip(bench.samples, labels, strict=True)}
    bench.save(bench.samples, labels)
    bench.order = {"diagnose": asks("OnFailure", minTop1="0.9")}

    def other(batch: Any) -> Any:
        return np.eye(models.CLASSES)[[(place[row.tobytes()] + 2) % 5 for row in batch]]

    message, result, _ = bench.measured(other)
    assert message["diagnosis"]["cause"] == "Labels"
    assert result["diagnosis"]["message"] == message["diagnosis"]["message"]
    logged = last_result(capsys.readouterr().out)
    assert json.loads(logged or "") == result, "the log has all of it, for the report"
    told = Measurement.from_message(json.dumps(message), attempt=1)
    kept = Measurement.from_record(told.to_record())
    assert kept is not None
    assert dict(kept.diagnosis) == message["diagnosis"]


@pytest.mark.parametrize(
    ("diagnose", "want"),
    [
        (asks("OnFailure", minTop1="0.9"), None),
        (asks("Always", minTop1="0.9"), "Unknown"),
        (asks("Never", minTop1="1"), None),
        (None, None),
    ],
)
def test_causes_are_looked_for_when_asked(
    bench: Bench, diagnose: dict[str, Any] | None, want: str | None
) -> None:
    bench.order = {"diagnose": diagnose}
    message, result, _ = bench.measured()
    assert (message.get("diagnosis") or {}).get("cause") == want
    assert (result["diagnosis"] or {}).get("cause") == want


def poisoned(bench: Bench, index: int) -> Callable[[Any], Any]:
    def answer(batch: Any) -> Any:
        scores = bench.exact(batch)
        for row, sample in enumerate(batch):
            if np.array_equal(sample, bench.samples[index]):
                scores[row, 2] = np.nan
        return scores

    return answer


def test_scores_that_are_no_numbers_are_refused(bench: Bench) -> None:
    failure = bench.refusal(poisoned(bench, 13))
    assert failure.reason is Reason.EVALUATION_FAILED
    assert failure.message.startswith(
        "the served model answers set.npz[13] with NaN or infinity: in half precision numbers end"
    )
    assert 64 <= failure.exit_code < 80, "another attempt would find the same"
    assert bench.store.get_result(KEY) is None, "no numbers, no result"


def test_a_source_that_answers_no_numbers_is_at_fault_itself(bench: Bench) -> None:
    broken = models.classifier()
    (bias,) = (one for one in broken.graph.initializer if one.name == "fc.bias")
    bias.raw_data = np.full(models.CLASSES, np.inf, np.float32).tobytes()
    bench.place.model.write_bytes(broken.SerializeToString())
    failure = bench.refusal()
    assert failure.reason is Reason.UNSUPPORTED_MODEL
    assert "the source model itself answers set.npz[0]" in failure.message


def drop_model(bench: Bench) -> None:
    bench.place.model.unlink()


def drop_dataset(bench: Bench) -> None:
    (bench.place.dataset / "set.npz").unlink()
    bench.place.dataset.rmdir()


def empty_dataset(bench: Bench) -> None:
    bench.save(bench.samples[:0], bench.labels[:0])


def stray_label(bench: Bench) -> None:
    bench.save(bench.samples, np.where(bench.labels == 1, models.CLASSES, bench.labels))


def garbage_model(bench: Bench) -> None:
    bench.place.model.write_bytes(b"no ONNX")


def torn_benchmark(bench: Bench) -> None:
    (bench.root / "eval/benchmark.json").write_text('{"profiles": ')


@pytest.mark.parametrize(
    ("harm", "reason", "words"),
    [
        (drop_model, Reason.RESULT_LOST, "the fetched source model is missing"),
        (drop_dataset, Reason.RESULT_LOST, "the fetched data set is missing"),
        (empty_dataset, Reason.INVALID_SPEC, "no sample of format Npy was found"),
        (stray_label, Reason.INVALID_SPEC, "labels count from 0, subtract 1"),
        (garbage_model, Reason.UNSUPPORTED_MODEL, "ONNX Runtime cannot load the source model"),
        (torn_benchmark, Reason.RESULT_LOST, "the benchmark's result cannot be read"),
    ],
)
def test_what_is_missing_or_broken(
    bench: Bench, harm: Callable[[Bench], None], reason: Reason, words: str
) -> None:
    harm(bench)
    failure = bench.refusal()
    assert failure.reason is reason
    assert words in failure.message


@pytest.mark.parametrize("missing", ["model", "dataset", "validationKey"])
def test_an_order_that_was_not_made_for_this(bench: Bench, missing: str) -> None:
    bench.order = {missing: None}
    assert bench.refusal().reason is Reason.INVALID_SPEC


def test_a_refused_request_is_told_in_tritons_words(bench: Bench) -> None:
    def refuse(_: Any) -> Any:
        raise ValueError("unexpected shape for input 'input'")

    failure = bench.refusal(refuse)
    assert failure.reason is Reason.EVALUATION_FAILED
    assert "unexpected shape for input 'input'" in failure.message


def test_scores_of_another_shape_are_no_scores(bench: Bench) -> None:
    failure = bench.refusal(lambda batch: bench.exact(batch)[:, :3])
    assert failure.message == 'Triton answered 8 samples with "scores" [8, 3]'


def test_a_triton_that_is_loading_is_waited_for(bench: Bench, fake_time: FakeTime) -> None:
    with fake_triton.running(bench.exact) as server:
        server.refusals = 40
        # The load needs a clock that goes on by itself; only the naps cost no time.
        clock = Clock(monotonic=time.monotonic, sleep=fake_time.sleep)
        assert bench.evaluate(server.address, clock=clock)["ok"]
    assert fake_time.naps == [1.0] * 40


def test_a_triton_that_never_gets_ready(bench: Bench, fake_time: FakeTime) -> None:
    bench.order = {"timeoutSeconds": 90}
    with pytest.raises(JobError) as caught:
        bench.evaluate("127.0.0.1:1", clock=fake_time.clock)
    assert caught.value.reason is Reason.EVALUATION_FAILED
    assert 'the model "resnet" was not ready after 90 s' in caught.value.message


def test_a_triton_that_ended_is_not_waited_for(bench: Bench, fake_time: FakeTime) -> None:
    (bench.root / "eval/done").touch()
    with pytest.raises(JobError, match="Triton ended before the model was ready"):
        bench.evaluate("127.0.0.1:1", clock=fake_time.clock)
    assert fake_time.naps == []


def test_a_triton_that_ends_midway_is_named_as_the_cause(bench: Bench) -> None:
    def die(_: Any) -> Any:
        (bench.root / "eval/done").touch()  # as launch.py does
        raise ValueError("gone")

    assert "Triton ended while it was measured" in bench.refusal(die).message


def test_numbers_outlive_a_store_that_does_not_take_the_report(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise JobError(Reason.STORE_FULL, "the store has no room")

    monkeypatch.setattr(bench.store, "put_result", full)
    with fake_triton.running(bench.exact) as server:
        message = bench.evaluate(server.address)
    assert "resultKey" not in message
    assert message["top1"] == 1.0
    assert "result.json could not be stored: the store has no room" in capsys.readouterr().out
    assert Measurement.from_message(json.dumps(message), attempt=1).result_key == ""


def test_a_hundred_batch_sizes_fit_into_a_message() -> None:
    """The largest are kept: they are the speed that people ask for."""
    message = {
        "ok": True,
        **dict.fromkeys(evaluate_result.ESSENTIALS, 0.123456789),
        "latency": dict.fromkeys(evaluate_result.LATENCIES, 12345.678),
    }
    throughput = {str(size): 12345.6 * size for size in range(1, 101)}
    kept = evaluate_result.fitting(message, throughput)
    assert "100" in kept
    assert 50 < len(kept) < 100
    assert list(kept) == [str(size) for size in range(101 - len(kept), 101)]
    few = {"1": 10.0, "8": 70.0}
    assert evaluate_result.fitting(message, few) == few


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return bench


def message_of(bench: Bench) -> dict[str, Any]:
    text = (bench.root / "termination-log").read_text()
    assert len(text.encode()) <= 1500
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_command(environment: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    done = environment.root / "eval/done"
    with fake_triton.running(environment.exact) as server:
        monkeypatch.setenv("RESNET_TRITON", server.address)
        assert program.main(["evaluate"]) == 0
    assert message_of(environment)["top1"] == 1.0
    assert done.exists(), "Triton may end, and give its chip back"


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (JobError(Reason.EVALUATION_FAILED, "of course"), 89, "EvaluationFailed"),
        (ZeroDivisionError("of course"), 90, "EvaluationFailed"),
        (MemoryError(), 85, "OutOfMemory"),
    ],
)
def test_a_failure_ends_triton_too(
    environment: Bench,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    reason: str,
) -> None:
    monkeypatch.setattr("resnet_jobs.commands.evaluate.evaluate", raising(error))
    assert program.main(["evaluate"]) == code
    assert message_of(environment)["reason"] == reason
    assert (environment.root / "eval/done").exists()


@pytest.mark.parametrize("order", ["", "{}", "no JSON"])
def test_an_order_nobody_can_read_ends_triton_too(
    environment: Bench, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setenv("RESNET_JOB", order)
    assert program.main(["evaluate"]) == 64
    assert (environment.root / "eval/done").exists()


def test_being_stopped_ends_triton_too(bench: Bench) -> None:
    """In the middle of requests that are never answered."""
    code = (
        "import sys, resnet_jobs.commands.evaluate as e; from resnet_jobs import __main__ as m\n"
        "def wait(*a, **k): print('waiting', flush=True); import time; time.sleep(600)\n"
        "e.run_dataset = wait\n"
        "sys.exit(m.main(['evaluate']))"
    )
    with fake_triton.running(bench.exact) as server:
        environment = {
            **bench.environment,
            "RESNET_TRITON": server.address,
            "PYTHONPATH": str(Path(program.__file__).parents[1]),
            "PATH": os.environ["PATH"],
        }
        command = [sys.executable, "-c", code]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert any(line == "waiting\n" for line in process.stdout)
            process.send_signal(signal.SIGTERM)
            assert process.wait(patient(10)) == 143
    assert (bench.root / "eval/done").exists()


def test_a_folder_nobody_can_write_hides_no_failure(
    environment: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESNET_EVAL", str(environment.root / "nowhere"))
    monkeypatch.setenv("RESNET_JOB", "")
    assert program.main(["evaluate"]) == 64
    assert "cannot write" in capsys.readouterr().out
