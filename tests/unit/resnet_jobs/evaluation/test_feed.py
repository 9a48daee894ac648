"""feed.py: what becomes of a sample on its way to Triton, and on its way to the source model."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.unit.resnet_jobs.conftest import ORDER

from resnet_contract.order import parse_job
from resnet_contract.types import DeclaredTensor, Preprocessing, ServedModel
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.datasets.base import Dataset, Kind
from resnet_jobs.evaluation.feed import Feed, logits_output, picture_input
from resnet_jobs.pictures import decode_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

RGB = {"pixelFormat": "RGB888", "source": {"height": 6, "width": 8}}
SCALED = {**RGB, "mean": [10, 20, 30], "std": [2, 4, 5], "crop": {"height": 4, "width": 4}}


def how(**values: Any) -> Preprocessing:
    spec = parse_job(json.dumps({**ORDER, "preprocessing": values}))
    assert spec.preprocessing is not None
    return spec.preprocessing


def feed(
    dims: Sequence[int],
    data_type: str = "UINT8",
    *,
    preprocessing: dict[str, Any] | None = None,
    aipp: bool | None = None,
    hw: tuple[int, int] | None = (4, 4),
) -> Feed:
    return Feed(
        tensor=DeclaredTensor("input", data_type, tuple(dims)),
        aipp=preprocessing is not None if aipp is None else aipp,
        preprocessing=how(**preprocessing) if preprocessing else None,
        model_hw=hw,
    )


def one(kind: Kind, value: Any) -> Dataset:
    return Dataset(kind, names=("a.png",), labels=(0,), read=lambda _: value, files=())


def picture(height: int = 6, width: int = 8) -> Any:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 20, columns * 20, rows + columns], axis=-1).astype(np.uint8)


def png(pixels: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


PIXELS = picture()
CENTRE = PIXELS[1:5, 2:6]
SEEN = ((CENTRE - np.array([10.0, 20, 30])) / [2, 4, 5]).transpose(2, 0, 1)
TENSOR = np.random.default_rng(2).standard_normal((3, 4, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("feeding", "kind", "value", "sent", "seen", "reason"),
    [
        (
            feed((6, 8, 3), preprocessing=SCALED),
            Kind.ENCODED,
            png(PIXELS),
            PIXELS,
            SEEN,
            "bytes go to the chip, and AIPP's arithmetic to the source model",
        ),
        (
            feed((6, 8, 3), preprocessing=SCALED),
            Kind.PIXELS,
            PIXELS,
            PIXELS,
            SEEN,
            "the same from an array",
        ),
        (
            feed((6, 8, 3), preprocessing=SCALED),
            Kind.RAW,
            PIXELS.tobytes(),
            PIXELS,
            SEEN,
            "the same from the bytes that a client would send",
        ),
        (
            feed((6, 8, 4), preprocessing={**SCALED, "pixelFormat": "XRGB8888"}),
            Kind.PIXELS,
            PIXELS,
            np.concatenate([np.zeros((6, 8, 1), np.uint8), PIXELS], axis=-1),
            SEEN,
            "four bytes a pixel, the first of which nobody reads",
        ),
        (
            feed((3, 4, 4), "FP32"),
            Kind.TENSORS,
            TENSOR,
            TENSOR,
            TENSOR,
            "without AIPP both get the same floats [C, H, W]",
        ),
        (
            feed((3, 4, 4), "FP16"),
            Kind.TENSORS,
            TENSOR,
            TENSOR.astype(np.float16),
            TENSOR,
            "--input_fp16_nodes: the source model keeps its precision",
        ),
        (
            feed((3, 4, 4), "FP32"),
            Kind.RAW,
            TENSOR.tobytes(),
            TENSOR,
            TENSOR,
            "raw files of a float input",
        ),
        (
            feed((6, 8, 3)),
            Kind.PIXELS,
            PIXELS,
            PIXELS,
            PIXELS,
            "a network that takes bytes by itself",
        ),
        (
            feed((3, 6, 8)),
            Kind.PIXELS,
            PIXELS,
            PIXELS.transpose(2, 0, 1),
            PIXELS.transpose(2, 0, 1),
            "and one with the channels first",
        ),
    ],
)
def test_both_ways(
    feeding: Feed, kind: Kind, value: Any, sent: Any, seen: Any, reason: str
) -> None:
    dataset = one(kind, value)
    feeding.check(dataset, on_cpu=False)
    got_sent, got_seen = feeding.rows(dataset, 0)
    assert got_sent.shape == feeding.tensor.dims, reason
    assert got_sent.dtype == feeding.dtype, reason
    np.testing.assert_array_equal(got_sent, sent, reason)
    assert got_seen is not None, reason
    np.testing.assert_allclose(got_seen, seen, rtol=1e-6, err_msg=reason)
    assert got_sent.nbytes == feeding.sample_bytes
    assert feeding.knows_reference


def test_the_source_model_sees_what_nv12_leaves_of_the_colours() -> None:
    """Colours are shared by four pixels; the loss is the chip's as well, not an error of ours."""
    feeding = feed((9, 8, 1), preprocessing={**RGB, "pixelFormat": "YUV420SP"}, hw=(6, 8))
    sent, seen = feeding.rows(one(Kind.PIXELS, PIXELS), 0)
    assert sent.shape == (9, 8, 1)
    assert seen is not None
    np.testing.assert_array_equal(seen, decode_pixels(sent, "YUV420SP").transpose(2, 0, 1))
    again, same = feeding.rows(one(Kind.RAW, sent.tobytes()), 0)
    np.testing.assert_array_equal(again, sent)
    np.testing.assert_array_equal(same, seen, "a picture and its bytes are the same sample")


