"""The changes of a conversion that are tried, and which of them is the smallest that is enough.

Nothing is converted: ONNX Runtime predicts what each would do to the accuracy, and the number of
multiplications what it costs. Of those that pass the fastest is proposed, and of equally fast ones
the one that is tried first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resnet_contract.words import MOST_CALIBRATION_BATCHES
from resnet_jobs.base.progress import say
from resnet_jobs.evaluation.doctor import predict
from resnet_jobs.evaluation.doctor.trials import cost, half
from resnet_jobs.evaluation.doctor.trials.search import smallest
from resnet_jobs.evaluation.measures import Measures

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from resnet_contract.types import Diagnose
    from resnet_jobs.evaluation.reference import Reference

MOST_SKIPPED = 16
MORE_PICTURES = 4  # times as many
SHARES = (0.9999, 0.999)  # of the values, where a range may end


@dataclass(frozen=True)
class Trial:
    """`change` is of spec.conversion; `speed` a share of the images a second of now."""

    kind: str
    what: str
    change: Mapping[str, Any]
    passes: bool
    top1: float | None
    speed: float
    layers: tuple[str, ...] = ()
    predicted: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "change": self.what,
            "passes": self.passes,
            "top1": self.top1,
            "speed": self.speed,
        }


class Predictor:
    """Models are asked about these pictures; `is_over` when there is no time for another one."""

    def __init__(
        self,
        reference: Reference,
        pictures: Any,
        labels: Sequence[int],
        *,
        classes: int,
        meets: Callable[[Mapping[str, Any]], bool],
        is_over: Callable[[], bool],
    ) -> None:
        self.pictures = pictures
        self.meets = meets
        self.is_over = is_over
        self._reference = reference
        self._labels = labels
        self._classes = classes
        self._wanted = reference.run(pictures)

    def numbers(self, model: Any, what: str) -> dict[str, Any]:
        measures = Measures(self._classes)
        scores = self._reference.like(model).run(self.pictures)
        measures.add(scores, self._labels, self._wanted)
        found = measures.as_json()
        say(f"predicted {what}: top1 {found['top1']}")
        return found

    def trial(
        self, model: Any, kind: str, what: str, change: Mapping[str, Any], **facts: Any
    ) -> Trial:
        found = self.numbers(model, what)
        facts = {"speed": 1.0, **facts}
        return Trial(kind, what, change, self.meets(found), found["top1"], predicted=found, **facts)


@dataclass(frozen=True)
class Network:
    """The source model, its matrix operators from the noisiest on, and what they compute."""

    model: Any
    ranking: tuple[str, ...]
    work: Mapping[str, int]
    batch: int = 1


def run(trials: Iterator[Trial], *, is_over: Callable[[], bool]) -> tuple[Trial, ...]:
    """As many as there is time for."""
    found = []
    for trial in trials:
        found.append(trial)
        if is_over():
            break
    return tuple(found)


def best(tried: Sequence[Trial]) -> Trial | None:
    passing = [trial for trial in tried if trial.passes]
    return max(passing, key=lambda trial: trial.speed) if passing else None


def of_eight_bits(ask: Predictor, network: Network, asked: Diagnose) -> Iterator[Trial]:
    """Layers that are skipped, more calibration pictures, another method; none where nothing of
    the loss is predicted.
    """
    model, skipped = network.model, asked.skip_layers or ()
    few = min(len(ask.pictures), network.batch * (asked.calibration_batches or 1))
    limits = predict.ranges(model, ask.pictures[:few])

    def with_limits(found: Mapping[str, predict.Range]) -> Any:
        return predict.quantized(model, found, skipped=skipped)

    if ask.meets(ask.numbers(with_limits(limits), "as it is")):
        return

    def skipping(names: Collection[str]) -> Any:
        return predict.quantized(model, limits, skipped=[*skipped, *names])

    def skip(names: tuple[str, ...]) -> Trial:
        change = {"quantization": {"skipLayers": [*skipped, *names]}}
        speed = cost.speed(network.work, names, before=cost.INT8, after=cost.FP16)
        return ask.trial(
            skipping(names), "skipLayers", _without(names), change, speed=speed, layers=names
        )

    yield from _fewest(ask, network.ranking, skip)
    many = min(len(ask.pictures), MORE_PICTURES * few)
    batches = min(MOST_CALIBRATION_BATCHES, MORE_PICTURES * (asked.calibration_batches or 1))
    if many > few:
        yield ask.trial(
            with_limits(predict.ranges(model, ask.pictures[:many])),
            "calibration.batches",
            f"with {batches} batches of calibration pictures",
            {"quantization": {"calibration": {"batches": batches}}},
        )
    for share in SHARES:
        yield ask.trial(
            with_limits(predict.ranges(model, ask.pictures[:few], share=share)),
            "rawConfig",
            f"with the ranges of activations ended at {share:.2%} of their values",
            {"quantization": _method(share, asked)},
        )


def of_half(
    ask: Predictor, network: Network, *, kept: str, precision_mode: str | None
) -> Iterator[Trial]:
    """Operators that keep their type, then precision modes; `kept` is the declared list."""
    known = tuple(kept.split())
    if ask.meets(ask.numbers(half.halved(network.model, kept=known), "as it is")):
        return

    def keep(names: tuple[str, ...]) -> Trial:
        text = "".join(f"{name}\n" for name in (*known, *names))
        speed = cost.speed(network.work, names, before=cost.FP16, after=cost.FP32)
        return ask.trial(
            half.halved(network.model, kept=(*known, *names)),
            "keepDtype",
            f"with {_named(names)} in single precision",
            {"configFiles": {"keepDtype": text}},
            speed=speed,
            layers=names,
        )

    yield from _fewest(ask, network.ranking, keep)
    everything = cost.speed(network.work, network.work, before=cost.FP16, after=cost.FP32)
    modes: tuple[tuple[str, Callable[[], Any], float], ...] = (
        ("CubeFP16InFP32Out", lambda: half.halved(network.model, matrix_only=True), cost.WIDE),
        ("MustKeepOriginDtype", lambda: network.model, everything),
    )
    for mode, made, speed in modes:
        if mode != precision_mode:
            what = f"with precisionMode {mode}"
            yield ask.trial(made(), "precisionMode", what, {"precisionMode": mode}, speed=speed)


def _fewest(
    ask: Predictor, ranking: Sequence[str], attempt: Callable[[tuple[str, ...]], Trial]
) -> Iterator[Trial]:
    """The shortest beginning of the ranking that is enough; else the longest that was tried."""
    known: dict[int, Trial] = {}

    def passes(count: int) -> bool | None:
        if ask.is_over():
            return None
        known[count] = attempt(tuple(ranking[:count]))
        return known[count].passes

    if not ranking:
        return
    count = smallest(min(len(ranking), MOST_SKIPPED), passes)
    if known:
        yield known[count or max(known)]


def _method(share: float, asked: Diagnose) -> dict[str, Any]:
    """AMCT's own text, because no field says it; it replaces the fields that would contradict."""
    ends = f"max_percentile : {share} min_percentile : {share}"
    lines = ["joint_quant : true"] if asked.joint else []
    lines += [f'skip_layers : "{name}"' for name in asked.skip_layers or ()]
    lines.append(f"common_config : {{ ifmr_quantize : {{ {ends} }} }}")
    raw = "".join(f"{line}\n" for line in lines)
    return {"rawConfig": raw, "skipLayers": None, "jointQuantization": None}


def _without(names: Sequence[str]) -> str:
    return f"without {_named(names)} in eight bits"


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} layers"
