"""The optional blocks of the order: formats, preprocessing, quantization, dataset.

Called by `order.parse_order`. What a block may hold by itself is checked here; what needs the model
is checked by `prepare`.
"""

from __future__ import annotations

import re
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from resnet_contract.address import parse_source
from resnet_contract.fields import Fields, invalid, is_positive, sha256
from resnet_contract.networks import Architecture, Stem, Style
from resnet_contract.types import (
    Calibration,
    Crop,
    DeclaredTensor,
    Pictures,
    Preprocessing,
    PyTorch,
    Quantization,
    ServedModel,
)
from resnet_contract.words import (
    CONFIG_FILES,
    DATA_TYPES,
    DEFAULT_CALIBRATION_BATCHES,
    DEFAULT_CALIBRATION_FORMAT,
    DEFAULT_INTERPOLATION,
    LAYOUTS,
    MAX_SIDE,
    MIN_WIDTH,
    MOST_CALIBRATION_BATCHES,
    MOST_CLASSES,
    CalibrationFormat,
    Interpolation,
    PixelFormat,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def parse_pytorch(fields: Fields) -> PyTorch:
    return PyTorch(
        architecture=fields.choice("architecture", tuple(Architecture)),
        classes=fields.whole("classes", maximum=MOST_CLASSES),
        checkpoint_key=fields.text("checkpointKey"),
        strip_prefix=fields.text("stripPrefix"),
        style=fields.choice("style", tuple(Style)),
        stem=fields.choice("stem", tuple(Stem)),
    )


def parse_preprocessing(fields: Fields) -> Preprocessing:
    structured = ("pixelFormat", "source", "crop", "mean", "std", "swapRedBlue")
    fields.exclusive("rawAIPP", *structured)
    raw = fields.text("rawAIPP")
    if raw is not None:
        return Preprocessing("", 0, 0, None, (), (), swap_red_blue=False, raw_aipp=raw)
    pixel_format = fields.needed_choice("pixelFormat", tuple(PixelFormat))
    source = fields.child("source")
    if source is None:
        raise invalid(
            f"{fields.name('source')} is missing; write the size of the pictures that clients "
            "send, for example {height: 256, width: 256}"
        )
    height = source.needed_whole("height", maximum=MAX_SIDE)
    width = source.needed_whole("width", minimum=MIN_WIDTH, maximum=MAX_SIDE)
    crop = fields.block("crop", partial(_parse_crop, height=height, width=width))
    if pixel_format == "YUV420SP":
        _check_even(fields, crop, height=height, width=width)
    mean, std = _parse_normalisation(fields)
    return Preprocessing(
        pixel_format=pixel_format,
        source_height=height,
        source_width=width,
        crop=crop,
        mean=mean,
        std=std,
        swap_red_blue=fields.flag("swapRedBlue"),
        raw_aipp=None,
        short_side=fields.whole("resizeShortSide", maximum=MAX_SIDE),
        interpolation=fields.choice("interpolation", tuple(Interpolation)) or DEFAULT_INTERPOLATION,
        says_colours="swapRedBlue" in fields.values,
    )


def parse_pictures(fields: Fields) -> Pictures:
    """What the operator has decided for the gate: the object's pipeline, or the publisher's."""
    mean, std = _parse_normalisation(fields)
    return Pictures(
        mean=mean,
        std=std,
        swap_red_blue=fields.flag("swapRedBlue"),
        short_side=fields.whole("resizeShortSide", maximum=MAX_SIDE),
        interpolation=fields.choice("interpolation", tuple(Interpolation)) or DEFAULT_INTERPOLATION,
    )


def _parse_crop(fields: Fields, *, height: int, width: int) -> Crop:
    crop = Crop(
        top=fields.whole("top", minimum=0, maximum=MAX_SIDE),
        left=fields.whole("left", minimum=0, maximum=MAX_SIDE),
        height=fields.needed_whole("height", maximum=MAX_SIDE),
        width=fields.needed_whole("width", maximum=MAX_SIDE),
    )
    for side, origin, size, whole in (
        ("height", crop.top, crop.height, height),
        ("width", crop.left, crop.width, width),
    ):
        if (origin or 0) + size > whole:
            raise invalid(
                f"{fields.at} reaches {(origin or 0) + size} pixels in {side}, but "
                f"spec.conversion.preprocessing.source has {whole}: write a smaller crop"
            )
    return crop


def _check_even(fields: Fields, crop: Crop | None, *, height: int, width: int) -> None:
    numbers = {"source.height": height, "source.width": width}
    if crop is not None:
        numbers |= {"crop.top": crop.top or 0, "crop.left": crop.left or 0}
    odd = [f"{name} {number}" for name, number in numbers.items() if number % 2]
    if odd:
        raise invalid(
            f"{fields.at}: YUV420SP stores colour for 2x2 pixels, so {', '.join(odd)} must be even"
        )


def _parse_normalisation(fields: Fields) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, std = fields.numbers("mean"), fields.numbers("std")
    if mean and std and len(mean) != len(std):
        raise invalid(
            f"{fields.at}: mean has {len(mean)} numbers and std {len(std)}; write one of each for "
            "every channel"
        )
    if std and min(std) <= 0:
        raise invalid(f"{fields.name('std')} must be above 0: pictures are divided by it")
    fractions = {
        "mean": mean if 0 < max(mean, default=0) <= 1 else (),
        "std": std if max(std, default=1) < 1 else (),  # 1 itself means: do not scale
    }
    for name, values in fractions.items():
        if values:
            raise invalid(
                f"{fields.name(name)} {list(values)}: these look like 0..1; multiply by 255, AIPP "
                "computes with pixels of 0..255"
            )
    for name, values in (("mean", mean), ("std", std)):
        if values and not -255 <= min(values) <= max(values) <= 65504:
            raise invalid(f"{fields.name(name)} is far outside of 0..255, what pixels can be")
    return mean, std


def parse_quantization(fields: Fields) -> Quantization:
    fields.exclusive("rawConfig", "skipLayers", "jointQuantization")
    calibration = fields.child("calibration")
    if calibration is None:
        raise invalid(
            f"{fields.name('calibration')} is missing; write where pictures like those served lie, "
            "for example {uri: pvc://data/pictures.tar, format: Images, batches: 5}"
        )
    batches = calibration.whole("batches", maximum=MOST_CALIBRATION_BATCHES)
    return Quantization(
        calibration=Calibration(
            source=parse_source(calibration.values.get("uri"), field=calibration.name("uri")),
            sha256=sha256(calibration),
            format=calibration.choice("format", tuple(CalibrationFormat))
            or DEFAULT_CALIBRATION_FORMAT,
            batches=DEFAULT_CALIBRATION_BATCHES if batches is None else batches,
        ),
        skip_layers=fields.texts("skipLayers"),
        joint_quantization=fields.flag("jointQuantization"),
        raw_config=fields.text("rawConfig"),
    )


def parse_tensors(value: object, *, field: str) -> tuple[DeclaredTensor, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise invalid(f"{field} must be a list of tensors with name, dataType and dims")
    tensors = []
    for index, entry in enumerate(value):
        fields = Fields(entry, f"{field}[{index}]")
        dims = entry.get("dims")
        if not isinstance(dims, list) or not all(is_positive(number) for number in dims):
            raise invalid(
                f"{fields.name('dims')} must be positive whole numbers without the batch; write "
                "for example [3, 224, 224]"
            )
        name = fields.needed_text("name", "input")
        data_type = fields.needed_choice("dataType", DATA_TYPES)
        layout = fields.choice("layout", LAYOUTS)
        tensors.append(DeclaredTensor(name, data_type, tuple(dims), layout))
    return tuple(tensors)


def parse_served(fields: Fields) -> ServedModel:
    return ServedModel(
        name=fields.needed_text("name", "resnet50"),
        inputs=parse_tensors(fields.values.get("inputs"), field=fields.name("inputs")),
        outputs=parse_tensors(fields.values.get("outputs"), field=fields.name("outputs")),
        max_batch_size=fields.needed_whole("maxBatchSize"),
        artifact=sha256(fields, "artifact"),
    )


def parse_config_files(fields: Fields | None) -> Mapping[str, str]:
    """Texts by the names of CONFIG_FILES; an unknown name is refused."""
    files = {} if fields is None else {key: fields.text(key) for key in fields.values}
    for key in files:
        if key not in CONFIG_FILES:
            raise invalid(
                f'spec.conversion.configFiles "{key[:60]}" is not known; write one of '
                f"{', '.join(CONFIG_FILES)}"
            )
    return MappingProxyType({key: text for key, text in files.items() if text})


def parse_extra_args(fields: Fields | None) -> Mapping[str, str]:
    """Options by their names with the two dashes; `atc` knows which are allowed."""
    arguments = {}
    for name in {} if fields is None else fields.values:
        value = fields.text(name) if fields else None
        if not re.fullmatch(r"--[a-z][a-z0-9_]*", name) or value is None:
            raise invalid(
                f'spec.conversion.extraArgs "{name[:60]}" must be an option with its value; write '
                'for example {"--buffer_optimize": "off_optimize"}'
            )
        arguments[name] = value
    return MappingProxyType(arguments)
