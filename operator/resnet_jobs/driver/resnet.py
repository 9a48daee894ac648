"""The ResNets of torchvision, by the names of their weights: what a `.pth` is loaded into.

Imported by torch_export.py inside a torch image, so: torch and Python 3.7 only. Written out here
and not taken from torchvision, because then any image with torch is enough, of any version: it is
the weights' names and the arithmetic that must agree, and tests hold both against torchvision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from .checkpoint import Plan

PLANES = (64, 128, 256, 512)


class Block(nn.Module):  # type: ignore[misc]
    """Two 3x3 convolutions, or 1x1, 3x3 (which has the stride) and 1x1, and the way around them."""

    def __init__(self, plan: Plan, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        width = planes * plan.width // 64 * plan.groups
        # (inputs, outputs, kernel, stride, groups)
        convolutions = [(inputs, planes, 3, stride, 1), (planes, planes, 3, 1, 1)]
        if plan.bottleneck:
            convolutions = [
                (inputs, width, 1, 1, 1),
                (width, width, 3, stride, plan.groups),
                (width, planes * 4, 1, 1, 1),
            ]
        self.layers = []
        for number, (ins, outs, kernel, step, groups) in enumerate(convolutions, start=1):
            layer = _convolution(ins, outs, kernel, step, groups), nn.BatchNorm2d(outs)
            self.layers.append(layer)
            setattr(self, "conv{}".format(number), layer[0])
            setattr(self, "bn{}".format(number), layer[1])
        outputs = convolutions[-1][1]
        self.downsample: Any = None
        if stride != 1 or inputs != outputs:
            shortcut = _convolution(inputs, outputs, 1, stride, 1)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Any) -> Any:
        around = x if self.downsample is None else self.downsample(x)
        for convolution, norm in self.layers[:-1]:
            x = torch.relu(norm(convolution(x)))
        convolution, norm = self.layers[-1]
        return torch.relu(norm(convolution(x)) + around)


class ResNet(nn.Module):  # type: ignore[misc]
    """Pictures [N, 3, H, W] in, scores [N, classes] out, no softmax."""

    def __init__(self, plan: Plan, classes: int) -> None:
        super().__init__()
        self.conv1 = _convolution(3, 64, 7, 2, 1)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, (planes, count) in enumerate(zip(PLANES, plan.blocks), start=1):  # noqa: B905
            blocks = []
            for index in range(count):
                stride = 2 if index == 0 and number > 1 else 1
                blocks.append(Block(plan, inputs, planes, stride))
                inputs = planes * (4 if plan.bottleneck else 1)
            setattr(self, "layer{}".format(number), nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> Any:
    return nn.Conv2d(
        inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
