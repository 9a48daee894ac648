"""What the gate has measured of an artifact, and whether that is enough. Pure.

Numbers are kept apart from thresholds: a changed threshold is judged on the numbers that are
there, and nothing is measured again. Read by `render` and `plan`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from resnet_contract.report import messages
from resnet_contract.report.messages import key_of
from resnet_contract.words import DEFAULT_LOOPS, DatasetFormat, DiagnoseWhen
from resnet_operator.api.validation import Thresholds, Validation
from resnet_operator.errors import Misfit
from resnet_operator.names import digest
from resnet_operator.reading.decimals import decimal_of, floor_of, in_words, whole_of
from resnet_operator.reading.json_text import RECORD_CHARS, read_object
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.latency import Latency, latency_shortfall
from resnet_operator.record.tuning import TuningResult

RESULT_KEY = "result.json"
# Its rules let no object write it so.
NO_THRESHOLDS = Thresholds.model_construct()
# The whole of it; a result's name has eight digits.
VALIDATION_KEY = "validationKey"
# Sets that mostly hold what the model takes: how pictures are scaled matters to few of them.
AS_THEY_ARE = {DatasetFormat.NPY, DatasetFormat.RAW_BIN}
MOST_SPEEDS = 256
MOST_MEMORY = 2**44
MOST_DIAGNOSIS = 1500
UNKNOWN = "Unknown"
DIAGNOSIS = ("cause", "message", "patch")
SHARES = {key_of(name): name for name in messages.SHARES}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """Shares from 0 to 1, speeds in images a second; None is what was not measured."""

    samples: int
    attempt: int
    top1: Decimal | None = None
    top1_reference: Decimal | None = None
    cosine_similarity: Decimal | None = None
    top1_agreement: Decimal | None = None
    images_per_second: Decimal | None = None
    latency: Latency | None = None
    diagnosis: Mapping[str, str] = field(default_factory=dict)
    throughput: Mapping[str, Decimal] = field(default_factory=dict)
    tuning: TuningResult | None = None
    memory_bytes: int | None = None  # of the chip, while one instance was loaded
    result_key: str = ""

    @classmethod
    def from_message(cls, text: str, *, attempt: int) -> Measurement:
        """Read the evaluator's message; raises Misfit when it is none."""
        value = read_object(text, number=Decimal, constant=_no_number)
        if value.get("ok") is not True:
            raise Misfit("the evaluator does not say ok")
        return cls._from_json(value, attempt=attempt)

    @classmethod
    def from_record(cls, data: Mapping[str, str]) -> Measurement | None:
        """Read the data of a result; None when there is none in it. Raises Misfit."""
        if RESULT_KEY not in data:
            return None
        value = read_object(data[RESULT_KEY], max_chars=RECORD_CHARS, number=Decimal)
        return cls._from_json(value, attempt=whole_of(value, "attempt", 1))

    @classmethod
    def _from_json(cls, value: Mapping[str, Any], *, attempt: int) -> Measurement:
        throughput = value.get("throughput") or {}
        if not isinstance(throughput, dict) or len(throughput) > MOST_SPEEDS:
            raise Misfit("throughput: it is not a map of speeds")
        key = value.get("resultKey") or ""
        return cls(
            samples=whole_of(value, "samples"),
            attempt=attempt,
            images_per_second=decimal_of(value, "imagesPerSecond"),
            latency=Latency.from_json(value.get("latency")),
            diagnosis=_diagnosis(value.get("diagnosis")),
            tuning=TuningResult.from_json(value.get("tuning")),
            throughput={
                name: speed
                for name in sorted(throughput)
                if (speed := decimal_of(throughput, name)) is not None
            },
            memory_bytes=_memory(value),
            result_key=key if isinstance(key, str) else "",
            **{name: decimal_of(value, key) for key, name in SHARES.items()},
        )

    @property
    def explanation(self) -> tuple[str, ...]:
        """Return what was found when the cause of a failure was looked for."""
        message = self.diagnosis.get("message", "")
        return (message,) if message and self.diagnosis.get("cause") != UNKNOWN else ()

    def to_record(self) -> dict[str, str]:
        """Return the data of a result: the numbers as they were measured, and no thresholds."""
        shares = {key: getattr(self, name) for key, name in SHARES.items()}
        value: dict[str, Any] = {
            **shares,
            "samples": self.samples,
            "attempt": self.attempt,
            "imagesPerSecond": self.images_per_second,
            "latency": self.latency.to_json() if self.latency else None,
            "diagnosis": dict(self.diagnosis) or None,
            "tuning": self.tuning.to_json() if self.tuning else None,
            "throughput": {key: float(speed) for key, speed in self.throughput.items()} or None,
            "memoryBytes": self.memory_bytes,
            "resultKey": self.result_key or None,
        }
        kept = {
            key: float(item) if isinstance(item, Decimal) else item
            for key, item in value.items()
            if item is not None
        }
        return {RESULT_KEY: json.dumps(kept, sort_keys=True)}

    def shown(self) -> dict[str, Any]:
        """Return the numbers as a status says them."""
        found: dict[str, Any] = {"samples": self.samples}
        for key, name in SHARES.items():
            value = getattr(self, name)
            if value is not None:
                found[key] = in_words(value)
        if self.images_per_second is not None:
            found["imagesPerSecond"] = floor_of(self.images_per_second)
        if self.latency:
            found["latency"] = self.latency.shown()
        if self.memory_bytes is not None:
            found["memoryBytes"] = self.memory_bytes
        if self.diagnosis:
            found["diagnosis"] = dict(self.diagnosis)
        if self.throughput:
            found["throughput"] = {key: floor_of(speed) for key, speed in self.throughput.items()}
        return found


