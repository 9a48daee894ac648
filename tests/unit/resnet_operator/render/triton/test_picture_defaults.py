"""What `serving.pipeline` leaves out comes from the publisher, and what it says stays."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import a_settings, an_artifact, resolved, tensor

from resnet_contract.address import parse_source
from resnet_contract.report.publisher import PublishedLabels
from resnet_contract.words import Interpolation
from resnet_operator.plan.artifact.contract import settle
from resnet_operator.record.measurement import validation_key
from resnet_operator.record.publisher import Publisher
from resnet_operator.render.triton.picture_defaults import pictures_of_gate
from resnet_operator.render.triton.pipeline import pipeline_configs
from resnet_operator.render.validation import evaluation_spec
from resnet_operator.resolve.declared import declared_digest

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
TIMM = Publisher(
    source="config.json", input_size=(224, 224), mean=MEAN, std=STD, crop_pct=0.95,
    interpolation=Interpolation.BICUBIC,
)  # fmt: skip
AIPP: dict[str, dict[str, Any]] = {
    "preprocessing": {"pixelFormat": "RGB888", "source": {"height": 224, "width": 224}}
}
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
    ("mean and std go together", {"mean": [2]}, TIMM, {},
     {"mean": [2.0], "resize_short_side": 235, "interpolation": "Bicubic"}),
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


FLOATS = tensor("x", 3, 224, 224)
SAID = {"mean": list(MEAN), "std": list(STD), "resizeShortSide": 235, "interpolation": "Bicubic"}
SCALE = {"mean": list(MEAN), "std": list(STD)}
FRAME = {"resizeShortSide": 235, "interpolation": "Bicubic"}
GATES: list[tuple[str, dict[str, Any], Publisher | None, Any, dict[str, Any]]] = [
    ("a network of floats", {}, TIMM, FLOATS, {"pictures": SAID}),
    ("the pipeline's words stay", {"serving": {"pipeline": {**OWN, "resizeShortSide": 300}}}, TIMM,
     FLOATS, {"pictures": OWN | {"resizeShortSide": 300, "interpolation": "Bicubic"}}),
    ("a pipeline alone", {"serving": {"pipeline": OWN}}, None, FLOATS, {"pictures": OWN}),
    ("nobody says it", {}, None, FLOATS, {}),
    ("nobody says the scale", {}, publisher(mean=(), std=()), FLOATS, {}),
    ("a network that scales by itself", {}, TIMM, tensor("x", 3, 224, 224, data_type="UINT8"), {}),
    ("AIPP", {"conversion": AIPP}, TIMM, BYTES, {"preprocessing": SCALE | FRAME}),
    ("AIPP of an object that says it",
     {"conversion": {"preprocessing": AIPP["preprocessing"] | {"mean": [1, 2, 3]}}}, TIMM, BYTES,
     {"preprocessing": FRAME}),
    ("AIPP of grey pictures",
     {"conversion": {"preprocessing": AIPP["preprocessing"] | {"pixelFormat": "YUV400"}}},
     publisher(mean=(127.5,), std=(127.5,)), tensor("input", 224, 224, 1, data_type="UINT8"),
     {"preprocessing": {"mean": [127.5], "std": [127.5]} | FRAME}),
    ("AIPP of blue first", {"conversion": AIPP}, publisher(swap_red_blue=True), BYTES,
     {"preprocessing": SCALE | {"swapRedBlue": True} | FRAME}),
    ("AIPP without a publisher", {"conversion": AIPP}, None, BYTES, {}),
    ("a raw text", {"conversion": {"preprocessing": {"rawAIPP": "aipp_op {}"}}}, TIMM, BYTES, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "spec", "said", "served", "want"), GATES, ids=[row[0] for row in GATES]
)
def test_the_gate_makes_pictures_as_what_serves_does(
    reason: str, spec: dict[str, Any], said: Publisher | None, served: Any, want: dict[str, Any]
) -> None:
    artifact = an_artifact(publisher=said, inputs=(served,))
    assert pictures_of_gate(resolved(spec), artifact) == want, reason


GATE = {"validation": {"dataset": {"uri": "pvc://d/t", "format": "ImageFolder"},
                       "thresholds": {"minTop1": "0.5"}}}  # fmt: skip


def order_of(spec: dict[str, Any], **facts: Any) -> dict[str, Any]:
    made = resolved({**GATE, **spec})
    asked = made.spec.validation
    assert asked is not None
    return evaluation_spec(
        namespace="models",
        resolved=made,
        artifact=an_artifact(**facts),
        asked=asked,
        validation="ab" * 32,
        settings=a_settings(),
    )


def test_the_objects_preprocessing_stays_in_the_gates_order() -> None:
    one = AIPP["preprocessing"] | {"mean": [78], "std": [70]}
    order = order_of({"conversion": {"preprocessing": one}}, publisher=TIMM, inputs=(BYTES,))
    assert order["preprocessing"] == one | {"mean": [78, 78, 78], "std": [70, 70, 70]} | FRAME


COMMIT = "0123456789abcdef0123456789abcdef01234567"
PLACES = [
    ("hf://timm/resnet50.a1_in1k", f"hf://timm/resnet50.a1_in1k@{COMMIT}/onnx/model.onnx"),
    ("hf://timm/resnet50.a1_in1k@main", f"hf://timm/resnet50.a1_in1k@{COMMIT}/onnx/model.onnx"),
    ("hf://o/n@refs%2Fpr%2F1/onnx/model.onnx", f"hf://o/n@{COMMIT}/onnx/model.onnx"),
    ("hf://o/n/onnx/model.onnx@refs/pr/1", f"hf://o/n@{COMMIT}/onnx/model.onnx"),
    ("modelscope://o/n", f"modelscope://o/n@{COMMIT}/onnx/model.onnx"),
    ("hf://datasets/o/n/m.onnx", f"hf://datasets/o/n@{COMMIT}/onnx/model.onnx"),
]


@pytest.mark.parametrize(("uri", "want"), PLACES, ids=[row[0] for row in PLACES])
def test_the_gates_reference_is_the_very_file(uri: str, want: str) -> None:
    spec = {"model": {"uri": uri, "format": "ONNX"}}
    found = {"source_file": "onnx/model.onnx", "source_revision": COMMIT}
    assert order_of(spec, **found)["uri"] == want
    assert parse_source(want).revision == COMMIT
    assert order_of(spec)["uri"] == uri, "not of a record that knows no commit"


def test_numbers_of_other_pictures_are_other_numbers() -> None:
    def key(said: Publisher | None, kind: str = "ImageFolder", **more: Any) -> str:
        dataset = {"uri": "pvc://d/t", "format": kind}
        made = resolved({**more, "validation": GATE["validation"] | {"dataset": dataset}})
        artifact = an_artifact(publisher=said, inputs=(FLOATS,))
        assert made.spec.validation is not None
        return validation_key(
            validation=made.spec.validation,
            artifact=artifact,
            uid="u",
            refetch=None,
            pictures=pictures_of_gate(made, artifact),
        )

    assert key(TIMM) == key(TIMM) != key(publisher(std=(1.0, 1.0, 1.0)))
    assert key(TIMM) != key(None)
    own = {"serving": {"pipeline": OWN}}
    assert key(None, "Npy", **own) == key(None, "Npy"), "as before: floats go in as they are"
