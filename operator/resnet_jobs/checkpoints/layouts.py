"""How each publisher calls the parts of a ResNet; here all are called as torchvision calls them.

Called by `recognise`. Pure: names in, names out. Networks that look like a ResNet and compute
something else are refused by the names that give them away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from resnet_jobs.driver.checkpoint import MisfitError

TORCHVISION, MMCLS, TRANSFORMERS = "torchvision or timm", "mmcls", "transformers"
ONNX_HINT = "export the network to ONNX where it was trained, and bring the ONNX file"
Value = TypeVar("Value")
Rule = tuple[str, str | Callable[[re.Match[str]], str]]


def _counted(format_: str) -> Callable[[re.Match[str]], str]:
    """Transformers counts from 0 what torchvision counts from 1."""
    return lambda found: format_.format(int(found[1]) + 1)


# (a name that only this publisher writes, what to replace in its names, one after the other)
LAYOUTS: dict[str, tuple[str, tuple[Rule, ...]]] = {
    MMCLS: (
        r"backbone\.(conv1|stem|layer1)\.",
        (
            (r"^backbone\.stem\.0\.conv\.", "conv1.0."),
            (r"^backbone\.stem\.0\.bn\.", "conv1.1."),
            (r"^backbone\.stem\.1\.conv\.", "conv1.3."),
            (r"^backbone\.stem\.1\.bn\.", "conv1.4."),
            (r"^backbone\.stem\.2\.conv\.", "conv1.6."),
            (r"^backbone\.stem\.(2\.bn|7)\.", "bn1."),
            (r"^backbone\.stem\.", "conv1."),
            (r"^backbone\.", ""),
            (r"^head\.fc\.", "fc."),
        ),
    ),
    TRANSFORMERS: (
        r"(resnet\.)?(embedder\.embedder|encoder\.stages\.0\.layers)\.",
        (
            (r"^(resnet\.)?embedder\.embedder\.convolution\.", "conv1."),
            (r"^(resnet\.)?embedder\.embedder\.normalization\.", "bn1."),
            (r"^(?:resnet\.)?encoder\.stages\.(\d)\.layers", _counted("layer{}")),
            (r"\.layer\.(\d)\.convolution\.", _counted(".conv{}.")),
            (r"\.layer\.(\d)\.normalization\.", _counted(".bn{}.")),
            (r"\.shortcut\.convolution\.", ".downsample.0."),
            (r"\.shortcut\.normalization\.", ".downsample.1."),
            (r"^classifier\.1\.", "fc."),
        ),
    ),
}

HEAD = re.compile(r"fc\.(\d+)\.")
# (what stands in a name, what such a network is)
STRANGERS: tuple[tuple[str, str], ...] = (
    (r"\.conv\d\.(paths|conv_list)\.", "a SKNet, with selective kernels"),
    (r"\.conv2\.(conv|fc1|bn0)\.", "a ResNeSt, with split attention"),
    (
        r"\.se\.|\.se_module\.|\.se_layer\.|\.attn\.|\.eca\.",
        "with channel attention (SE, ECA or alike)",
    ),
    (r"\.(ca|sa|cbam)\.|ChannelGate|SpatialGate", "with the attention of CBAM"),
    (r"layer\d\.\d+\.(convs|bns)\.\d", "a Res2Net"),
    (r"\.aa\.|\.filt$|\.blur\.", "with anti-aliased (blurred) pooling"),
    (r"\.bn\d\.(IN|BN)\.", "an IBN-Net, with instance normalization"),
    (r"^maxpool\.", "with a convolution in place of the stem's pooling"),
    (r"_packed_params|\.scale$|\.zero_point$", "quantized by PyTorch"),
    (r"(lora_|\.base_layer\.)", "with LoRA adapters, which are to be merged first"),
    (r"^backbone\.(body|bottom_up)\.|^(rpn|roi_heads)\.", "a detector"),
    (r"^attnpool\.", "a CLIP tower"),
)
FAMILIES: tuple[tuple[str, str], ...] = (
    (r"^(s1\.|trunk_output\.|regnet\.)", "a RegNet"),
    (r"^backbone\.(body|bottom_up)\.|^(rpn|roi_heads)\.", "a detector"),
    (r"^stages\.\d\.blocks\.\d+\.(gamma|conv_dw)|convnext", "a ConvNeXt"),
    (r"^(resnetv2\.)?stages\.\d\.blocks\.\d+\.(norm|preact)|^bit\.",
     "a ResNetV2 (BiT), which normalizes before its convolutions"),
    (r"^stages\.\d\.\d+\.conv\d_", "one of timm's networks built of blocks, as RegNet is"),
    (r"^features\.denseblock", "a DenseNet"),
    (r"^features\.\d+\.conv\.", "a MobileNet"),
    (r"^features\.\d+\.\d+\.block\.", "an EfficientNet or ConvNeXt"),
    (r"^features\.\d+\.(weight|bias)", "a VGG or AlexNet"),
    (r"cls_token|class_token|pos_embed|\.attention\.|\.attn\.qkv", "a vision transformer"),
    (r"^Mixed_5b\.|^inception3a\.", "an Inception or GoogLeNet"),
    (r"^(blocks|conv_stem)", "an EfficientNet or a vision transformer"),
    (r"_packed_params|\.zero_point$", "quantized by PyTorch"),
    (r"^model\.\d+\.", "a YOLO, or another network of numbered layers"),
)  # fmt: skip


def to_torchvision(weights: Mapping[str, Value]) -> tuple[str, dict[str, Value]]:
    """(publisher, the weights by torchvision's names); `MisfitError` for other networks."""
    for publisher, (mark, rules) in LAYOUTS.items():
        if any(re.match(mark, name) for name in weights):
            renamed = {_rename(name, rules): value for name, value in weights.items()}
            if len(renamed) != len(weights):
                raise MisfitError("two of the weights have one name: save the checkpoint again")
            refuse_strangers(renamed)
            return publisher, renamed
    refuse_strangers(weights)
    return TORCHVISION, dict(weights)


def plain_head(weights: Mapping[str, Value]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """(the weights, notes): fine-tuned heads are often `Sequential(Dropout, Linear)`, which answers
    as the Linear alone. What stands behind a Linear may be no dropout, and nothing shows it.
    """
    numbers = sorted({int(found[1]) for name in weights if (found := HEAD.match(name))})
    if not numbers:
        return dict(weights), ()
    if len(numbers) > 1:
        raise MisfitError(
            f"the head has several layers with weights (fc.{', fc.'.join(map(str, numbers))}), and "
            f"nothing shows what lies between them: {ONNX_HINT}"
        )
    if numbers == [0]:
        raise MisfitError(
            "the head is a Sequential that begins with fc.0, and nothing shows what follows it: if "
            "that is dropout or a softmax, save the weights with fc. in place of fc.0.; else "
            f"{ONNX_HINT}"
        )
    inside = f"fc.{numbers[0]}."
    plain = {f"fc.{k[len(inside) :]}" if k.startswith(inside) else k: weights[k] for k in weights}
    return plain, (f"took {inside[:-1]} for the head, and what stands before it for dropout",)


def _rename(name: str, rules: tuple[Rule, ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name, count=1)
    return name


def refuse_strangers(names: Mapping[str, object]) -> None:
    if not any(re.match(r"layer1\.0\.", name) for name in names):
        for pattern, what in FAMILIES:
            if any(re.search(pattern, name) for name in names):
                raise _stranger(what)
        shown = ", ".join(sorted(names)[:3])
        raise MisfitError(
            f"the weights are not those of a ResNet that is known here (they begin with {shown}): "
            f"{ONNX_HINT}"
        )
    for pattern, what in STRANGERS:
        if any(re.search(pattern, name) for name in names):
            raise _stranger(what)


def _stranger(what: str) -> MisfitError:
    return MisfitError(f"the weights are of a network that is not built here, {what}: {ONNX_HINT}")