def _memory(value: Mapping[str, Any]) -> int | None:
    if value.get("memoryBytes") is None:
        return None
    found = whole_of(value, "memoryBytes")
    if found > MOST_MEMORY:
        raise Misfit("memoryBytes: no chip has as much")
    return found


def validation_key(
    *,
    validation: Validation,
    artifact: Artifact,
    uid: str,
    refetch: str | None,
    serving: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Any] | None = None,
) -> str:
    """Return the digest of what the numbers depend on; no threshold is among it.

    A data set without a digest may be another one for another object: its numbers are not shared.
    `serving` is what speeds depend on beside the artifact, and empty without a stated load or
    tuning;
    `pictures` is what the model's publisher adds to how pictures are made into its input.
    """
    dataset = validation.dataset
    declared: dict[str, Any] = {
        "artifact": artifact.sha256,
        "chip": artifact.chip,
        "uri": dataset.uri,
        "sha256": dataset.sha256,
        "format": dataset.format,
        "labels": dataset.labels,
        "loops": loops_of(validation),
        **(serving or {}),
    }
    if validation.diagnose is DiagnoseWhen.ALWAYS:
        # Nobody has looked at what passed.
        declared["diagnose"] = validation.diagnose
    if pictures and (artifact.publisher is not None or dataset.format not in AS_THEY_ARE):
        declared["pictures"] = dict(pictures)
    if not dataset.sha256:
        declared |= {"uid": uid, "refetch": refetch}
    return digest(declared)


def loops_of(validation: Validation) -> int:
    benchmark = validation.benchmark
    return (benchmark and benchmark.loops) or DEFAULT_LOOPS


def shortfalls(found: Measurement, validation: Validation) -> tuple[str, ...]:
    """Return a phrase for each threshold that is not met; none means that the gate is passed."""
    thresholds, speed = validation.thresholds or NO_THRESHOLDS, validation.benchmark
    least = speed.min_images_per_second if speed else None
    checks = [
        _below("top1", found.top1, "minTop1", thresholds.min_top1),
        _drop(found, thresholds.max_top1_drop),
        _below(
            "cosineSimilarity",
            found.cosine_similarity,
            "minCosineSimilarity",
            thresholds.min_cosine_similarity,
        ),
        _below(
            "top1Agreement",
            found.top1_agreement,
            "minTop1Agreement",
            thresholds.min_top1_agreement,
        ),
    ]
    if least is not None:
        images = found.images_per_second
        if images is None:
            checks.append("imagesPerSecond was not measured")
        elif images < least:
            checks.append(f"imagesPerSecond {floor_of(images)} is below minImagesPerSecond {least}")
    checks.append(latency_shortfall(found.latency, speed))
    return tuple(phrase for phrase in checks if phrase)


def _below(name: str, value: Decimal | None, limit_name: str, threshold: str | None) -> str:
    if threshold is None:
        return ""
    if value is None:
        return f"{name} was not measured"
    if value >= Decimal(threshold):
        return ""
    return f"{name} {in_words(value, ROUND_FLOOR)} is below {limit_name} {threshold}"


def _drop(found: Measurement, threshold: str | None) -> str:
    if threshold is None:
        return ""
    if found.top1 is None or found.top1_reference is None:
        return "the drop of top1 was not measured"
    drop = found.top1_reference - found.top1
    if drop <= Decimal(threshold):
        return ""
    return f"top1 drops by {in_words(drop, ROUND_CEILING)}, more than maxTop1Drop {threshold}"


def _diagnosis(value: Any) -> dict[str, str]:
    """Read the evaluator's words; raises Misfit for anything but short strings."""
    if value is None:
        return {}
    texts = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    if not texts or sum(map(len, value.values())) > MOST_DIAGNOSIS:
        raise Misfit("diagnosis: it is not a set of short strings")
    return {name: value[name] for name in DIAGNOSIS if name in value}


def _no_number(_: str) -> None:
    """Read NaN and Infinity as what was not measured: they meet no threshold."""
