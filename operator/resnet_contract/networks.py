"""The ResNets that are built from weights, by name."""

from __future__ import annotations

from enum import StrEnum

# By timm's names, which are torchvision's where it has the network too: "resnet50d" and so on. The
# letter tells the stem: c, d (with pooled shortcuts), s (wide), t (tiered); _CIFAR has one of 3x3.
Architecture = StrEnum(
    "Architecture",
    "RESNET10T RESNET14T "
    "RESNET18 RESNET18D RESNET18_CIFAR "
    "RESNET26 RESNET26D RESNET26T "
    "RESNET34 RESNET34D RESNET34_CIFAR "
    "RESNET50 RESNET50C RESNET50D RESNET50S RESNET50T RESNET50_CIFAR "
    "RESNET101 RESNET101C RESNET101D RESNET101S RESNET101_CIFAR "
    "RESNET152 RESNET152C RESNET152D RESNET152S RESNET152_CIFAR "
    "RESNET200 RESNET200D "
    "WIDE_RESNET50_2 WIDE_RESNET101_2 "
    "RESNEXT50_32X4D RESNEXT50D_32X4D RESNEXT101_32X4D RESNEXT101_32X8D RESNEXT101_32X16D "
    "RESNEXT101_32X32D RESNEXT101_32X48D RESNEXT101_64X4D RESNEXT152_32X4D",
)


class Style(StrEnum):
    PYTORCH = "PyTorch"
    CAFFE = "Caffe"


class Stem(StrEnum):
    CIFAR = "CIFAR"


# What a serving pod of runtime TorchAIE builds itself.
TORCHVISION = (
    Architecture.RESNET18,
    Architecture.RESNET34,
    Architecture.RESNET50,
    Architecture.RESNET101,
    Architecture.RESNET152,
    Architecture.WIDE_RESNET50_2,
    Architecture.WIDE_RESNET101_2,
    Architecture.RESNEXT50_32X4D,
    Architecture.RESNEXT101_32X8D,
    Architecture.RESNEXT101_64X4D,
)
