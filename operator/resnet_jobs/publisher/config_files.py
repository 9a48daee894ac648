"""What a hub's own files say: timm's config.json, transformers' config.json and its
preprocessor_config.json. Pure; `fetch` brings the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from resnet_jobs.publisher.facts import PublisherFacts, parse_facts

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
FILES = (CONFIG, PREPROCESSOR)
MOST_BYTES = 8 * 2**20
SQUASHED_FROM = 384  # from this size on ConvNextImageProcessor cuts nothing out


def read_config_file(name: str, text: bytes) -> tuple[PublisherFacts, list[str]]:
    """(facts, notes) of one of FILES; what is no JSON object says nothing."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return PublisherFacts(source=name), [f"{name} is not a JSON object: ignored"]
    said = _preprocessor(value) if name == PREPROCESSOR else _config(value)
    return parse_facts(said, source=name)


def _config(value: Mapping[str, Any]) -> dict[str, Any]:
    """Timm has a block of its own, which older files have at the top; transformers has labels."""
    block = value.get("pretrained_cfg")
    of_timm = block if isinstance(block, dict) else value if "architecture" in value else {}
    centred = of_timm.get("crop_mode", "center") == "center"
    said = {
        "labels": value.get("id2label") or _timm_labels(value, of_timm),
        "inputSize": of_timm.get("input_size", value.get("image_size")),
        "mean": scaled(of_timm.get("mean"), 255.0),
        "std": scaled(of_timm.get("std"), 255.0),
        "cropPct": of_timm.get("crop_pct") if centred else None,
        "interpolation": of_timm.get("interpolation"),
    }
    return {key: item for key, item in said.items() if item is not None}


def _timm_labels(value: Mapping[str, Any], of_timm: Mapping[str, Any]) -> Any:
    """Names, or what they mean where the file tells that: "n01440764" says little."""
    names = value.get("label_names", of_timm.get("label_names"))
    meanings = value.get("label_descriptions", of_timm.get("label_descriptions"))
    if isinstance(names, list) and isinstance(meanings, dict):
        return [meanings.get(name, name) if isinstance(name, str) else name for name in names]
    return names


def _preprocessor(value: Mapping[str, Any]) -> dict[str, Any]:
    factor = value.get("rescale_factor", 1 / 255) if value.get("do_rescale", True) else 1.0
    usable = isinstance(factor, (int, float)) and not isinstance(factor, bool) and factor > 0
    scale = 1 / factor if usable else 255.0
    normalises = value.get("do_normalize", True) is not False
    said = {
        "mean": scaled(value.get("image_mean"), scale) if normalises else [0.0],
        "std": scaled(value.get("image_std"), scale) if normalises else [scale],
        "swapRedBlue": value.get("do_flip_channel_order"),
        "interpolation": value.get("resample") if value.get("do_resize", True) else None,
        **_framing(value),
    }
    return {key: item for key, item in said.items() if item is not None}


def _framing(value: Mapping[str, Any]) -> dict[str, Any]:
    """Size and crop: cut out of a larger picture, or by the rule of ConvNext and ResNet."""
    whole, cut = _sides(value.get("size")), _sides(value.get("crop_size"))
    if cut is not None and value.get("do_center_crop", True):
        short = whole and min(whole)
        return {"inputSize": cut, "cropPct": min(cut) / short if short else None}
    if whole is None:
        return {}
    part = value.get("crop_pct")
    cuts = part is not None and min(whole) < SQUASHED_FROM
    return {"inputSize": whole, "cropPct": part if cuts else 1.0}


def _sides(value: object) -> list[int] | None:
    if isinstance(value, Mapping):
        edge = value.get("shortest_edge")
        value = [value.get("height"), value.get("width")] if edge is None else [edge, edge]
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value, value]
    usable = isinstance(value, list) and all(type(side) is int and side > 0 for side in value)
    return value if usable and isinstance(value, list) and len(value) == 2 else None


def scaled(value: object, factor: float) -> Any:
    """Numbers on the scale 0..255; what is no list of numbers is passed on, to be refused."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value * factor
    if not isinstance(value, (list, tuple)):
        return value
    return [item * factor if isinstance(item, (int, float)) else item for item in value]