def test_grey_pictures_have_one_channel() -> None:
    feeding = feed((6, 8, 1), preprocessing={**RGB, "pixelFormat": "YUV400"}, hw=(6, 8))
    sent, seen = feeding.rows(one(Kind.PIXELS, PIXELS), 0)
    assert (sent.shape, seen.shape if seen is not None else None) == ((6, 8, 1), (1, 6, 8))


def test_with_a_text_that_fields_cannot_say_there_is_no_reference() -> None:
    feeding = feed((6, 8, 3), aipp=True)
    dataset = one(Kind.RAW, PIXELS.tobytes())
    feeding.check(dataset, on_cpu=False)
    sent, seen = feeding.rows(dataset, 0)
    np.testing.assert_array_equal(sent, PIXELS)
    assert seen is None
    assert not feeding.knows_reference


@pytest.mark.parametrize(
    ("feeding", "kind", "value", "on_cpu", "words", "reason"),
    [
        (
            feed((6, 8, 3), preprocessing=RGB),
            Kind.TENSORS,
            TENSOR,
            False,
            "the model takes UINT8 [6, 8, 3], the set has float tensors: bring pictures",
            "nobody takes the mean off twice",
        ),
        (
            feed((3, 8, 8), "FP32"),
            Kind.TENSORS,
            TENSOR,
            False,
            "the model takes FP32 [3, 8, 8], the set's samples are [3, 4, 4]",
            "tensors of another size",
        ),
        (
            feed((3, 4, 4), "FP32"),
            Kind.ENCODED,
            b"",
            False,
            "add spec.conversion.preprocessing, or bring the set as Npy floats or RawBin",
            "what becomes of a pixel is for the author to say",
        ),
        (
            feed((3, 4, 4), "FP32"),
            Kind.PIXELS,
            PIXELS,
            True,
            "nobody here knows what a pixel becomes: bring the set as Npy floats or RawBin",
            "on a CPU there is no preprocessing to write",
        ),
        (
            feed((6, 8, 3), aipp=True),
            Kind.PIXELS,
            PIXELS,
            False,
            "write the preprocessing as fields, or bring the set as RawBin",
            "a raw text that fields cannot say",
        ),
    ],
)
def test_a_set_that_cannot_feed_the_model_is_refused_at_once(
    feeding: Feed, kind: Kind, value: Any, on_cpu: bool, words: str, reason: str
) -> None:
    with pytest.raises(JobError) as caught:
        feeding.check(one(kind, value), on_cpu=on_cpu)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert words in caught.value.message, reason
    assert len(caught.value.message) <= 300, "a longer one would be cut"


