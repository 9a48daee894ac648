"""Builds ResNets with their publishers' own libraries: networks.py FOLDER, by the Python that
devkit/originals.sh makes. Writes for each the weights as its publisher saves them, a picture and
what the original answers; and, as shapes.json, the weights' shapes of networks that are refused.
"""

import json
import os
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
os.environ["HF_HUB_OFFLINE"] = "1"

import mmpretrain  # noqa: E402
import numpy as np  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
from mmpretrain.registry import MODELS  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import ResNetConfig, ResNetForImageClassification  # noqa: E402

CLASSES = 7
NARROW = (16, 32, 64, 128)
REFUSED = (
    "seresnet18", "ecaresnet26t", "res2net50_26w_4s", "resnest14d", "skresnet18", "resnet50_gn",
    "resnetv2_50", "regnety_002", "resnetrs50", "densenet121", "vgg11", "vit_tiny_patch16_224",
    "efficientnet_b0", "convnext_atto", "mobilenetv3_small_050", "resnet32ts",
)  # fmt: skip


def ask(network, picture):
    return network(picture)


class Folder:
    """Where the files go; pictures and normalization are drawn with one seed."""

    def __init__(self, path):
        self.path = path
        self.made = []

    def put(self, name, network, save, *, size, call=ask, kind="float"):
        generator = torch.Generator().manual_seed(len(self.made))
        noise = torch.randn(8, 3, *size, generator=generator)
        picture = torch.randn(2, 3, *size, generator=generator)
        with torch.no_grad():
            network = shaken(network, generator, lambda network: call(network, noise))
            network = getattr(network, kind)().float()  # rounded to `kind`
            scores = call(network, picture)
        np.savez(self.path / f"{name}.npz", picture=picture.numpy(), scores=scores.numpy())
        save(network, self.path / name)
        self.made.append(name)


def shaken(network, generator, ask_it):
    """Batch norms of a new network do nothing, and its head says nearly the same of all; these
    have the statistics of noise, and weights of their own.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in norms:
        shape = layer.weight.shape
        layer.momentum = 1.0
        layer.weight.copy_(torch.rand(shape, generator=generator) + 0.5)
        layer.bias.copy_(torch.randn(shape, generator=generator) * 0.1)
    ask_it(network.train())
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * 0.005)
    return network.eval()


def as_pth(network, path):
    torch.save(network.state_dict(), path)


def as_safetensors(network, path):
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)


def as_halves(kind):
    def save(network, path):
        as_safetensors(getattr(network, kind)(), path)

    return save


def as_openmmlab(text):
    """As its tools/publish_model.py: the older format, with the configuration's text."""

    def save(network, path):
        meta = {"cfg": text, "dataset_meta": {"classes": list("abcdefg")}, "epoch": 100}
        value = {"meta": meta, "state_dict": network.state_dict()}
        torch.save(value, path, _use_new_zipfile_serialization=False)

    return save


def put_torchvision(folder):
    for name in ("resnet18", "resnet50", "resnext50_32x4d"):
        network = getattr(torchvision.models, name)(num_classes=CLASSES)
        folder.put(f"torchvision-{name}", network, as_pth, size=(64, 64))
    for kind in ("half", "bfloat16"):
        network = torchvision.models.resnet18(num_classes=CLASSES)
        folder.put(f"torchvision-{kind}", network, as_halves(kind), size=(64, 64), kind=kind)


def put_timm(folder):
    names = ("resnet18", "resnet10t", "resnet18d", "resnet26", "resnet26t", "resnet50", "resnet50c",
             "resnet50d", "resnet50s", "resnet50t", "resnext50_32x4d", "resnext50d_32x4d",
             "wide_resnet50_2")  # fmt: skip
    for name in names:
        network = timm.create_model(name, num_classes=CLASSES, channels=NARROW)
        folder.put(f"timm-{name}", network, as_safetensors, size=(65, 75))


def put_transformers(folder):
    sizes = {"layer_type": "basic", "hidden_sizes": list(NARROW), "embedding_size": 16}
    wide = {"hidden_sizes": [4 * width for width in NARROW], "embedding_size": 16}
    variants = {
        "basic": {**sizes, "depths": [2, 2, 2, 2]},
        "bottleneck": {**wide, "depths": [3, 4, 6, 3]},
        "first-stage": {**wide, "downsample_in_first_stage": True},
        "in-bottleneck": {**wide, "downsample_in_bottleneck": True},
    }
    for name, options in variants.items():
        config = ResNetConfig(num_labels=CLASSES, **options)
        network = ResNetForImageClassification(config)
        folder.put(
            f"transformers-{name}",
            network,
            as_safetensors,
            size=(64, 96),
            call=lambda network, picture: network(picture).logits,
        )
        (folder.path / f"transformers-{name}.json").write_text(config.to_json_string())


def put_mmpretrain(folder):
    mmpretrain.utils.register_all_modules()
    variants = {
        "resnet18": {"type": "ResNet", "depth": 18, "style": "pytorch"},
        "resnet50": {"type": "ResNet", "depth": 50, "style": "pytorch"},
        "caffe": {"type": "ResNet", "depth": 50, "style": "caffe"},
        "epsilon": {"type": "ResNet", "depth": 18, "norm_cfg": {"type": "BN", "eps": 1e-2}},
        "cifar18": {"type": "ResNet_CIFAR", "depth": 18, "style": "pytorch"},
        "cifar50": {"type": "ResNet_CIFAR", "depth": 50, "style": "pytorch"},
        "v1c": {"type": "ResNetV1c", "depth": 50, "style": "pytorch"},
        "v1d": {"type": "ResNetV1d", "depth": 50, "style": "pytorch"},
        "next": {"type": "ResNeXt", "depth": 50, "groups": 32, "width_per_group": 4},
    }
    for name, options in variants.items():
        backbone = {**options, "num_stages": 4, "out_indices": (3,)}
        if name != "next":
            backbone |= {"base_channels": 16, "stem_channels": 16}
        channels = (512 if options["depth"] == 18 else 2048) // (1 if name == "next" else 4)
        head = {"type": "LinearClsHead", "num_classes": CLASSES, "in_channels": channels}
        whole = {"type": "ImageClassifier", "neck": {"type": "GlobalAveragePooling"}}
        network = MODELS.build({**whole, "backbone": dict(backbone), "head": head})
        text = f"model = dict(type='ImageClassifier', backbone={backbone!r})\n"
        folder.put(
            f"mmpretrain-{name}",
            network,
            as_openmmlab(text),
            size=(33, 47),
            call=lambda network, picture: network(picture, mode="tensor"),
        )


def main(path):
    torch.manual_seed(20)
    torch.set_num_threads(2)
    folder = Folder(path)
    for put in (put_torchvision, put_timm, put_transformers, put_mmpretrain):
        put(folder)
    shapes = {}
    for name in REFUSED:
        state = timm.create_model(name, num_classes=CLASSES).state_dict()
        shapes[name] = {key: list(value.shape) for key, value in state.items()}
    (path / "shapes.json").write_text(json.dumps(shapes))
    (path / "made.json").write_text(json.dumps(folder.made))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
