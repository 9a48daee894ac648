"""Asks each cause in turn, within a budget of time, and says the first one that explains it.

The operator judges; what is judged here only decides whether minutes are spent on looking.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, clip
from resnet_jobs.base.progress import say
from resnet_jobs.evaluation.doctor import compare, graph, labels, preprocessing
from resnet_jobs.evaluation.doctor.layers import guilty
from resnet_jobs.evaluation.doctor.predict import quantizable
from resnet_jobs.evaluation.doctor.thresholds import unmet
from resnet_jobs.evaluation.doctor.trials.changes import best

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from resnet_contract.types import Diagnose
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.evaluation.details import Details
    from resnet_jobs.evaluation.doctor.compare import Compiled
    from resnet_jobs.evaluation.doctor.layers import Layer
    from resnet_jobs.evaluation.doctor.trials.changes import Trial
    from resnet_jobs.evaluation.plan import Plan

BUDGET_SECONDS = 300.0
MESSAGE_CHARACTERS = 240
PATCH_CHARACTERS = 360
SHOWN = 50  # layers of the ranking in result.json
NAMED = 4


@dataclass(frozen=True)
class Diagnosis:
    """`cause` is one word; `patch` a merge patch of the object, None where none is known."""

    cause: str
    message: str
    layers: tuple[str, ...] = ()
    patch: dict[str, Any] | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "cause": self.cause,
            "message": self.message,
            "layers": list(self.layers),
            "patch": self.patch,
            **self.more,
        }

    def essentials(self) -> dict[str, Any]:
        """What fits into a termination message; result.json has the rest."""
        said: dict[str, Any] = {"cause": self.cause}
        said["message"] = clip(self.message, MESSAGE_CHARACTERS)
        text = json.dumps(self.patch, separators=(",", ":")) if self.patch else ""
        if 0 < len(text) <= PATCH_CHARACTERS:
            said["patch"] = text
        return said


def diagnose(
    plan: Plan,
    details: Details,
    numbers: Mapping[str, Any],
    *,
    asked: Diagnose,
    compiled: Compiled | None,
    clock: Clock,
) -> Diagnosis:
    """The first cause that is found; `Unknown` says what was looked at."""
    until = clock.monotonic() + BUDGET_SECONDS

    def is_over() -> bool:
        return clock.monotonic() > until

    looks: tuple[Callable[[], Diagnosis | None], ...] = (
        lambda: of_labels(details),
        lambda: of_preprocessing(plan, numbers, asked=asked, is_over=is_over),
        lambda: of_layers(plan, numbers, compiled, asked=asked, clock=clock, is_over=is_over),
    )
    say("looking for the cause")
    for look in looks:
        try:
            found = look()
        except JobError as error:  # numbers that are there are not thrown away for a diagnosis
            say(f"diagnosis: {error.message}")
            continue
        if found is not None:
            say(f"diagnosis: {found.cause}: {found.message}")
            return found
    return Diagnosis(
        "Unknown",
        "neither the labels nor the preprocessing nor single layers explain it: the worst pictures "
        "are in result.json",
    )


def of_labels(details: Details) -> Diagnosis | None:
    sentence = labels.misordered(details.pairs)
    return Diagnosis("Labels", sentence) if sentence else None


def of_preprocessing(
    plan: Plan,
    numbers: Mapping[str, Any],
    *,
    asked: Diagnose,
    is_over: Callable[[], bool],
) -> Diagnosis | None:
    """Only where the source model itself is not good enough: else its input is right."""
    feed, reference = plan.feed, plan.reference
    declared, model_hw = feed.preprocessing, feed.model_hw
    least = asked.thresholds.get("minTop1")
    good = least is not None and (numbers["top1Reference"] or 0.0) >= least
    if reference is None or declared is None or model_hw is None or (good or not feed.aipp):
        return None
    step = max(1, len(plan.dataset) // preprocessing.ALL)
    indexes = list(range(0, len(plan.dataset), step))[: preprocessing.ALL]
    found = preprocessing.better(
        declared,
        [feed.rows(plan.dataset, index)[0] for index in indexes],
        [plan.dataset.labels[index] for index in indexes],
        model_hw=model_hw,
        ask=reference.run,
        is_over=is_over,
    )
    if found is None:
        return None
    return Diagnosis(
        "Preprocessing",
        f"the source model itself is right about {found.declared:.1%} of {found.pictures} pictures "
        f"with the declared preprocessing, and about {found.found:.1%} with "
        f"{found.candidate.what}: no layer is at fault",
        patch=preprocessing.patch(found, declared),
    )


def of_layers(
    plan: Plan,
    numbers: Mapping[str, Any],
    compiled: Compiled | None,
    *,
    asked: Diagnose,
    clock: Clock,
    is_over: Callable[[], bool],
) -> Diagnosis | None:
    """The layers of the artifact that cost most, and what of the conversion should be changed."""
    reference = plan.reference
    if reference is None or compiled is None:
        return None
    model = graph.load(compiled.source)
    ranking = compare.rank(plan, model, folder=compiled.dump, clock=clock, is_over=is_over)
    shown: dict[str, Any] = {"ranking": [layer.as_json() for layer in ranking[:SHOWN]]}
    able = [node.name for node in quantizable(model)] if asked.quantized else ()
    kinds = tuple({layer.kind for layer in ranking if not able or layer.name in able})
    found = guilty(ranking, kinds)
    if not found:
        return None
    if not unmet(asked.thresholds, numbers):
        return Diagnosis("Layers", _sentence(found), tuple(one.name for one in found), more=shown)
    names = [layer.name for layer in ranking if layer.lost > 0 and (not able or layer.name in able)]
    tried = compare.attempts(
        plan, reference, model, names, asked=asked, how=compiled, is_over=is_over
    )
    if tried:
        shown["trials"] = [trial.as_json() for trial in tried]
    return proposed(found, tried, asked, shown)


def proposed(
    found: Sequence[Layer],
    tried: Sequence[Trial],
    asked: Diagnose,
    shown: Mapping[str, Any],
) -> Diagnosis:
    """The layers that cost most, and the smallest change that is predicted to be enough."""
    chosen, message = best(tried), _sentence(found)
    names = tuple(layer.name for layer in found)
    if chosen is not None:
        price = f"at {chosen.speed:.0%} of the speed" if chosen.speed < 1 else "as fast as now"
        message += f"; {chosen.what} {chosen.top1:.1%} are predicted to be right, {price}"
        more = {"predicted": chosen.predicted, "speed": chosen.speed}
        change, names = dict(chosen.change), chosen.layers or names
    elif tried:
        message += f"; none of {len(tried)} changes that were tried is predicted to be enough"
        more, change = {}, {}
    else:
        message += "; which change is enough could not be predicted"
        skipped = {"skipLayers": [*(asked.skip_layers or ()), *names]}
        more, change = {}, {"quantization": skipped} if asked.quantized else {}
    is_ours = change and asked.skip_layers is not None
    patch = {"spec": {"conversion": change}} if is_ours else None
    return Diagnosis("Layers", message, names, patch=patch, more={**shown, **more})


def _sentence(found: Sequence[Layer]) -> str:
    named = ", ".join(f"{layer.name} ({layer.snr:g} dB)" for layer in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"the artifact loses most in {named}{more}"
