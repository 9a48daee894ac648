"""What the gate's Job has found of Triton's settings: read, kept, shown. Pure.

Called by `measurement`. Whether they are given to pods is decided by the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from resnet_contract.types import TritonSettings
from resnet_contract.words import MOST_QUEUE_DELAY_MICROSECONDS
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import Misfit
from resnet_operator.reading.decimals import decimal_of, floor_of, in_words, whole_of
from resnet_operator.record.latency import MILLISECONDS, SHOWN

BETTER = "Better"
RESULTS = (BETTER, "AsDeclared", "GoalNotMet", "NotMeasured")
MOST_MESSAGE = 240
MOST_SIZES = 16
MOST_BATCH, MOST_INSTANCES = 2048, 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """A load and what came of it."""

    concurrency: int
    images_per_second: Decimal | None
    milliseconds: Mapping[str, Decimal]
    spread: Decimal | None

    @classmethod
    def from_json(cls, value: Any) -> Speed | None:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise Misfit("tuning: a speed is not an object")
        found = {key: decimal_of(value, key) for key in MILLISECONDS.values()}
        return cls(
            concurrency=whole_of(value, "concurrency"),
            images_per_second=decimal_of(value, "imagesPerSecond"),
            milliseconds={key: one for key, one in found.items() if one is not None},
            spread=decimal_of(value, "spread"),
        )

    def to_json(self) -> dict[str, Any]:
        numbers = {
            "imagesPerSecond": self.images_per_second,
            **self.milliseconds,
            "spread": self.spread,
        }
        known = {key: float(one) for key, one in numbers.items() if one is not None}
        return {"concurrency": self.concurrency, **known}

    def shown(self) -> dict[str, Any]:
        said: dict[str, Any] = {"concurrency": self.concurrency}
        if self.images_per_second is not None:
            said["imagesPerSecond"] = floor_of(self.images_per_second)
        texts = {**self.milliseconds} | ({"spread": self.spread} if self.spread else {})
        return said | {key: in_words(one, step=SHOWN) for key, one in texts.items()}


SPEEDS = {"measured": "measured", "declared": "declared", "atIntervals": "at_intervals"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningResult:
    """`settings` are the best that were found, whether or not that is better than declared."""

    result: str
    message: str
    ended_by: str
    trials: int
    seconds: int
    settings: TritonSettings | None = None
    measured: Speed | None = None
    declared: Speed | None = None
    at_intervals: Speed | None = None

    @classmethod
    def from_json(cls, value: Any) -> TuningResult | None:
        """Read the evaluator's block; None when nothing was tuned. Raises Misfit."""
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise Misfit("tuning: it is not an object")
        texts = [value.get(key) for key in ("result", "message", "endedBy")]
        if texts[0] not in RESULTS or not all(_is_short(one) for one in texts):
            raise Misfit("tuning: its words are not those of the evaluator")
        return cls(
            result=str(texts[0]),
            message=str(texts[1]),
            ended_by=str(texts[2]),
            trials=whole_of(value, "trials"),
            seconds=whole_of(value, "seconds"),
            settings=_settings(value.get("settings")),
            **{name: Speed.from_json(value.get(key)) for key, name in SPEEDS.items()},
        )

    def to_json(self) -> dict[str, Any]:
        return self._said(Speed.to_json)

    def shown(self) -> dict[str, Any]:
        """Return it as a status says it."""
        return self._said(Speed.shown)

    def _said(self, speed_as: Callable[[Speed], dict[str, Any]]) -> dict[str, Any]:
        said: dict[str, Any] = {
            "result": self.result,
            "message": self.message,
            "endedBy": self.ended_by,
            "trials": self.trials,
            "seconds": self.seconds,
        }
        speeds = {key: getattr(self, name) for key, name in SPEEDS.items()}
        said |= {key: speed_as(speed) for key, speed in speeds.items() if speed}
        return said | ({"settings": self.settings.to_json()} if self.settings else {})


def tuning_at_key(spec: ResNetServiceSpec) -> dict[str, Any]:
    """Return what of the object the found settings depend on, and nothing without tuning.

    With apply: Auto the numbers of the gate are those of the found settings.
    """
    tuning = spec.tuning
    if tuning is None:
        return {}
    asked = tuning.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "tuning": asked,
        "chips": spec.accelerator.count or 1,
        "overrides": spec.serving.config_overrides,
    }


def _settings(value: Any) -> TritonSettings | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Misfit("tuning: settings are not an object")
    sizes = value.get("preferredBatchSizes")
    found = TritonSettings(
        max_batch=whole_of(value, "maxBatchSize"),
        preferred=tuple(sizes) if isinstance(sizes, list) else (-1,),
        delay_microseconds=whole_of(value, "maxQueueDelayMicroseconds"),
        instances=whole_of(value, "instancesPerChip"),
    )
    good = all(type(size) is int and 1 <= size <= found.max_batch for size in found.preferred)
    if not (
        good
        and len(found.preferred) <= MOST_SIZES
        and 1 <= found.max_batch <= MOST_BATCH
        and 1 <= found.instances <= MOST_INSTANCES
        and found.delay_microseconds <= MOST_QUEUE_DELAY_MICROSECONDS
    ):
        raise Misfit("tuning: settings that Triton cannot have")
    return found


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_MESSAGE
