"""Where a conversion stands, as its containers tell. Called by `conversion`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resnet_contract.progress import Moved
from resnet_contract.words import ModelFormat
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import Pod

PUBLISH = "publish"
PUBLISHING = ("Converting", "the artifact is being put into the store")


def stage_of(pods: list[Pod], resolved: Resolved) -> tuple[str, str]:
    """Return phase and words for the first container that has not ended."""
    stages = _stages(resolved)
    for pod in pods:
        done = {c.name for c in pod.containers if c.exit_code == 0 and not c.running}
        if done or any(c.running for c in pod.containers):
            return next((said for name, said in stages.items() if name not in done), PUBLISHING)
    return "Pending", "the conversion's pod is starting"


@dataclass(frozen=True, slots=True)
class Step:
    """The container that runs, since when, and how far it and the whole Job are."""

    name: str = ""
    began: str = ""
    percent: int | None = None
    # What it comes to when this container is done.
    most: int = 99
    moved: Moved | None = None


NO_STEP = Step()


def running_step(pods: list[Pod], resolved: Resolved, observed: Observed) -> Step:
    """Return the container of the Job that runs; nothing while none does."""
    names = (*_stages(resolved), PUBLISH)
    for pod in pods:
        for one in pod.containers:
            if one.running and one.name in names:
                moved = observed.moved.get((pod.meta.uid, one.name, one.begun))
                ended = {c.name for c in pod.containers if c.exit_code == 0 and not c.running}
                done = len(ended.intersection(names))
                return Step(
                    name=one.name,
                    began=one.begun,
                    percent=_percent(done + (moved.part if moved else 0.0), of=len(names)),
                    most=_percent(done + 1, of=len(names)),
                    moved=moved,
                )
    return NO_STEP


def _percent(done: float, *, of: int) -> int:
    """Return how much of the Job that is; never all of it, for what runs is not done."""
    return min(math.floor(100 * done / of), 99)


def _stages(resolved: Resolved) -> dict[str, tuple[str, str]]:
    """Return what each container of the Job does, in their order."""
    stages = {"fetch": ("Fetching", "the model is being fetched")}
    if resolved.export_image:
        stages["export"] = ("Fetching", f"{resolved.format} is being exported to ONNX")
    stages["prepare"] = ("Fetching", "the model is being inspected")
    if resolved.amct_image:
        stages["quantize"] = ("Converting", "AMCT is calibrating")
    if resolved.converter_image:
        is_om = resolved.format is ModelFormat.OM
        doing = "the OM is being read" if is_om else f"ATC is converting for {resolved.chip}"
        stages["convert"] = ("Converting", doing)
    return stages
