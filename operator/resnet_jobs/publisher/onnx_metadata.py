"""What an ONNX file says in its metadata_props: the keys of the ONNX project's own page on image
metadata, and those that exporters and training tools write. Pure.
"""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

from resnet_jobs.publisher.config_files import scaled
from resnet_jobs.publisher.facts import PublisherFacts, parse_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = "the ONNX file's metadata"
MOST_CHARACTERS = 2_000_000
# Lower-case keys, most telling first. The values are JSON, or Python's way to write the same.
KEYS = {
    "labels": ("labels", "class_labels", "id2label", "names", "class_names", "classes"),
    "inputSize": ("input_size", "imgsz", "image_size"),
    "mean": ("mean", "image_mean", "normalization_mean"),
    "std": ("std", "image_std", "normalization_std"),
    "cropPct": ("crop_pct",),
    "interpolation": ("interpolation",),
}
# (mean, std) on the scale 0..255 by Image.NominalPixelRange.
RANGES = {
    "nominalrange_0_255": (0.0, 1.0),
    "normalized_0_1": (0.0, 255.0),
    "normalized_1_1": (127.5, 127.5),
}
BLUE_FIRST = {"bgr8": True, "bgra8": True, "rgb8": False, "rgba8": False}


def read_metadata(properties: Mapping[str, str]) -> tuple[PublisherFacts, list[str]]:
    """(facts, notes) of a model's metadata_props."""
    lower = {key.lower(): text for key, text in properties.items() if len(text) < MOST_CHARACTERS}
    said: dict[str, Any] = {}
    for name, keys in KEYS.items():
        key = next((key for key in keys if key in lower), None)
        if key is not None:
            said[name] = _value(lower[key], is_list=name == "labels")
    _scale(said)
    nominal = RANGES.get(lower.get("image.nominalpixelrange", "").strip().lower())
    if nominal is not None and not {"mean", "std"} & said.keys():
        said["mean"], said["std"] = nominal
    order = lower.get("image.bitmappixelformat", "").strip().lower()
    if order in BLUE_FIRST:
        said["swapRedBlue"] = BLUE_FIRST[order]
    return parse_facts(said, source=SOURCE)


def _scale(said: dict[str, Any]) -> None:
    """Brings mean and std to 0..255. A mean of 0 with a std of 1 could be of either scale."""
    if "mean" not in said or "std" not in said:
        return
    mean, std = _largest(said["mean"]), _largest(said["std"])
    if (mean, std) == (0, 1):
        del said["mean"], said["std"]
    elif max(mean, std) <= 1:
        for name in ("mean", "std"):
            said[name] = scaled(said[name], 255.0)


def _value(text: str, *, is_list: bool) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    if is_list:
        separator = "\n" if "\n" in text.strip() else ","
        return [part.strip() for part in text.strip().split(separator)]
    numbers = text.split(",")
    try:
        return [float(number) for number in numbers]
    except ValueError:
        return text


def _largest(value: object) -> float:
    items = value if isinstance(value, (list, tuple)) else [value]
    return max((abs(n) for n in items if isinstance(n, (int, float))), default=256.0)
