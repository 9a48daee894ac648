"""What a served model takes and gives, read from Triton's own answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Triton's types of a picture; a uint8 model scales on the chip (AIPP) or inside the graph.
PICTURE_TYPES = ("FP32", "FP16", "UINT8")
FILES = "BYTES"
CHANNELS = (1, 3)


class ClientError(Exception):
    """Something that whoever calls can fix; the text says what."""


@dataclass(frozen=True)
class Contract:
    """One model. `height` and `width` are in pixels, 0 where the server resizes by itself.

    `takes_files` is true of a pipeline (`serving.pipeline`), which takes JPEG and PNG files;
    `max_batch` is the most pictures of one request.
    """

    model: str
    input_name: str
    output_name: str
    data_type: str
    layout: str = "NCHW"
    channels: int = 3
    height: int = 0
    width: int = 0
    max_batch: int = 1

    @property
    def takes_files(self) -> bool:
        return self.data_type == FILES


def read_contract(config: Mapping[str, Any], *, output: str | None = None) -> Contract:
    """Read a model's configuration, as Triton gives it in JSON; raises ClientError.

    `output` chooses one of several; default: the one with labels, else the first.
    """
    name, inputs = str(config.get("name", "")), config.get("input") or []
    if len(inputs) != 1:
        names = ", ".join(str(entry.get("name")) for entry in inputs) or "none"
        raise ClientError(f"model {name} has {len(inputs)} inputs ({names}); send them yourself")
    entry = inputs[0]
    files = Contract(
        model=name,
        input_name=str(entry["name"]),
        output_name=_output(name, config.get("output") or [], output),
        data_type=FILES,
        max_batch=max(1, int(config.get("max_batch_size") or 0)),
    )
    kind = str(entry["data_type"]).removeprefix("TYPE_")
    if kind in ("STRING", FILES):
        return files
    dims = [int(size) for size in entry["dims"]]
    layout = _layout(dims, str(entry.get("format", "")))
    if kind not in PICTURE_TYPES or layout is None:
        raise ClientError(
            f"model {name} takes {kind} {dims} and no picture of 1 or 3 channels; send the tensor "
            "yourself"
        )
    channels, height, width = dims if layout == "NCHW" else (dims[2], dims[0], dims[1])
    return replace(
        files, data_type=kind, layout=layout, channels=channels, height=height, width=width
    )


def _output(model: str, outputs: Any, wanted: str | None) -> str:
    names = [str(entry["name"]) for entry in outputs]
    if wanted is not None:
        if wanted not in names:
            raise ClientError(f"model {model} has no output {wanted}; it has {', '.join(names)}")
        return wanted
    if not names:
        raise ClientError(f"model {model} has no outputs")
    labelled = [str(entry["name"]) for entry in outputs if entry.get("label_filename")]
    return (labelled or names)[0]


def _layout(dims: list[int], said: str) -> str | None:
    """Return where the channels stand: as config.pbtxt says, else as the shape tells."""
    if len(dims) != 3 or min(dims) < 1:
        return None
    possible = [name for name, at in (("NCHW", 0), ("NHWC", 2)) if dims[at] in CHANNELS]
    told = said.removeprefix("FORMAT_")
    return told if told in possible else next(iter(possible), None)
