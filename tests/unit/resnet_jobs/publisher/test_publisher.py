"""What publishers say of their models, as their files really look, and what is not believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resnet_jobs.publisher.config_files import read_config_file
from resnet_jobs.publisher.facts import NOTHING, PublisherFacts, merge, parse_facts
from resnet_jobs.publisher.mmcls import read_meta
from resnet_jobs.publisher.onnx_metadata import read_metadata

IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
HALF = (127.5, 127.5, 127.5)
TIMM = {
    "architecture": "resnet50",
    "num_classes": 1000,
    "num_features": 2048,
    "pretrained_cfg": {
        "tag": "a1_in1k",
        "input_size": [3, 224, 224],
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "crop_mode": "center",
        "mean": IMAGENET[0],
        "std": IMAGENET[1],
        "test_input_size": [3, 288, 288],
        "test_crop_pct": 1.0,
        "num_classes": 1000,
        "pool_size": [7, 7],
        "first_conv": "conv1",
        "classifier": "fc",
    },
}
RESNET_50 = {
    "architectures": ["ResNetForImageClassification"],
    "model_type": "resnet",
    "id2label": {"0": "tench, Tinca tinca", "1": "goldfish", "2": "great white shark"},
    "label2id": {"tench, Tinca tinca": 0, "goldfish": 1, "great white shark": 2},
}
CONVNEXT = {
    "crop_pct": 0.875,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "ConvNextFeatureExtractor",
    "image_mean": IMAGENET[0],
    "image_std": IMAGENET[1],
    "resample": 3,
    "size": 224,
}
CONFIGS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "timm's resnet50.a1_in1k",
        "config.json",
        TIMM,
        {"input_size": (224, 224), "mean": MEAN, "std": STD, "crop_pct": 0.95,
         "interpolation": "Bicubic"},
    ),
    (
        "timm before it had a block of its own",
        "config.json",
        {"architecture": "resnet18", "num_classes": 10, "input_size": [3, 32, 32],
         "crop_pct": 1.0, "interpolation": "bilinear", "mean": [0.5, 0.5, 0.5],
         "std": [0.5, 0.5, 0.5]},
        {"input_size": (32, 32), "mean": HALF, "std": HALF, "crop_pct": 1.0,
         "interpolation": "Bilinear"},
    ),
    (
        "timm with names of its own",
        "config.json",
        {"architecture": "resnet18", "label_names": ["n01440764", "n01443537"],
         "label_descriptions": {"n01440764": "tench", "n01443537": "goldfish"}},
        {"labels": ("tench", "goldfish")},
    ),
    (
        "timm that squashes pictures says no crop that we could follow",
        "config.json",
        {"architecture": "resnet18", "pretrained_cfg": {"crop_pct": 0.9, "crop_mode": "squash"}},
        {},
    ),
    (
        "labels of transformers",
        "config.json",
        RESNET_50,
        {"labels": ("tench, Tinca tinca", "goldfish", "great white shark")},
    ),
    (
        "more than ten labels, sorted as text",
        "config.json",
        {"id2label": {str(n): f"c{n}" for n in sorted(range(12), key=str)}},
        {"labels": tuple(f"c{n}" for n in range(12))},
    ),
    (
        "microsoft/resnet-50 as it was first published",
        "preprocessor_config.json",
        CONVNEXT,
        {"input_size": (224, 224), "mean": MEAN, "std": STD, "crop_pct": 0.875,
         "interpolation": "Bicubic"},
    ),
    (
        "the same as transformers writes it today",
        "preprocessor_config.json",
        CONVNEXT | {"size": {"shortest_edge": 224}, "do_rescale": True,
                    "rescale_factor": 0.00392156862745098,
                    "image_processor_type": "ConvNextImageProcessor"},
        {"input_size": (224, 224), "mean": MEAN, "std": STD, "crop_pct": 0.875,
         "interpolation": "Bicubic"},
    ),
    (
        "that processor cuts nothing out of large pictures",
        "preprocessor_config.json",
        CONVNEXT | {"size": {"shortest_edge": 384}},
        {"input_size": (384, 384), "mean": MEAN, "std": STD, "crop_pct": 1.0,
         "interpolation": "Bicubic"},
    ),
    (
        "a crop out of a larger picture",
        "preprocessor_config.json",
        {"size": {"shortest_edge": 256}, "do_center_crop": True, "resample": 2,
         "crop_size": {"height": 224, "width": 224}},
        {"input_size": (224, 224), "crop_pct": 0.875, "interpolation": "Bilinear"},
    ),
    (
        "a fixed size",
        "preprocessor_config.json",
        {"size": {"height": 192, "width": 256}, "do_normalize": False},
        {"input_size": (192, 256), "crop_pct": 1.0, "mean": (0.0,), "std": (255.0,)},
    ),
    (
        "scaled to -1 … 1",
        "preprocessor_config.json",
        {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]},
        {"mean": HALF, "std": HALF},
    ),
    (
        "bytes that nobody rescales",
        "preprocessor_config.json",
        {"do_rescale": False, "image_mean": [104.0, 117.0, 123.0], "image_std": [1.0, 1.0, 1.0],
         "do_flip_channel_order": True},
        {"mean": (104.0, 117.0, 123.0), "std": (1.0, 1.0, 1.0), "swap_red_blue": True},
    ),
    ("nothing of pictures", "config.json", {"model_type": "bert", "vocab_size": 3}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "name", "value", "want"), CONFIGS, ids=[r[0] for r in CONFIGS])
def test_files_of_a_hub(
    reason: str, name: str, value: dict[str, Any], want: dict[str, Any]
) -> None:
    facts, notes = read_config_file(name, json.dumps(value).encode())
    assert (facts, notes) == (PublisherFacts(source=name, **want), []), reason


BAD: list[tuple[str, str, Any, str | None]] = [
    ("labels that are no list", "labels", 5, "not a list of names"),
    ("placeholders", "labels", {"0": "LABEL_0", "1": "LABEL_1"}, "placeholders"),
    ("a gap", "labels", {"0": "a", "2": "b"}, "without gaps"),
    ("a class twice", "labels", {"0": "a", "00": "b"}, "without gaps"),
    ("a negative class", "labels", {"-1": "a"}, "without gaps"),
    ("numbers that cannot be", "labels", {"a": 10**30, "b": 1}, "without gaps"),
    ("a line feed inside", "labels", ["a\x00b"], "control character"),
    ("a hidden line end", "labels", ["a\u2028b", "c"], None),
    ("a very long one", "labels", ["x" * 2000], "longer than 1000"),
    ("very many", "labels", ["x"] * 100_001, "more than 100000"),
    ("too much text", "labels", ["x" * 999] * 1000, "more than 900000 bytes"),
    ("objects", "labels", [{"a": 1}], "no text"),
    ("a size of terabytes", "inputSize", [3, 10**9, 10**9], "8 to 4096"),
    ("a size of nothing", "inputSize", [0, 224], "8 to 4096"),
    ("a size in fractions", "inputSize", [224.5, 224], "8 to 4096"),
    ("a yes for a size", "inputSize", True, "8 to 4096"),
    ("four sizes", "inputSize", [1, 3, 224, 224], "8 to 4096"),
    ("not a number", "mean", [float("nan")] * 3, "0 to 255"),
    ("infinity", "std", [float("inf")] * 3, "0.001 to 65504"),
    ("division by nothing", "std", [0, 0, 0], "0.001 to 65504"),
    ("text", "mean", "'; drop", "0 to 255"),
    ("two colours", "mean", [1, 2], "three colours"),
    ("a part above one", "cropPct", 4, "0.1 to 1"),
    ("a part of nothing", "cropPct", 0, "0.1 to 1"),
    ("an unknown filter", "interpolation", "random", "none of Nearest"),
    ("a filter that no Pillow has", "interpolation", 17, "none of Nearest"),
    ("neither yes nor no", "swapRedBlue", "yes", "neither true nor false"),
]


@pytest.mark.parametrize(("reason", "key", "value", "want"), BAD, ids=[row[0] for row in BAD])
def test_what_cannot_be_used_is_left_out_and_said(
    reason: str, key: str, value: Any, want: str | None
) -> None:
    other = {"inputSize": 32} if key == "cropPct" else {"cropPct": 0.5}
    facts, notes = parse_facts({key: value, **other}, source="config.json")
    if want is None:
        assert (notes, facts.labels) == ([], ("a b", "c")), "white space of any kind is a blank"
        return
    assert len(notes) == 1, reason
    assert notes[0].startswith(f"config.json: ignored {key} ("), reason
    assert want in notes[0], reason
    assert facts.crop_pct == 0.5 or facts.input_size == (32, 32), "the rest still counts"


def test_mean_and_std_belong_together() -> None:
    facts, notes = parse_facts({"mean": [1, 2, 3], "std": [5]}, source="f")
    assert facts.is_empty
    assert notes == ["f: ignored mean and std (not as many of each)"]
    facts, notes = parse_facts({"mean": [1, 2, 3], "std": [0, 0, 0]}, source="f")
    assert facts.is_empty, "a mean without its deviation would scale wrongly"


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff\xfe", b"{", b"[" * 100_000, b"null"])
def test_what_is_no_object_says_nothing(text: bytes) -> None:
    facts, notes = read_config_file("config.json", text)
    assert facts.is_empty
    assert notes == ["config.json is not a JSON object: ignored"]


METADATA: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("none", {}, {}),
    ("of an Ultralytics classifier",
     {"task": "classify", "names": "{0: 'cat', 1: 'dog'}", "imgsz": "[224, 224]", "stride": "1"},
     {"labels": ("cat", "dog"), "input_size": (224, 224)}),
    ("JSON", {"labels": '["cat", "dog"]', "mean": "[0.485, 0.456, 0.406]",
              "std": "[0.229, 0.224, 0.225]", "crop_pct": "0.875", "interpolation": "bicubic"},
     {"labels": ("cat", "dog"), "mean": MEAN, "std": STD, "crop_pct": 0.875,
      "interpolation": "Bicubic"}),
    ("lines", {"class_labels": "cat\ndog\n"}, {"labels": ("cat", "dog")}),
    ("commas", {"Classes": "cat, dog", "mean": "104,117,123", "std": "1,1,1"},
     {"labels": ("cat", "dog"), "mean": (104.0, 117.0, 123.0), "std": (1.0, 1.0, 1.0)}),
    ("a scale that could be either", {"mean": "[0, 0, 0]", "std": "[1, 1, 1]"}, {}),
    ("the ONNX page's keys, in any case",
     {"image.bitmapPixelFormat": "BGR8", "Image.NominalPixelRange": "Normalized_1_1"},
     {"swap_red_blue": True, "mean": (127.5,), "std": (127.5,)}),
    ("bytes", {"Image.NominalPixelRange": "NominalRange_0_255"}, {"mean": (0.0,), "std": (1.0,)}),
    ("an unknown range", {"Image.NominalPixelRange": "NominalRange_16_235"}, {}),
    ("what is not for us", {"producer": "x", "config": "{}"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "said", "want"), METADATA, ids=[row[0] for row in METADATA])
def test_metadata_of_an_onnx(reason: str, said: dict[str, str], want: dict[str, Any]) -> None:
    facts, notes = read_metadata(said)
    assert (facts, notes) == (PublisherFacts(source="the ONNX file's metadata", **want), []), reason


def test_metadata_is_never_run() -> None:
    facts, notes = read_metadata({"labels": "__import__('os').abort()", "mean": "9**9**9"})
    assert facts.labels == ("__import__('os').abort()",)
    assert len(notes) == 1


MMCLS_CONFIG = """
_base_ = ['x.py']
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
model = dict(type='ImageClassifier', backbone=dict(type='ResNet', depth=50))
"""
META: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("mmcls", {"CLASSES": ("cat", "dog"), "config": MMCLS_CONFIG, "epoch": 100},
     {"labels": ("cat", "dog"), "mean": MEAN, "std": STD, "swap_red_blue": False}),
    ("mmpretrain", {"dataset_meta": {"classes": ["cat", "dog"]},
                    "cfg": "data_preprocessor = {'mean': [104, 117, 123], 'std': [1, 1, 1]}"},
     {"labels": ("cat", "dog"), "mean": (104.0, 117.0, 123.0), "std": (1.0, 1.0, 1.0),
      "swap_red_blue": True}),
    ("a configuration that is no Python", {"CLASSES": ["a"], "config": "dict("},
     {"labels": ("a",)}),
    ("code instead of numbers",
     {"config": "img_norm_cfg = dict(mean=exit(), std=[1.0, 1.0, 1.0])"}, {}),
    ("nothing", {"epoch": 3}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "meta", "want"), META, ids=[row[0] for row in META])
def test_meta_of_a_checkpoint(reason: str, meta: dict[str, Any], want: dict[str, Any]) -> None:
    facts, _ = read_meta(meta)
    assert facts == PublisherFacts(source="the checkpoint's meta", **want), reason


def test_the_first_that_says_it_counts() -> None:
    first = PublisherFacts(source="a", labels=("cat",), mean=(1.0,), std=(2.0,))
    then = PublisherFacts(source="b", labels=("dog",), mean=(3.0,), std=(4.0,), crop_pct=0.9)
    assert merge([NOTHING, first, then]) == PublisherFacts(
        source="a: labels, mean, std; b: crop",
        labels=("cat",), mean=(1.0,), std=(2.0,), crop_pct=0.9,
    )  # fmt: skip
    assert merge([]) == NOTHING
    assert merge([PublisherFacts(source="a"), then]) is then


@pytest.mark.parametrize("reason", ["with labels", "without"])
def test_what_is_handed_on_is_read_as_it_was(reason: str) -> None:
    facts, _ = read_config_file("config.json", json.dumps(TIMM | RESNET_50).encode())
    with_labels = reason == "with labels"
    text = json.dumps(facts.with_labels() if with_labels else facts.to_json())
    again, notes = parse_facts(json.loads(text), source=facts.source)
    assert notes == []
    assert (again == facts) is with_labels
    assert again.mean == MEAN
