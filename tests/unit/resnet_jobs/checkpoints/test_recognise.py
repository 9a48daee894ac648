"""Which network the weights are of is found from names and shapes, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.unit.resnet_jobs.checkpoints.saved import Weights, as_mmcls, outline, renamed, resnet

from resnet_jobs.checkpoints.hints import Hints, read_hints, refuse_by_address
from resnet_jobs.checkpoints.recognise import Asked, Recognised, recognise
from resnet_jobs.checkpoints.state_dict import find_state_dict
from resnet_jobs.checkpoints.weights_file import Entry
from resnet_jobs.driver.checkpoint import MisfitError

R50 = outline(50, base=64)
PLAIN = {"cfg": "model = dict(backbone=dict(type='ResNet', style='pytorch'))"}


def entry(value: np.ndarray[Any, Any]) -> Entry:
    return Entry("float32", value.shape, lambda: value)


def saved(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return entry(value)
    return {key: saved(item) for key, item in value.items()} if isinstance(value, dict) else value


def found(
    value: Any, hints: Hints | None = None, *, key: str | None = None, **asked: str
) -> Recognised:
    state = find_state_dict(saved(value), key=key, prefix=None)
    return recognise(state.weights, hints=hints or read_hints(state.meta), asked=Asked(**asked))


def transformers(weights: Weights) -> Weights:
    """As its ResNetForImageClassification writes them."""
    import re

    def change(key: str) -> str:
        stage = re.match(r"layer(\d)\.(\d+)\.(conv|bn|downsample)\.?(\d)\.(.*)", key)
        if stage is None:
            place = {"conv1": "convolution", "bn1": "normalization"}.get(key.split(".")[0])
            rest = key.partition(".")[2]
            return f"resnet.embedder.embedder.{place}.{rest}" if place else f"classifier.1.{rest}"
        number, kind = int(stage[4]), stage[3]
        block = f"resnet.encoder.stages.{int(stage[1]) - 1}.layers.{stage[2]}"
        if kind == "downsample":
            return f"{block}.shortcut.{('convolution', 'normalization')[number]}.{stage[5]}"
        part = "convolution" if kind == "conv" else "normalization"
        return f"{block}.layer.{number - 1}.{part}.{stage[5]}"

    return renamed(weights, change)


def deep_mmcls(weights: Weights) -> Weights:
    places = {
        "conv1.0.": "stem.0.conv.",
        "conv1.1.": "stem.0.bn.",
        "conv1.3.": "stem.1.conv.",
        "conv1.4.": "stem.1.bn.",
        "conv1.6.": "stem.2.conv.",
        "bn1.": "stem.2.bn.",
    }

    def change(key: str) -> str:
        for begin, new in places.items():
            if key.startswith(begin):
                return new + key[len(begin) :]
        return key

    return as_mmcls(renamed(weights, change))


DEEP = outline(50, base=64, stem="deep")
NAMES: list[tuple[str, Any, str]] = [
    ("torchvision's", R50, "resnet50"),
    ("basic blocks", outline(18, base=64), "resnet18"),
    ("groups", outline(50, base=128, groups=32), "resnext50_32x4d"),
    ("transformers'", transformers(R50), "resnet50"),
    ("transformers' basic blocks", transformers(outline(18, base=64)), "resnet18"),
    ("timm's deep stem", DEEP, "resnet50c"),
    ("and pooled shortcuts", outline(50, base=64, stem="deep", pooled=True), "resnet50d"),
    (
        "pooled shortcuts of basic blocks",
        outline(18, base=64, stem="deep", pooled=True),
        "resnet18d",
    ),
    ("mmcls's", {"meta": PLAIN, "state_dict": as_mmcls(R50)}, "resnet50"),
    ("mmcls's deep stem", {"meta": PLAIN, "state_dict": deep_mmcls(DEEP)}, "resnet50c"),
    (
        "mmcls's basic blocks need no style",
        {"state_dict": as_mmcls(outline(18, base=64))},
        "resnet18",
    ),
    (
        "mmcls's for CIFAR",
        {"state_dict": as_mmcls(outline(18, base=64, stem="small"))},
        "resnet18_cifar",
    ),
    ("26 layers", outline(26, base=64), "resnet26"),
    ("few channels", resnet(18), "resnet18"),
]


@pytest.mark.parametrize(("why", "value", "name"), NAMES, ids=[row[0] for row in NAMES])
def test_a_network_is_found(why: str, value: Any, name: str) -> None:
    assert found(value).architecture.name == name, why


def test_a_head_behind_dropout() -> None:
    weights = {key.replace("fc.", "fc.1."): value for key, value in SMALL.items()}
    network = found(weights)
    assert network.architecture.name == "resnet18"
    assert np.array_equal(network.weights["fc.weight"].load(), SMALL["fc.weight"])
    assert network.notes == ("took fc.1 for the head, and what stands before it for dropout",)


ADDRESSES = [
    ("timm's file", "models/resnetblur50-84f4748f.pth", "resnetblur50"),
    ("timm's repository", "timm/resnetaa50d.sw_in12k_ft_in1k/", "resnetaa50d"),
    ("capital letters", "models/ResNetBlur18.pth", "resnetblur18"),
    ("one of two parts", "org/name/model-00002-of-00003.safetensors", "part 2 of 3"),
    ("a word that looks like it", "models/resnet18_aachen.pth", None),
    ("a blur that is data", "models/resnet50-blurred-cats.pth", None),
    ("a plain one", "models/resnet50-0676ba61.pth", None),
]


@pytest.mark.parametrize(("why", "place", "words"), ADDRESSES, ids=[row[0] for row in ADDRESSES])
def test_what_only_the_address_says(why: str, place: str, words: str | None) -> None:
    if words is None:
        refuse_by_address(place)
        return
    with pytest.raises(MisfitError) as caught:
        refuse_by_address(place)
    assert words in str(caught.value), why
    assert "bring" in str(caught.value)


def test_what_is_found() -> None:
    architecture = found(outline(50, base=128, groups=32, classes=9)).architecture
    assert (architecture.classes, architecture.groups, architecture.width) == (9, 32, 4)
    assert (architecture.channels, architecture.side) == (3, 224)
    assert found({"state_dict": as_mmcls(resnet(stem="small"))}).architecture.side == 32


def cfg(backbone: str) -> dict[str, Any]:
    return {"cfg": f"model = dict(type='ImageClassifier', backbone=dict({backbone}))"}


STYLES: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("the usual one", cfg("type='ResNet', depth=50, style='pytorch'"), {}, False),
    ("mmcls's default", cfg("type='ResNet', depth=50"), {}, False),
    ("said by the file", cfg("type='ResNet', depth=50, style='caffe'"), {}, True),
    ("said by mmcls before 1.0", {"config": cfg("style='caffe'")["cfg"]}, {}, True),
    ("said by the object", {}, {"style": "Caffe"}, True),
    ("the object against the file", cfg("style='caffe'"), {"style": "PyTorch"}, False),
]


@pytest.mark.parametrize(("why", "meta", "asked", "first"), STYLES, ids=[row[0] for row in STYLES])
def test_where_a_bottleneck_halves(
    why: str, meta: dict[str, Any], asked: dict[str, Any], first: bool
) -> None:
    value = {"meta": meta, "state_dict": as_mmcls(R50)}
    assert found(value, **asked).architecture.stride_in_first is first, why


def test_what_transformers_says() -> None:
    config = {"downsample_in_bottleneck": True, "downsample_in_first_stage": True}
    architecture = found(transformers(R50), Hints(config=config)).architecture
    assert (architecture.stride_in_first, architecture.halves_at_once) == (True, True)


def test_the_epsilon_of_a_configuration() -> None:
    meta = cfg("type='ResNet', norm_cfg=dict(type='BN', eps=1e-3)")
    assert found({"meta": meta, "state_dict": as_mmcls(R50)}).architecture.epsilon == 1e-3


@pytest.mark.parametrize(
    "text", ["model = dict(backbone=", "(" * 5000, "a = 1", "x" * 2_000_000, "model = f()"]
)
def test_a_configuration_of_any_kind_does_no_harm(text: str) -> None:
    assert read_hints({"cfg": text}).style is None


# --- wrappers -----------------------------------------------------------------------------------

SMALL = resnet(18)
ZEROS = {key: value * 0 for key, value in SMALL.items() if value.ndim}
WRAPPED: list[tuple[str, Any, str | None]] = [
    ("bare", SMALL, None),
    ("DataParallel", renamed(SMALL, "module.{}".format), 'removed "module."'),
    ("torch.compile", renamed(SMALL, "_orig_mod.{}".format), 'removed "_orig_mod."'),
    ("both", renamed(SMALL, "module._orig_mod.{}".format), 'removed "module._orig_mod."'),
    (
        "Lightning",
        {"state_dict": renamed(SMALL, "model.{}".format), "epoch": 3},
        'removed "model."',
    ),
    (
        "transformers' wrapper of timm",
        renamed(SMALL, "timm_model.{}".format),
        'removed "timm_model."',
    ),
    ("a training", {"model": SMALL, "optimizer": {"state": {}}, "epoch": 3}, "under model"),
    (
        "the average first, as timm",
        {"state_dict": ZEROS, "state_dict_ema": SMALL},
        "under state_dict_ema; it also has state_dict",
    ),
    (
        "mmengine has them the other way round",
        {"state_dict": SMALL, "ema_state_dict": ZEROS},
        "under state_dict",
    ),
    ("another word", {"generator": SMALL}, "under generator"),
    (
        "counters of profilers",
        {**SMALL, "total_ops": np.zeros(1), "layer1.total_params": np.zeros(1)},
        None,
    ),
    (
        "Lightning with a name of its own",
        renamed(SMALL, "classifier.net.{}".format),
        'removed "classifier.net."',
    ),
    ("a backbone that has its head", renamed(SMALL, "backbone.{}".format), 'removed "backbone."'),
    (
        "an average of the weights",
        {"model_ema": renamed(SMALL, "module.{}".format), "model": ZEROS},
        "under model_ema; it also has model",
    ),
    ("class weights of the loss", {**SMALL, "loss_fn.weight": np.zeros(5)}, None),
    ("mmengine's preprocessor", {**SMALL, "data_preprocessor.mean": np.zeros((3, 1, 1))}, None),
]


@pytest.mark.parametrize(("why", "value", "note"), WRAPPED, ids=[row[0] for row in WRAPPED])
def test_weights_are_found(why: str, value: Any, note: str | None) -> None:
    state = find_state_dict(saved(value), key=None, prefix=None)
    assert recognise(state.weights, hints=Hints(), asked=Asked()).architecture.name == "resnet18"
    assert np.array_equal(state.weights["conv1.weight"].load(), SMALL["conv1.weight"]), why
    assert note in "; ".join(state.notes) if note else not state.notes, why


def test_the_object_chooses() -> None:
    value = saved({"state_dict_ema": ZEROS, "state_dict": renamed(SMALL, "a.b.{}".format)})
    state = find_state_dict(value, key="state_dict", prefix="a.b.")
    assert np.array_equal(state.weights["conv1.weight"].load(), SMALL["conv1.weight"])


# --- refusals -----------------------------------------------------------------------------------


def without(weights: Weights, *begins: str) -> Weights:
    return {key: value for key, value in weights.items() if not key.startswith(begins)}


def with_(*names: str, base: Weights = SMALL) -> Weights:
    return {**base, **{one: np.zeros((8, 8, 1, 1), "f4") for one in names}}


def groups_alone(weights: Weights) -> Weights:
    return {key: value for key, value in weights.items() if "running" not in key}


REFUSED: list[tuple[str, Any, str]] = [
    ("SE", with_("layer1.0.se.fc1.weight"), "channel attention"),
    (
        "SE of mmcls",
        {"state_dict": as_mmcls(with_("layer1.0.se_layer.conv1.conv.weight"))},
        "channel attention",
    ),
    ("ECA", with_("layer2.1.se.conv.weight"), "channel attention"),
    ("ResNeSt", with_("layer1.0.conv2.fc1.weight"), "ResNeSt"),
    ("Res2Net", with_("layer1.0.convs.0.weight"), "Res2Net"),
    ("SKNet", with_("layer1.0.conv2.paths.0.conv.weight"), "selective kernels"),
    ("blurred pooling", with_("layer2.0.aa.filt"), "anti-aliased"),
    ("IBN-Net", with_("layer1.0.bn1.IN.weight"), "instance normalization"),
    ("a stem that pools by convolution", with_("maxpool.0.weight"), "stem's pooling"),
    ("CLIP", with_("attnpool.q_proj.weight"), "CLIP"),
    ("LoRA", with_("layer1.0.conv1.lora_A.weight"), "LoRA"),
    (
        "ResNetV2",
        {
            "stem.conv.weight": np.zeros((64, 3, 7, 7)),
            "stages.0.blocks.0.norm1.weight": np.zeros(64),
        },
        "ResNetV2",
    ),
    (
        "RegNet",
        {
            "stem.conv.weight": np.zeros((32, 3, 3, 3)),
            "s1.b1.conv1.conv.weight": np.zeros((8, 8, 1, 1)),
        },
        "a RegNet",
    ),
    (
        "VGG",
        {"features.0.weight": np.zeros((64, 3, 3, 3)), "features.0.bias": np.zeros(64)},
        "a VGG",
    ),
    (
        "DenseNet",
        {"features.denseblock1.denselayer1.conv1.weight": np.zeros((8, 8, 1, 1))},
        "a DenseNet",
    ),
    (
        "ViT",
        {"cls_token": np.zeros((1, 1, 8)), "patch_embed.proj.weight": np.zeros((8, 3, 16, 16))},
        "vision transformer",
    ),
    (
        "YOLO",
        {"0.conv.weight": np.zeros((16, 3, 3, 3)), "1.conv.weight": np.zeros((16, 16, 3, 3))},
        "begin with 0.conv.weight",
    ),
    (
        "anything",
        {"encoder.weight": np.zeros((8, 3, 3, 3)), "x": np.zeros(1)},
        "begin with encoder.weight",
    ),
    ("GroupNorm", groups_alone(SMALL), "GroupNorm"),
    ("no head", without(SMALL, "fc."), "no layer fc"),
    (
        "a projection in its place",
        {**without(SMALL, "fc."), "projector.0.weight": np.zeros((8, 64))},
        "there is projector",
    ),
    (
        "two heads",
        {**SMALL, "fc2.weight": np.zeros((3, 5)), "fc2.bias": np.zeros(3)},
        "fc2.bias, fc2.weight",
    ),
    (
        "a head that goes on, nobody knows how",
        {**without(SMALL, "fc."), "fc.0.weight": np.zeros((5, 64)), "fc.0.bias": np.zeros(5)},
        "save the weights with fc. in place of fc.0.",
    ),
    (
        "a head of two layers",
        {
            **without(SMALL, "fc."),
            "fc.0.weight": np.zeros((8, 64)),
            "fc.3.weight": np.zeros((5, 8)),
        },
        "several layers with weights (fc.0, fc.3)",
    ),
    ("CBAM", with_("layer1.0.ca.fc1.weight"), "the attention of CBAM"),
    ("CBAM's own code", with_("layer1.0.cbam.ChannelGate.mlp.1.weight"), "the attention of CBAM"),
    ("ECA of its own code", with_("layer1.0.eca.conv.weight"), "channel attention"),
    (
        "RegNet of torchvision",
        {
            "stem.0.weight": np.zeros((32, 3, 3, 3)),
            "trunk_output.block1.block1-0.proj.0.weight": np.zeros(8),
        },
        "a RegNet",
    ),
    (
        "ViT of torchvision",
        {
            "class_token": np.zeros((1, 1, 8)),
            "conv_proj.weight": np.zeros((8, 3, 16, 16)),
            "encoder.pos_embedding": np.zeros((1, 5, 8)),
        },
        "vision transformer",
    ),
    (
        "Swin",
        {
            "patch_embed.proj.weight": np.zeros((8, 3, 4, 4)),
            "layers.0.blocks.0.attn.qkv.weight": np.zeros((8, 8)),
        },
        "transformer",
    ),
    (
        "Inception",
        {
            "Conv2d_1a_3x3.conv.weight": np.zeros((8, 3, 3, 3)),
            "Mixed_5b.branch1x1.conv.weight": np.zeros((8, 8, 1, 1)),
        },
        "an Inception",
    ),
    (
        "DenseNet of timm under DataParallel",
        {
            "module.features.conv0.weight": np.zeros((8, 3, 7, 7)),
            "module.features.denseblock1.denselayer1.conv1.weight": np.zeros((8, 8, 1, 1)),
        },
        "a DenseNet",
    ),
    (
        "layers quantized by PyTorch",
        {**SMALL, "fc._packed_params.dtype": "qint8", "fc._packed_params._packed_params": ()},
        "quantized by PyTorch",
    ),
    ("something in a block", with_("layer1.0.drop.mask"), "layer1.0.drop.mask"),
    (
        "a shortcut is missing",
        without(SMALL, "layer2.0.downsample"),
        "layer2.0.downsample is missing",
    ),
    ("a block is missing", without(SMALL, "layer1.0.conv2"), "layer1.0.conv2.weight is missing"),
    (
        "a stem of 5x5",
        {**SMALL, "conv1.weight": np.zeros((8, 3, 5, 5))},
        "conv1.weight has the shape [8, 3, 5, 5]",
    ),
    (
        "a kernel of 5x5",
        {**SMALL, "layer1.0.conv1.weight": np.zeros((8, 8, 5, 5))},
        "layer1.0.conv1.weight has the shape",
    ),
    (
        "channels that do not fit",
        {**SMALL, "layer1.0.conv2.weight": np.zeros((8, 4, 3, 3))},
        "layer1.0.conv2.weight has the shape",
    ),
    ("a norm that does not fit", {**SMALL, "bn1.bias": np.zeros(4)}, "bn1.bias does not fit"),
    ("a head that does not fit", {**SMALL, "fc.weight": np.zeros((5, 63))}, "not [classes, 64]"),
    ("no tensors", {"epoch": 3}, "holds no weights"),
    ("a list", ["a"], "holds no weights"),
    ("an optimizer alone", {"optimizer": {"state": {}}, "epoch": 1}, "holds no weights"),
]


@pytest.mark.parametrize(("why", "value", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_another_network_is_refused(why: str, value: Any, words: str) -> None:
    with pytest.raises(MisfitError) as caught:
        found(value)
    assert words in str(caught.value), why
    assert caught.value.reason == "UnsupportedModel", "the file is at fault"
    assert any(do in str(caught.value) for do in ("bring", "save", "export")), "says what to do"


ASKED: list[tuple[str, Callable[[], Any], str]] = [
    (
        "mmcls without its configuration",
        lambda: found({"state_dict": as_mmcls(R50)}),
        "spec.model.pytorch.style: PyTorch",
    ),
    (
        "3x3 in front, by torchvision's names",
        lambda: found(resnet(stem="small")),
        "spec.model.pytorch.stem: CIFAR",
    ),
    ("CIFAR said of 7x7", lambda: found(SMALL, stem="CIFAR"), "remove the field"),
    (
        "two dictionaries of weights",
        lambda: found({"a": SMALL, "b": SMALL}),
        "spec.model.pytorch.checkpointKey: a",
    ),
    ("a key that is not there", lambda: found({"a": SMALL}, key="b"), "which has: a"),
]


@pytest.mark.parametrize(("why", "ask", "words"), ASKED, ids=[row[0] for row in ASKED])
def test_what_cannot_be_seen_is_asked_for(why: str, ask: Callable[[], Any], words: str) -> None:
    with pytest.raises(MisfitError) as caught:
        ask()
    assert words in str(caught.value), why
    assert caught.value.reason == "InvalidSpec", "the object can say it"


def test_a_stem_may_be_said() -> None:
    assert found(resnet(stem="small"), stem="CIFAR").architecture.name == "resnet18_cifar"


INVISIBLE: list[tuple[str, Hints, str]] = [
    (
        "average pooling where it halves",
        Hints(config={"architecture": "resnetaa50d"}),
        "resnetaa50d",
    ),
    ("blurred pooling", Hints(config={"architecture": "resnetblur50"}), "resnetblur50"),
    ("another activation", Hints(config={"hidden_act": "gelu"}), "gelu"),
    ("another pooling at the end", Hints(config={"global_pool": "max"}), "max"),
    ("options of timm", Hints(config={"model_args": {"output_stride": 8}}), "output_stride"),
    ("another backbone of mmcls", Hints(backbone={"type": "SEResNet"}), "SEResNet"),
]


@pytest.mark.parametrize(("why", "hints", "words"), INVISIBLE, ids=[row[0] for row in INVISIBLE])
def test_what_only_the_publisher_knows(why: str, hints: Hints, words: str) -> None:
    """The weights have names and shapes of a plain ResNet, and mean another network."""
    with pytest.raises(MisfitError, match="not built here") as caught:
        found(R50, hints)
    assert words in str(caught.value), why
