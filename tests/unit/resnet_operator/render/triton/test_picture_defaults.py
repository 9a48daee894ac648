"""What `serving.pipeline` leaves out comes from the publisher, and what it says stays."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import a_settings, an_artifact, resolved, tensor

from resnet_operator.plan.artifact.contract import settle
from resnet_operator.record.publisher import PublishedLabels, Publisher
from resnet_operator.render.triton.pipeline import pipeline_configs
from resnet_operator.resolve.declared import declared_digest

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
TIMM = Publisher(
    source="config.json", input_size=(224, 224), mean=MEAN, std=STD, crop_pct=0.95,
    interpolation="Bicubic",
)  # fmt: skip
AIPP = {"preprocessing": {"pixelFormat": "RGB888", "source": {"height": 224, "width": 224}}}
BYTES = tensor("input", 224, 224, 3, data_type="UINT8")


def publisher(**changes: Any) -> Publisher:
    fields = {name: getattr(TIMM, name) for name in TIMM.__dataclass_fields__}
    return Publisher(**(fields | changes))


def filled(pipeline: dict[str, Any], said: Publisher, **more: Any) -> dict[str, Any]:
    artifact = an_artifact(publisher=said, inputs=(more.pop("input", tensor("x", 3, 224, 224)),))
    spec = resolved({"serving": {"pipeline": pipeline}, **more})
    found = settle(spec, artifact).spec.serving.pipeline
    assert found is not None
    return found.model_dump(mode="json", exclude_none=True)


ALL = {
    "mean": list(MEAN), "std": list(STD), "resize_short_side": 235, "interpolation": "Bicubic",
}  # fmt: skip
OWN = {"mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0]}
CASES: list[tuple[str, dict[str, Any], Publisher, dict[str, Any], dict[str, Any]]] = [
    ("all of it", {}, TIMM, {}, ALL),
    ("one number for all colours", {}, publisher(mean=(127.5,), std=(127.5,)), {},
     ALL | {"mean": [127.5], "std": [127.5]}),
    ("mean and std go together", {"mean": [1]}, TIMM, {},
     {"mean": [1.0], "resize_short_side": 235, "interpolation": "Bicubic"}),
    ("what the object says stays", {**OWN, "interpolation": "Nearest", "resizeShortSide": 300},
     TIMM, {}, OWN | {"interpolation": "Nearest", "resize_short_side": 300}),
    ("BGR", {}, publisher(swap_red_blue=True), {}, ALL | {"swap_red_blue": True}),
    ("RGB against the publisher's word", {"swapRedBlue": False}, publisher(swap_red_blue=True), {},
     ALL | {"swap_red_blue": False}),
    ("torchvision's 256 of 224", {}, publisher(crop_pct=0.875), {},
     ALL | {"resize_short_side": 256}),
    ("a part that has no end in binary", {}, publisher(crop_pct=0.965518), {},
     ALL | {"resize_short_side": 232}),
    ("nothing is cut out", {}, publisher(crop_pct=1.0), {},
     {k: v for k, v in ALL.items() if k != "resize_short_side"}),
    ("a network of another size", {}, TIMM, {"input": tensor("x", 3, 288, 288)},
     ALL | {"resize_short_side": 303}),
    ("not square: no one knows which side is meant", {}, TIMM, {"input": tensor("x", 3, 224, 160)},
     {k: v for k, v in ALL.items() if k != "resize_short_side"}),
    ("more pixels than are allowed", {}, publisher(crop_pct=0.1),
     {"input": tensor("x", 3, 2048, 2048)},
     {k: v for k, v in ALL.items() if k != "resize_short_side"}),
    ("AIPP scales, but frames nothing", {}, TIMM, {"input": BYTES, "conversion": AIPP},
     {"resize_short_side": 235, "interpolation": "Bicubic"}),
    ("AIPP that cuts by itself", {}, publisher(crop_pct=0.875), {
        "input": tensor("input", 256, 256, 3, data_type="UINT8"),
        "conversion": {"preprocessing": {"pixelFormat": "RGB888",
                                         "source": {"height": 256, "width": 256}}}},
     {"interpolation": "Bicubic"}),
    ("a network that scales by itself", {}, TIMM,
     {"input": tensor("x", 3, 224, 224, data_type="UINT8")},
     {"resize_short_side": 235, "interpolation": "Bicubic"}),
    ("a publisher that only has labels", OWN,
     Publisher(source="f", labels=PublishedLabels(5, "a" * 64, 9)), {}, OWN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "pipeline", "said", "more", "want"), CASES, ids=[row[0] for row in CASES]
)
def test_gaps_are_filled(
    reason: str,
    pipeline: dict[str, Any],
    said: Publisher,
    more: dict[str, Any],
    want: dict[str, Any],
) -> None:
    assert filled(pipeline, said, **more) == want, reason


def test_no_pipeline_is_made_up() -> None:
    spec = resolved()
    assert settle(spec, an_artifact(publisher=TIMM)) is spec


def test_the_server_is_told() -> None:
    artifact = an_artifact(publisher=TIMM, inputs=(tensor("x", 3, 224, 224),))
    spec = settle(resolved({"serving": {"pipeline": {}}}), artifact)
    text = pipeline_configs(resolved=spec, artifact=artifact)["preprocess.pbtxt"]
    for value in ("Bicubic", "235", "123.675,116.28,103.53"):
        assert f'string_value: "{value}"' in text


def test_a_revision_is_named_after_what_it_was_given() -> None:
    def name(said: Publisher | None, pipeline: dict[str, Any] | None = None) -> str:
        artifact = an_artifact(publisher=said, inputs=(tensor("x", 3, 224, 224),))
        spec = settle(resolved({"serving": {"pipeline": pipeline or {}}}), artifact)
        return declared_digest(
            resolved=spec, artifact_sha256=artifact.sha256, labels=None, settings=a_settings()
        )

    assert name(TIMM) == name(TIMM)
    assert name(TIMM) != name(publisher(std=(1.0, 1.0, 1.0)))
    assert name(None, OWN) == name(Publisher(source="f"), OWN)
