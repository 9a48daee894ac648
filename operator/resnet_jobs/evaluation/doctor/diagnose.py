"""Asks each cause in turn, within a budget of time, and says the first one that explains it.

The operator judges; what is judged here only decides whether minutes are spent on looking.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, clip
from resnet_jobs.base.progress import say
from resnet_jobs.evaluation.doctor import labels, preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from resnet_contract.types import Diagnose
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.evaluation.details import Details
    from resnet_jobs.evaluation.plan import Plan

BUDGET_SECONDS = 300.0
MESSAGE_CHARACTERS = 240
PATCH_CHARACTERS = 360


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


def is_wanted(asked: Diagnose | None, numbers: Mapping[str, Any]) -> bool:
    """Whether to look: always, or when a threshold on accuracy is not met."""
    if asked is None or asked.when == "Never":
        return False
    return asked.when == "Always" or bool(unmet(asked.thresholds, numbers))


def unmet(thresholds: Mapping[str, float], numbers: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of thresholds that the numbers do not meet; those without a number are left out."""
    values = {
        "minTop1": numbers["top1"],
        "minCosineSimilarity": numbers["cosineSimilarity"],
        "minTop1Agreement": numbers["top1Agreement"],
        # Turned round, so that all are met from below.
        "maxTop1Drop": None if numbers["drop"] is None else -numbers["drop"],
    }
    limits = {
        name: -limit if name == "maxTop1Drop" else limit for name, limit in thresholds.items()
    }
    return tuple(
        name
        for name, limit in limits.items()
        if (value := values.get(name)) is not None and value < limit
    )


def diagnose(
    plan: Plan, details: Details, numbers: Mapping[str, Any], *, asked: Diagnose, clock: Clock
) -> Diagnosis:
    """The first cause that is found; `Unknown` says what was looked at."""
    until = clock.monotonic() + BUDGET_SECONDS
    looks: tuple[Callable[[], Diagnosis | None], ...] = (
        lambda: of_labels(details),
        lambda: of_preprocessing(
            plan, numbers, asked=asked, is_over=lambda: clock.monotonic() > until
        ),
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
        "neither the labels nor the preprocessing explain it: the worst pictures are in "
        "result.json",
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
