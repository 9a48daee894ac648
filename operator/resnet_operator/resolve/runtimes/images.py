"""Which image each container has: the object's own, else the settings'; without either a sentence.

Called by `resolve`; `render` asks for the pull secrets. Pure.
"""

from __future__ import annotations

from resnet_contract.words import ModelFormat
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.spec import Conversion, ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.runtimes.rows import ROWS
from resnet_operator.settings.operator import Settings, by_longest_prefix


def converter_image(spec: ResNetServiceSpec, settings: Settings) -> str:
    chip = spec.accelerator.chip
    image = (spec.conversion and spec.conversion.image) or by_longest_prefix(
        settings.converter_images, chip
    )
    if not image:
        raise InvalidSpec(
            f"no CANN image is set for chip {chip}; set conversion.image, "
            "or images.converter in the operator's settings"
        )
    return image


def amct_image(conversion: Conversion | None, settings: Settings) -> str | None:
    if conversion is None or conversion.quantization is None:
        return None
    image = conversion.quantization.image or settings.amct_image
    if not image:
        raise InvalidSpec(
            "no image with amct_onnx is set, and none is public; set "
            "conversion.quantization.image, or images.amct in the operator's settings"
        )
    return image


def export_image(model_format: ModelFormat, settings: Settings, runtime: Runtime) -> str | None:
    if model_format is not ModelFormat.TORCH_SCRIPT or not ROWS[runtime].converts:
        return None
    if not settings.export_image:
        raise InvalidSpec(
            f"format {model_format} needs an image with torch; set images.export in the "
            "operator's settings, or bring an ONNX file"
        )
    return settings.export_image


def fetch_image(settings: Settings) -> str:
    """Return the image of fetch, publish and the init container of serving pods."""
    return settings.fetch_image or settings.jobs_image


def serving_image(spec: ResNetServiceSpec, settings: Settings, runtime: str) -> str:
    image = spec.serving.image or settings.serving_images.get(runtime)
    if not image:
        raise InvalidSpec(
            f"no serving image is set for runtime {runtime}; set serving.image, "
            "or images.serving in the operator's settings"
        )
    return image


def pull_secrets(spec: ResNetServiceSpec, settings: Settings) -> list[dict[str, str]]:
    """Return those of the cluster and then the object's own, for all of its pods."""
    own = [item.name for item in spec.serving.image_pull_secrets or ()]
    return [{"name": name} for name in (*settings.image_pull_secrets, *own)]
