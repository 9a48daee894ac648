"""What a conversion made, as a record keeps it. Pure; read by `render` and `plan`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

# What an artifact's file may be called: it becomes a path in the pod.
FILE_NAMES = ("model.om", "model.onnx", "model.pth", "model.torchscript", "model.tar")
ARTIFACT_KEY = "artifact.json"
FAILURE_KEY = "failure.json"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output: Triton type without TYPE_, shape without the batch dimension.

    `layout` is NCHW or NHWC where the tensor is a picture and that is known.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]
    layout: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TensorInfo:
        return cls(value["name"], value["dataType"], tuple(value["dims"]), value.get("layout"))

    def to_json(self) -> dict[str, Any]:
        value = {"name": self.name, "dataType": self.data_type, "dims": list(self.dims)}
        return value | ({"layout": self.layout} if self.layout else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """Identity, origin and contract of an artifact; sizes in bytes, duration in seconds."""

    content_key: str
    sha256: str
    size_bytes: int
    file: str
    chip: str
    compiler: str
    origin: str
    duration_seconds: float
    command: tuple[str, ...]
    model_sha256: str
    model_size_bytes: int
    opset: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    arch: str | None = None
    notes: tuple[str, ...] = ()
    quantizer: str | None = None
    quantize_command: tuple[str, ...] = ()
    # What the artifact can run, where it is an OM that somebody else converted.
    batch_sizes: tuple[int, ...] = ()

    @classmethod
    def from_messages(cls, messages: Mapping[str, Mapping[str, Any]], *, chip: str) -> Artifact:
        """Put together what the Job's containers said; raises KeyError when one said nothing."""
        fetch, prepare, publish = messages["fetch"], messages["prepare"], messages["publish"]
        if publish["file"] not in FILE_NAMES:
            raise KeyError("file")
        convert, quantize = messages.get("convert") or {}, messages.get("quantize") or {}
        # An OM as it came tells its own contract; of a converted model `prepare` knows it.
        contract = convert if convert.get("inputs") else prepare
        return cls(
            content_key=publish["contentKey"],
            sha256=publish["sha256"],
            size_bytes=publish["sizeBytes"],
            file=publish["file"],
            chip=chip,
            compiler=convert.get("compiler") or "none",
            origin=publish["origin"],
            duration_seconds=convert.get("durationSeconds") or 0,
            command=tuple(convert.get("argv") or ()),
            model_sha256=fetch["sha256"],
            model_size_bytes=fetch["sizeBytes"],
            opset=prepare.get("opset") or 0,
            inputs=tuple(TensorInfo.from_json(value) for value in contract["inputs"]),
            outputs=tuple(TensorInfo.from_json(value) for value in contract["outputs"]),
            arch=convert.get("arch"),
            notes=(*(prepare.get("notes") or ()), *(convert.get("notes") or ())),
            quantizer=quantize.get("tool"),
            quantize_command=tuple(quantize.get("argv") or ()),
            batch_sizes=tuple(convert.get("batchSizes") or ()),
        )

    @classmethod
    def from_record(cls, data: Mapping[str, str]) -> Artifact | None:
        """Read a record's data; None while the record is not filled."""
        if ARTIFACT_KEY not in data:
            return None
        value = _known(cls, json.loads(data[ARTIFACT_KEY]))
        if value["file"] not in FILE_NAMES:
            return None
        value["inputs"] = tuple(TensorInfo.from_json(item) for item in value["inputs"])
        value["outputs"] = tuple(TensorInfo.from_json(item) for item in value["outputs"])
        value["command"] = tuple(value["command"])
        for name in ("notes", "quantize_command", "batch_sizes"):
            value[name] = tuple(value.get(name) or ())
        return cls(**value)

    def to_record(self) -> dict[str, str]:
        value = asdict(self) | {
            "inputs": [item.to_json() for item in self.inputs],
            "outputs": [item.to_json() for item in self.outputs],
        }
        return {ARTIFACT_KEY: json.dumps(value, sort_keys=True)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why the last attempt failed; kept in the record, so that it outlives the Job."""

    attempt: int
    reason: str
    message: str
    permanent: bool
    time: str
    detail: str = ""
    code: str | None = None
    # The keys of the means that failed; empty in records of versions that knew none.
    tried: tuple[str, ...] = ()

    @classmethod
    def from_record(cls, data: Mapping[str, str]) -> Failure | None:
        if FAILURE_KEY not in data:
            return None
        value = _known(cls, json.loads(data[FAILURE_KEY]))
        return cls(**value | {"tried": tuple(value.get("tried") or ())})

    def to_record(self) -> dict[str, str]:
        return {FAILURE_KEY: json.dumps(asdict(self), sort_keys=True)}


def _known(cls: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a newer operator has written: records outlive a step back to this version."""
    known = {item.name for item in fields(cls)}
    return {key: item for key, item in value.items() if key in known}
