"""The ResNets that are built from weights, by name."""

from __future__ import annotations

from enum import StrEnum


class Architecture(StrEnum):
    """By timm's names, which are torchvision's where it has the network too. The letter tells the
    stem: c, d (with pooled shortcuts), s (wide), t (tiered); _cifar has one of 3x3.
    """

    RESNET10T = "resnet10t"
    RESNET14T = "resnet14t"
    RESNET18 = "resnet18"
    RESNET18D = "resnet18d"
    RESNET18_CIFAR = "resnet18_cifar"
    RESNET26 = "resnet26"
    RESNET26D = "resnet26d"
    RESNET26T = "resnet26t"
    RESNET34 = "resnet34"
    RESNET34D = "resnet34d"
    RESNET34_CIFAR = "resnet34_cifar"
    RESNET50 = "resnet50"
    RESNET50C = "resnet50c"
    RESNET50D = "resnet50d"
    RESNET50S = "resnet50s"
    RESNET50T = "resnet50t"
    RESNET50_CIFAR = "resnet50_cifar"
    RESNET101 = "resnet101"
    RESNET101C = "resnet101c"
    RESNET101D = "resnet101d"
    RESNET101S = "resnet101s"
    RESNET101_CIFAR = "resnet101_cifar"
    RESNET152 = "resnet152"
    RESNET152C = "resnet152c"
    RESNET152D = "resnet152d"
    RESNET152S = "resnet152s"
    RESNET152_CIFAR = "resnet152_cifar"
    RESNET200 = "resnet200"
    RESNET200D = "resnet200d"
    WIDE_RESNET50_2 = "wide_resnet50_2"
    WIDE_RESNET101_2 = "wide_resnet101_2"
    RESNEXT50_32X4D = "resnext50_32x4d"
    RESNEXT50D_32X4D = "resnext50d_32x4d"
    RESNEXT101_32X4D = "resnext101_32x4d"
    RESNEXT101_32X8D = "resnext101_32x8d"
    RESNEXT101_32X16D = "resnext101_32x16d"
    RESNEXT101_32X32D = "resnext101_32x32d"
    RESNEXT101_32X48D = "resnext101_32x48d"
    RESNEXT101_64X4D = "resnext101_64x4d"
    RESNEXT152_32X4D = "resnext152_32x4d"


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
