"""Which change of the conversion is proposed for which loss: each network fails in one way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.support.planted import DIGITS, RUINED, planted
from tests.unit.resnet_jobs.evaluation.doctor.trials.networks import (
    CLASSES,
    clipped,
    network,
    pictures,
)

from resnet_client import PRESETS, preprocess
from resnet_contract.types import Diagnose
from resnet_jobs.evaluation.doctor import graph
from resnet_jobs.evaluation.doctor.diagnose import proposed
from resnet_jobs.evaluation.doctor.layers import Layer
from resnet_jobs.evaluation.doctor.thresholds import unmet
from resnet_jobs.evaluation.doctor.trials import cost
from resnet_jobs.evaluation.doctor.trials.changes import (
    Network,
    Predictor,
    Trial,
    best,
    of_eight_bits,
    of_half,
    run,
)
from resnet_jobs.evaluation.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST = {"minTop1Agreement": 0.97}
ALL = ("first", "second", "scores")


def predictor(
    model: Any, seen: tuple[Any, list[int]], *, classes: int = CLASSES, times: int = 99
) -> Predictor:
    """`times` is how often there is still time."""
    left = iter(range(times))
    return Predictor(
        Reference(model.SerializeToString(), output="logits"),
        *seen,
        classes=classes,
        meets=lambda numbers: not unmet(LEAST, numbers),
        is_over=lambda: next(left, None) is None,
    )


def eight(**facts: Any) -> Diagnose:
    return Diagnose(
        "OnFailure", LEAST, quantized=True, **{"calibration_batches": 4, "skip_layers": (), **facts}
    )


@dataclass(frozen=True)
class Lost:
    reason: str
    model: Callable[[], Any]
    seen: tuple[Any, list[int]]
    change: dict[str, Any] | None
    ranking: tuple[str, ...] = ALL
    asked: Diagnose = field(default_factory=eight)
    free: bool = False

    def __str__(self) -> str:
        return self.reason


PERCENTILE = "common_config : { ifmr_quantize : { max_percentile : 0.999 min_percentile : 0.999 } }"
IN_EIGHT_BITS = [
    Lost("nothing is lost, so nothing is tried", network, pictures(), None),
    Lost("one strange pixel makes the steps of the first layer coarse: the range ends before it",
         lambda: clipped(network()), pictures(outliers=True),
         {"quantization": {"rawConfig": f"{PERCENTILE}\n", "skipLayers": None,
                           "jointQuantization": None}}, free=True),
    Lost("what is declared beside it stays in the text that replaces it",
         lambda: clipped(network()), pictures(outliers=True),
         {"quantization": {
             "rawConfig": f'joint_quant : true\nskip_layers : "scores"\n{PERCENTILE}\n',
             "skipLayers": None, "jointQuantization": None}},
         ranking=("first", "second"), asked=eight(joint=True, skip_layers=("scores",)), free=True),
    Lost("the calibration has seen dark pictures alone: more of them", network, pictures(dark=2),
         {"quantization": {"calibration": {"batches": 8}}}, asked=eight(calibration_batches=2),
         free=True),
]  # fmt: skip


@pytest.mark.parametrize("case", IN_EIGHT_BITS, ids=str)
def test_what_is_proposed_for_eight_bits(case: Lost) -> None:
    model = case.model()
    ask = predictor(model, case.seen)
    work = cost.multiplications(model, case.seen[0][0])
    tried = run(
        of_eight_bits(ask, Network(model, case.ranking, work), case.asked), is_over=ask.is_over
    )
    chosen = best(tried)
    assert (dict(chosen.change) if chosen else None) == case.change
    if chosen:
        assert chosen.speed == 1.0 if case.free else chosen.speed < 1
        assert {trial.kind for trial in tried} >= {"skipLayers", "rawConfig"}


@pytest.fixture(scope="module")
def digits() -> tuple[Any, list[int]]:
    with np.load(DIGITS / "heldout.npz") as file:
        return preprocess(file["pictures"], PRESETS["digits"])[:200], list(file["labels"][:200])


@pytest.mark.thorough
def test_a_ruined_layer_is_skipped_and_what_it_costs_is_said(
    digits: tuple[Any, list[int]],
) -> None:
    model = planted()
    ask = predictor(model, digits, classes=10)
    work = cost.multiplications(model, digits[0][0])
    names = (RUINED, *(name for name in work if name != RUINED))
    tried = run(of_eight_bits(ask, Network(model, names, work, batch=8), eight()),
                is_over=ask.is_over)  # fmt: skip
    chosen = best(tried)
    assert chosen is not None
    assert chosen.change == {"quantization": {"skipLayers": [RUINED]}}
    assert chosen.speed == pytest.approx(1 / (1 + work[RUINED] / sum(work.values())), abs=1e-3)
    assert [trial.kind for trial in tried if not trial.passes]


IN_HALF_PRECISION = [
    Lost("nothing is lost, so nothing is tried", network, pictures(), None),
    Lost("an operator makes more than 65504: it keeps its type, which costs nothing",
         lambda: network(product=1e6), pictures(),
         {"configFiles": {"keepDtype": "raise\n"}}, ranking=("raise", "lower"), free=True),
    Lost("what is declared already stays", lambda: network(product=1e6), pictures(),
         {"configFiles": {"keepDtype": "mean\nraise\n"}}, ranking=("raise", "first"),
         asked=Diagnose("OnFailure", {}, skip_layers=("mean",)), free=True),
    Lost("results alone are too large, and no single operator is named: single precision for them",
         lambda: network(product=1e6), pictures(), {"precisionMode": "CubeFP16InFP32Out"},
         ranking=()),
    Lost("weights are too small for half precision: nothing but single precision helps",
         lambda: network(large=1e9), pictures(), {"precisionMode": "MustKeepOriginDtype"},
         ranking=()),
    Lost("the same with names: two layers in single precision are faster than all",
         lambda: network(large=1e9), pictures(),
         {"configFiles": {"keepDtype": "first\nraise\nlower\nsecond\n"}},
         ranking=("first", "raise", "lower", "second", "scores")),
]  # fmt: skip


@pytest.mark.parametrize("case", IN_HALF_PRECISION, ids=str)
def test_what_is_proposed_for_half_precision(case: Lost) -> None:
    model = case.model()
    ask = predictor(model, case.seen)
    work = cost.multiplications(model, case.seen[0][0])
    kept = "\n".join(case.asked.skip_layers or ())
    tried = run(
        of_half(ask, Network(model, case.ranking, work), kept=kept, precision_mode=None),
        is_over=ask.is_over,
    )
    chosen = best(tried)
    assert (dict(chosen.change) if chosen else None) == case.change
    if chosen:
        assert chosen.speed == 1.0 if case.free else chosen.speed < 1


def test_the_declared_precision_mode_is_not_tried_again() -> None:
    model = network(product=1e6)
    ask = predictor(model, pictures())
    tried = run(
        of_half(ask, Network(model, (), {}), kept="", precision_mode="CubeFP16InFP32Out"),
        is_over=ask.is_over,
    )
    assert [trial.change for trial in tried] == [{"precisionMode": "MustKeepOriginDtype"}]


def test_the_time_ends_the_trials_and_what_was_tried_counts() -> None:
    model = clipped(network())
    ask = predictor(model, pictures(outliers=True), times=1)
    tried = run(of_eight_bits(ask, Network(model, ALL, {}), eight()), is_over=ask.is_over)
    assert [trial.kind for trial in tried] == ["skipLayers"]


def test_multiplications_are_counted() -> None:
    """Of the digits' first layer 3 x 3 x 3 for each of 16 x 32 x 32 results; of its scores 64."""
    model = graph.load(DIGITS / "digits-resnet.onnx")
    counted = cost.multiplications(model, np.zeros((3, 32, 32), np.float32))
    first, *_, last = counted.values()
    assert (first, last) == (27 * 16 * 32 * 32, 64 * 10)
    assert len(counted) == 10


