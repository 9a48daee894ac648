"""Where a conversion stands, as its containers tell. Called by `conversion`."""

from __future__ import annotations

from resnet_contract.words import ModelFormat
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.workload import Pod

PUBLISHING = ("Converting", "the artifact is being put into the store")


def stage_of(pods: list[Pod], resolved: Resolved) -> tuple[str, str]:
    """Return phase and words for the first container that has not ended."""
    stages = _stages(resolved)
    for pod in pods:
        done = {c.name for c in pod.containers if c.exit_code == 0 and not c.running}
        if done or any(c.running for c in pod.containers):
            return next((said for name, said in stages.items() if name not in done), PUBLISHING)
    return "Pending", "the conversion's pod is starting"


def running_step(pods: list[Pod]) -> tuple[str, str]:
    """Return the container that runs and since when; two empty texts while none does."""
    running = (one for pod in pods for one in pod.containers if one.running)
    return next(((one.name, one.begun) for one in running), ("", ""))


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
