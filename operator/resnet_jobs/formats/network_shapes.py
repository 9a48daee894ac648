"""The weights' shapes of torchvision's ResNets, without torch; `driver.resnet` builds the networks.

Called by `torch_model`. A test holds both against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resnet_jobs.driver.checkpoint import Plan

Shape = tuple[int, ...]
PLANES = (64, 128, 256, 512)


def network_shapes(plan: Plan, classes: int) -> dict[str, Shape]:
    """Name -> shape of everything in the network's state_dict()."""
    found: dict[str, Shape] = {"conv1.weight": (64, 3, 7, 7)} | _norm("bn1", 64)
    inputs = 64
    for stage, (planes, count) in enumerate(zip(PLANES, plan.blocks, strict=True), start=1):
        for index in range(count):
            block = f"layer{stage}.{index}"
            outputs = planes * (4 if plan.bottleneck else 1)
            for number, shape in enumerate(_convolutions(plan, inputs, planes), start=1):
                found[f"{block}.conv{number}.weight"] = shape
                found |= _norm(f"{block}.bn{number}", shape[0])
            if index == 0 and (stage > 1 or inputs != outputs):
                found[f"{block}.downsample.0.weight"] = (outputs, inputs, 1, 1)
                found |= _norm(f"{block}.downsample.1", outputs)
            inputs = outputs
    return found | {"fc.weight": (classes, inputs), "fc.bias": (classes,)}


def _convolutions(plan: Plan, inputs: int, planes: int) -> Iterator[Shape]:
    if not plan.bottleneck:
        yield (planes, inputs, 3, 3)
        yield (planes, planes, 3, 3)
        return
    width = planes * plan.width // 64 * plan.groups
    yield (width, inputs, 1, 1)
    yield (width, width // plan.groups, 3, 3)
    yield (planes * 4, width, 1, 1)


def _norm(name: str, channels: int) -> dict[str, Shape]:
    per_channel = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in per_channel} | {
        f"{name}.num_batches_tracked": ()
    }
