"""What one sample becomes: the tensor a client sends, and the tensor the reference model gets.

`evaluate` uses it for every sample. Which way a sample takes depends on what the data set holds and
on what the model takes; a pair that cannot work is refused by `Feed.check` before anything runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.datasets.base import Kind, invalid
from resnet_jobs.pictures import (
    PictureError,
    decode,
    encode_pixels,
    normalise,
    normalise_sent,
    to_source,
)

if TYPE_CHECKING:
    from resnet_contract.types import DeclaredTensor, Preprocessing, ServedModel
    from resnet_jobs.datasets.base import Dataset

DTYPES = {"UINT8": np.uint8, "FP32": np.float32, "FP16": np.float16}
SCORES = ("FP32", "FP16", "FP64", "INT8", "UINT8")


def picture_input(model: ServedModel) -> DeclaredTensor:
    """The only input; `InvalidSpec` for what a set of pictures cannot feed."""
    if len(model.inputs) != 1 or model.inputs[0].data_type not in DTYPES:
        found = ", ".join(f"{one.name} {one.data_type}" for one in model.inputs)
        raise JobError(
            Reason.INVALID_SPEC,
            f"spec.validation measures models with one picture as input; this one takes {found}: "
            "remove spec.validation",
        )
    return model.inputs[0]


def logits_output(model: ServedModel) -> DeclaredTensor:
    """The first output with one number a class."""
    for tensor in model.outputs:
        if len(tensor.dims) == 1 and tensor.data_type in SCORES:
            return tensor
    raise JobError(
        Reason.INVALID_SPEC,
        "spec.validation measures classifiers, and the model has no output [N, classes]: remove "
        "spec.validation",
    )


@dataclass(frozen=True)
class Feed:
    """`tensor` is the served input, `model_hw` the size of picture that the network itself takes.

    With `aipp` the chip makes the network's input out of bytes; `preprocessing` says how, or is
    None where a raw AIPP text says more than fields can. Without, it says how pictures are scaled
    for a network of floats, where that is known.
    """

    tensor: DeclaredTensor
    aipp: bool
    preprocessing: Preprocessing | None
    model_hw: tuple[int, int] | None

    @property
    def dtype(self) -> Any:
        return DTYPES[self.tensor.data_type]

    @property
    def sample_bytes(self) -> int:
        return math.prod(self.tensor.dims) * int(np.dtype(self.dtype).itemsize)

    @property
    def takes_bytes(self) -> bool:
        return self.tensor.data_type == "UINT8"

    @property
    def knows_reference(self) -> bool:
        """Whether what the network sees can be computed here."""
        return not self.aipp or (self.preprocessing is not None and self.model_hw is not None)

    def check(self, dataset: Dataset, *, on_cpu: bool) -> None:
        """`InvalidSpec` when this kind of sample cannot become the model's input."""
        needs = f"the model takes {self.tensor.data_type} {list(self.tensor.dims)}"
        if dataset.kind is Kind.RAW:
            return  # its files have the right size, or the set would not have been opened
        if dataset.kind is Kind.TENSORS:
            if self.takes_bytes:
                raise invalid(
                    f"{needs}, the set has float tensors: bring pictures, or uint8 arrays "
                    "[n, height, width, 3]"
                )
            shape = np.shape(dataset.read(0))
            if shape != self.tensor.dims:
                raise invalid(f"{needs}, the set's samples are {list(shape)}")
        elif self.aipp and self.preprocessing is None:
            raise invalid(
                "with this preprocessing.rawAIPP nobody here knows how a picture is to be sent: "
                "write the preprocessing as fields, or bring the set as RawBin"
            )
        elif not self.takes_bytes and self.preprocessing is None:
            instead = "" if on_cpu else "add spec.conversion.preprocessing, or "
            raise invalid(
                f"{needs}, and nobody here knows what a pixel becomes: {instead}bring the set as "
                "Npy floats or RawBin"
            )

    def rows(self, dataset: Dataset, index: int) -> tuple[Any, Any | None]:
        """(what a client sends, what the reference model gets) of one sample, without N."""
        name = dataset.names[index]
        try:
            value = dataset.read(index)
            if dataset.kind is Kind.TENSORS:
                return self._tensor(value, name)
            if dataset.kind is Kind.RAW:
                return self._raw(value, name)
            picture = decode(value) if dataset.kind is Kind.ENCODED else value
            return self._seen(self._sent(picture, name))
        except (PictureError, OSError) as error:
            raise invalid(f"{name}: {error}") from error

    def _tensor(self, value: Any, name: str) -> tuple[Any, Any]:
        if not np.isfinite(value).all():
            raise invalid(f"{name} holds NaN or infinity")
        return value.astype(self.dtype), value.astype(np.float32)

    def _raw(self, value: bytes, name: str) -> tuple[Any, Any | None]:
        sent = np.frombuffer(value, self.dtype).reshape(self.tensor.dims)
        return self._seen(sent) if self.takes_bytes else self._tensor(sent, name)

    def _sent(self, picture: Any, name: str) -> Any:
        if self.preprocessing is not None and not self.takes_bytes:
            return self._scaled(picture)
        if self.preprocessing is not None:
            return encode_pixels(
                to_source(picture, self.preprocessing), self.preprocessing.pixel_format
            )
        # The network itself takes bytes, in the order of its own: they go in as they are.
        for pixels in (picture, picture.transpose(2, 0, 1)):
            if pixels.shape == self.tensor.dims:
                return pixels
        raise invalid(
            f"{name} is {list(picture.shape)}; the model takes {list(self.tensor.dims)} and "
            "nothing resizes it: bring pictures of that size"
        )

    def _scaled(self, picture: Any) -> Any:
        """What a client computes for a network of floats, in the order of its dimensions."""
        how = self.preprocessing
        if how is None:
            raise ValueError("nobody says how pictures are scaled")
        size = (how.source_height, how.source_width)
        values = normalise(to_source(picture, how), how, size)
        return values if self.tensor.dims[0] == len(values) else values.transpose(1, 2, 0)

    def _seen(self, sent: Any) -> tuple[Any, Any | None]:
        if not self.aipp:
            return sent.astype(self.dtype), sent if self.takes_bytes else sent.astype(np.float32)
        if self.preprocessing is None or self.model_hw is None:
            return sent, None
        return sent, normalise_sent(sent, self.preprocessing, self.model_hw)