@pytest.mark.parametrize(
    ("changed", "before", "after", "want"),
    [
        ((), cost.INT8, cost.FP16, 1.0),
        (("a", "b"), cost.INT8, cost.FP16, 0.5),
        (("a",), cost.INT8, cost.FP16, 0.571),
        (("b",), cost.FP16, cost.FP32, 0.571),
        (("unknown",), cost.FP16, cost.FP32, 1.0),
    ],
)
def test_what_a_change_costs(
    changed: tuple[str, ...], before: float, after: float, want: float
) -> None:
    assert cost.speed({"a": 3, "b": 1}, changed, before=before, after=after) == want


LAYERS = [Layer("a", "Conv", 0.1, 20.0), Layer("b", "Conv", 0.1, 10.0)]
SKIP_A = Trial("skipLayers", "without a in eight bits", {"quantization": {"skipLayers": ["a"]}},
               passes=True, top1=0.98, speed=0.9, layers=("a",))  # fmt: skip
MORE = Trial("calibration.batches", "with 20 batches of calibration pictures",
             {"quantization": {"calibration": {"batches": 20}}},
             passes=True, top1=0.97, speed=1.0)  # fmt: skip
FAILED = Trial("rawConfig", "with other ranges", {"quantization": {}},
               passes=False, top1=0.5, speed=1.0)  # fmt: skip


@pytest.mark.parametrize(
    ("tried", "asked", "change", "words"),
    [
        ((SKIP_A, FAILED), eight(), SKIP_A.change,
         "; without a in eight bits 98.0% are predicted to be right, at 90% of the speed"),
        ((SKIP_A, MORE), eight(), MORE.change, "97.0% are predicted to be right, as fast as now"),
        ((FAILED,), eight(), None, "none of 1 changes that were tried is predicted to be enough"),
        ((), eight(), {"quantization": {"skipLayers": ["a", "b"]}}, "could not be predicted"),
        ((), Diagnose("OnFailure", LEAST), None, "could not be predicted"),
        ((SKIP_A,), eight(skip_layers=None), None, "without a in eight bits"),
    ],
    ids=["the only one", "the one that costs nothing", "none is enough", "nothing was predicted",
         "half precision", "a text of AMCT's own"],
)  # fmt: skip
def test_what_is_said_of_the_trials(
    tried: tuple[Trial, ...], asked: Diagnose, change: Any, words: str
) -> None:
    said = proposed(LAYERS, tried, asked, {})
    assert said.patch == ({"spec": {"conversion": change}} if change else None)
    assert said.message.endswith(words) or words in said.message
    assert said.message.startswith("the artifact loses most in a (10 dB), b (10 dB)")
