"""A pipeline's Python steps: one bad picture is one error, and a poor image shows at load."""

from __future__ import annotations

import builtins
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.unit.resnet_runtime.stub import Config, Request, Tensor, TritonModelException, request

from resnet_runtime import picture_model, softmax_model
from resnet_runtime.picture_steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    Message = Callable[[], dict[str, Any]]

PARAMETERS = {
    "decode": "Auto",
    "height": "8",
    "width": "6",
    "layout": "NCHW",
    "interpolation": "Bicubic",
    "mean": "10.5,20.0,30.0",
    "std": "2.0,4.0,8.0",
    "short_side": "12",
    "max_pixels": "10000",
    "max_bytes": "100000",
    "threads": "2",
}
STEPS = Steps(
    height=8,
    width=6,
    short_side=12,
    layout="NCHW",
    scaled=True,
    interpolation="Bicubic",
    mean=(10.5, 20.0, 30.0),
    std=(2.0, 4.0, 8.0),
    max_pixels=10000,
    max_bytes=100000,
)


class Encoded(Tensor):
    """A BYTES tensor, which has no DLPack and is read as Triton's objects."""

    def __init__(self, *elements: bytes) -> None:
        self._name = "picture"
        self._elements = elements

    def as_numpy(self) -> Any:
        array = np.empty((len(self._elements), 1), dtype=np.object_)
        array[:, 0] = self._elements
        return array


def picture(seed: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (14, 17, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def load(dims: tuple[int, ...] = (3, 8, 6), data_type: str = "TYPE_FP32", **changes: str) -> Any:
    config = Config(
        inputs={"picture": ("TYPE_STRING", [1])},
        outputs={"input": (data_type, list(dims))},
        max_batch_size=4,
        parameters={**PARAMETERS, **changes},
    )
    model = picture_model.TritonPythonModel()
    model.initialize(config.args())
    return model


def test_each_request_gets_its_own_rows_in_order() -> None:
    model = load()
    asked = [[1], [2, 3, 4], [5]]
    answers = model.execute(
        [Request([Encoded(*(picture(seed) for seed in seeds))]) for seeds in asked]
    )
    for seeds, answer in zip(asked, answers, strict=True):
        want = np.stack([STEPS.apply(picture(seed)) for seed in seeds])
        assert answer.values["input"].dtype == np.float32
        np.testing.assert_array_equal(answer.values["input"], want)
    model.finalize()


def test_one_bad_picture_spoils_its_own_request_only() -> None:
    model = load()
    good, bad = picture(1), b"no picture"
    answers = model.execute(
        [
            Request([Encoded(good)]),
            Request([Encoded(bad)]),
            Request([Encoded(good, bad, good)]),
            Request([Encoded(*[good] * 5)]),
            Request([]),
            Request([Encoded(good, good)]),
        ]
    )
    said = [answer.error.message if answer.error else None for answer in answers]
    assert said == [
        None,
        "picture: no picture of the kind JPEG or PNG",
        "picture 2 of 3: no picture of the kind JPEG or PNG",
        "batch size 5 is not within 1..4",
        "input picture is missing",
        None,
    ]
    assert {answer.error.code for answer in answers if answer.error} == {"INVALID_ARG"}
    assert answers[5].values["input"].shape == (2, 3, 8, 6)


@pytest.mark.parametrize(
    ("dims", "data_type", "changes", "dtype"),
    [
        ((8, 6, 3), "TYPE_UINT8", {"layout": "NHWC"}, np.uint8),
        ((12, 6, 1), "TYPE_UINT8", {"layout": "NHWC", "pixel_format": "YUV420SP"}, np.uint8),
        ((8, 6, 3), "TYPE_FP16", {"layout": "NHWC"}, np.float16),
        ((3, 8, 6), "TYPE_FP32", {"swap_red_blue": "true", "decode": "PNG"}, np.float32),
    ],
)
def test_what_the_model_behind_it_declares_is_made(
    dims: tuple[int, ...], data_type: str, changes: dict[str, str], dtype: Any
) -> None:
    (answer,) = load(dims, data_type, **changes).execute([Request([Encoded(picture(1))])])
    assert answer.values["input"].shape == (1, *dims)
    assert answer.values["input"].dtype == dtype


def test_an_image_without_pillow_is_named(
    left_behind: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "PIL":
            raise ImportError("No module named 'PIL'")
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TritonModelException, match="has no Pillow"):
        load()
    assert left_behind()["reason"] == "ModelLoadFailed"
    assert "has no Pillow" in left_behind()["message"]


def test_a_kind_that_pillow_cannot_handle_is_named(
    left_behind: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_encoder(*arguments: Any, **options: Any) -> None:
        raise OSError("encoder jpeg not available")

    monkeypatch.setattr(Image.Image, "save", no_encoder)
    with pytest.raises(TritonModelException, match="cannot handle JPEG: encoder jpeg not"):
        load()
    assert left_behind()["reason"] == "ModelLoadFailed"


def test_steps_that_make_another_shape_do_not_load(left_behind: Message) -> None:
    with pytest.raises(TritonModelException, match=r"the steps make \[3, 8, 6\]"):
        load(dims=(3, 8, 8))
    assert left_behind()["reason"] == "ModelLoadFailed"


def test_softmax_sums_to_one_and_survives_large_scores() -> None:
    model = softmax_model.TritonPythonModel()
    scores = {"logits": ("TYPE_FP32", [3])}
    model.initialize(Config(inputs=scores, outputs=scores).args())
    rows = np.array([[1, 2, 3], [1000, 0, -1000], [5, 5, 5]], np.float32)
    first, second = model.execute([request(logits=rows[:2]), request(logits=rows[2:])])
    want = np.exp([1.0, 2, 3]) / np.exp([1.0, 2, 3]).sum()
    np.testing.assert_allclose(first.values["logits"], [want, [1, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(second.values["logits"], [[1 / 3] * 3], rtol=1e-6)
    assert first.values["logits"].dtype == np.float32