@pytest.mark.parametrize(
    ("feeding", "kind", "value", "words"),
    [
        (
            feed((6, 8, 3), preprocessing=RGB),
            Kind.ENCODED,
            b"GIF?",
            "a.png: no picture of a known kind",
        ),
        (feed((6, 8, 3)), Kind.PIXELS, picture(4, 4), "a.png is [4, 4, 3]; the model takes"),
        (
            feed((3, 4, 4), "FP32"),
            Kind.TENSORS,
            TENSOR * np.float32(np.inf),
            "a.png holds NaN or infinity",
        ),
    ],
)
def test_a_bad_sample_is_named(feeding: Feed, kind: Kind, value: Any, words: str) -> None:
    with pytest.raises(JobError) as caught:
        feeding.rows(one(kind, value), 0)
    assert caught.value.message.startswith("spec.validation.dataset: ")
    assert words in caught.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    gone = Dataset(
        Kind.ENCODED, ("b.png",), (0,), read=lambda _: (tmp_path / "b").read_bytes(), files=()
    )
    with pytest.raises(JobError, match=r"b\.png: .*No such file"):
        feed((6, 8, 3), preprocessing=RGB).rows(gone, 0)


def served(inputs: list[tuple[str, tuple[int, ...]]], outputs: list[Any]) -> ServedModel:
    return ServedModel(
        name="m",
        inputs=tuple(DeclaredTensor(f"in{n}", *one) for n, one in enumerate(inputs)),
        outputs=tuple(DeclaredTensor(f"out{n}", *one) for n, one in enumerate(outputs)),
        max_batch_size=8,
    )


FP32_IN, SCORES = ("FP32", (3, 4, 4)), ("FP32", (10,))


def test_the_scores_are_the_first_output_with_one_number_a_class() -> None:
    model = served([FP32_IN], [("FP32", (2048, 7, 7)), ("INT64", (1,)), SCORES, SCORES])
    assert (picture_input(model).name, logits_output(model).name) == ("in0", "out2")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (served([FP32_IN, FP32_IN], [SCORES]), "in0 FP32, in1 FP32"),
        (served([("STRING", (1,))], [SCORES]), "in0 STRING"),
        (served([FP32_IN], [("FP32", (2048, 7, 7))]), "no output [N, classes]"),
    ],
)
def test_what_is_no_classifier_of_pictures(model: ServedModel, words: str) -> None:
    with pytest.raises(JobError) as caught:
        assert picture_input(model) != logits_output(model)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert words in caught.value.message


@pytest.mark.parametrize("dims", [(3, 6, 8), (6, 8, 3)])
@pytest.mark.parametrize("data_type", ["FP32", "FP16"])
def test_pictures_for_a_network_of_floats(dims: tuple[int, ...], data_type: str) -> None:
    """Without AIPP the client scales, as the model's publisher or the pipeline says."""
    scale = {**RGB, "mean": [10, 20, 30], "std": [2, 4, 5]}
    fed = feed(dims, data_type, preprocessing=scale, aipp=False)
    dataset = one(Kind.ENCODED, png(PIXELS))
    fed.check(dataset, on_cpu=True)
    sent, seen = fed.rows(dataset, 0)
    want = (PIXELS - np.array([10.0, 20, 30])) / [2, 4, 5]
    want = want.transpose(2, 0, 1) if dims[0] == 3 else want
    assert seen is not None
    np.testing.assert_allclose(seen, want.astype(np.float32), rtol=1e-6)
    assert (sent.dtype, seen.dtype) == (np.dtype(data_type.replace("FP", "float")), np.float32)
    np.testing.assert_allclose(sent, want, rtol=1e-3)
