"""Intermediate results of the served OM, for the evaluator that looks for what costs accuracy.

    python3 -m resnet_runtime.dump --repository=/models --folder=/eval/dump

launch.py starts it beside Triton when the evaluator has put request.json and inputs.npy there. It
runs the pictures with CANN's dump switched on and leaves result.npz, a bounded sample of each
operator's output, and answer.json, written last. Run so far on a simulator of pyACL only.
Python >= 3.8, standard library and numpy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import sys
import tempfile
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from resnet_runtime.benchmark import read_repository, say, write_json
from resnet_runtime.offline_model import OfflineModel, match
from resnet_runtime.pyacl import Acl, AclError
from resnet_runtime.settings import LoadError, Settings

# A file of CANN's dump: the length of a DumpData message (8 bytes), the message, then the bytes of
# inputs and outputs in their order. Field numbers: CANN's dump_data.proto.
TYPES: Dict[int, Any] = {
    1: np.float32,
    2: np.float16,
    3: np.int8,
    4: np.uint8,
    5: np.int16,
    6: np.uint16,
    7: np.int32,
    8: np.int64,
}
OUTPUT, INPUT, OP_NAME = 3, 4, 6  # of DumpData
TYPE, FORMAT, SHAPE, DATA, ORIGINAL, SIZE = 1, 2, 3, 4, 5, 6  # of OpOutput
INPUT_SIZE = 5
NC1HWC0 = 3
MOST_OPERATORS = 1000
MOST_BYTES = 1536 << 20  # of dump files at a time; the pod's /tmp has 4Gi
MOST_POINTS = 4096


class DumpingAcl(Acl):
    """pyACL whose first call says what is to be dumped, and where to."""

    def __init__(self, config: str) -> None:
        super().__init__()
        self._config = config

    def __call__(self, name: str, *args: Any) -> Any:
        return super().__call__(name, *((self._config,) if name == "init" else args))


def dump(settings: Settings, request: Dict[str, Any], rows: Any, *, scratch: str) -> Dict[str, Any]:
    """Name of an operator -> [picture, channel, points] of its output."""
    path = os.path.join(scratch, "dump")
    config = os.path.join(scratch, "acl.json")
    wish = {
        "dump_path": path,
        "dump_mode": "output",
        "dump_list": [{"model_name": str(request["modelName"])}],
    }
    os.makedirs(path)
    write_json(config, {"dump": wish})
    points = max(1, min(int(request["points"]), MOST_POINTS))
    model = OfflineModel(
        DumpingAcl(config),
        settings.parameter("model_file"),
        device=0,
        soc_version=settings.parameter("soc_version"),
    )
    profile = model.profiles[0]
    check_room(profile, int(request.get("elements", 0)))
    (buffer,) = match("input", settings.inputs, model.inputs, rows=profile)
    found: Dict[str, List[Any]] = {}
    for start in range(0, len(rows), profile):
        part = rows[start : start + profile]
        buffer.rows[:profile] = 0
        buffer.rows[: len(part)] = part
        buffer.upload(profile)
        model.set_batch(profile)
        model.execute()
        for name, array in outputs(path):
            if len(array) == profile and (name in found or len(found) < MOST_OPERATORS):
                found.setdefault(name, []).append(sampled(array[: len(part)], points))
        shutil.rmtree(path)
        os.makedirs(path)
    model.close()
    whole = {name: np.concatenate(parts) for name, parts in found.items()}
    return {name: value for name, value in whole.items() if len(value) == len(rows)}


def check_room(profile: int, elements: int) -> None:
    """Refuse before the disk is full: a pod that is evicted for it tells nobody its numbers.

    `elements` are of the matrix operators' results for one picture, which is about half of all; in
    half precision that makes four bytes each.
    """
    needed = 4 * profile * elements
    if needed > MOST_BYTES:
        raise LoadError(
            "those of a batch of {} would take {} MiB: convert for a smaller batch size too".format(
                profile, needed >> 20
            )
        )


def outputs(path: str) -> Sequence[Any]:
    """(operator, its first output) of each file that can be read; one name counts once."""
    found: Dict[str, Any] = {}
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            try:
                operator, array = read_dump(data)
            except DumpError as error:
                say("{}: {}".format(name, error))
                continue
            # Sums of whole numbers mean nothing without their scale.
            if array.ndim and array.dtype.kind == "f":
                found[operator] = array
    return list(found.items())


def sampled(array: Any, points: int) -> Any:
    """[rows, channels, points of each], evenly spaced; the evaluator takes the same places."""
    channels = array.shape[1] if array.ndim > 1 else 1
    flat = array.reshape(len(array), channels, -1)
    size = flat.shape[2]
    places = np.linspace(0, size - 1, min(max(1, points // channels), size)).astype(np.int64)
    return flat[:, :, places].astype(np.float32)


class DumpError(Exception):
    """The bytes are no dump, or one of a kind that cannot be read."""


def read_dump(data: bytes) -> Tuple[str, Any]:
    """(name of the operator, its first output); the name is the author's where CANN knows it."""
    try:
        (length,) = struct.unpack_from("<Q", data)
        message, rest = data[8 : 8 + length], data[8 + length :]
        fields = list(fields_of(message))
        outputs = [dict_of(value) for number, value in fields if number == OUTPUT]
        inputs = [dict_of(value) for number, value in fields if number == INPUT]
        names = [value for number, value in fields if number == OP_NAME]
        first = outputs[0]
        skipped = sum(int(one.get(INPUT_SIZE, [0])[0]) for one in inputs)
        size = int(first.get(SIZE, [0])[0])
        content = first[DATA][0] if DATA in first else rest[skipped : skipped + size]
        array = np.frombuffer(content, TYPES[first[TYPE][0]]).reshape(sizes(first[SHAPE][0]))
        original = dict_of(first[ORIGINAL][0]).get(1) if ORIGINAL in first else None
        name = (original or names)[0].decode("utf-8")
    except (struct.error, IndexError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DumpError("not a dump that can be read: {!r}".format(error)) from error
    if first.get(FORMAT, [0])[0] == NC1HWC0 and array.ndim == 5:
        rows, blocks, height, width, lanes = array.shape
        array = array.transpose(0, 1, 4, 2, 3).reshape(rows, blocks * lanes, height, width)
    return name, array


def sizes(shape: bytes) -> List[int]:
    """Dimensions, written one by one or packed, as both versions of protobuf do."""
    found: List[int] = []
    for _, value in fields_of(shape):
        if isinstance(value, int):
            found.append(value)
            continue
        place = 0
        while place < len(value):
            size, place = varint(value, place)
            found.append(size)
    return found


def dict_of(message: bytes) -> Dict[int, List[Any]]:
    found: Dict[int, List[Any]] = {}
    for number, value in fields_of(message):
        found.setdefault(number, []).append(value)
    return found


def fields_of(message: bytes) -> Iterator[Tuple[int, Any]]:
    """Field numbers with a number or bytes, by protobuf's wire format."""
    place = 0
    while place < len(message):
        key, place = varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = varint(message, place)
            yield number, value
        elif kind == 2:
            length, place = varint(message, place)
            if place + length > len(message):
                raise ValueError("cut off")
            yield number, message[place : place + length]
            place += length
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            raise ValueError("wire type {}".format(kind))


def varint(message: bytes, place: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number without end")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Dump intermediate results of the served OM.")
    parser.add_argument("--repository", required=True, help="Triton's model repository")
    parser.add_argument("--folder", required=True, help="where request and answer are")
    arguments = parser.parse_args(argv)
    answer = os.path.join(arguments.folder, "answer.json")
    scratch = tempfile.mkdtemp(prefix="dump-")
    try:
        write_json(os.path.join(arguments.folder, "taken"), {})
        with open(os.path.join(arguments.folder, "request.json"), encoding="utf-8") as file:
            request = json.load(file)
        rows = np.load(os.path.join(arguments.folder, "inputs.npy"), allow_pickle=False)
        found = dump(read_repository(arguments.repository), request, rows, scratch=scratch)
        names = sorted(found)
        arrays = {"t{}".format(place): found[name] for place, name in enumerate(names)}
        np.savez(os.path.join(arguments.folder, "result.npz"), **arrays)
        write_json(answer, {"ok": True, "operators": names})
    except (LoadError, AclError) as error:
        write_json(answer, {"ok": False, "message": str(error)})
        return 1
    except Exception as error:  # whatever it is, somebody waits for the answer
        message = "{}: {}".format(type(error).__name__, error)
        write_json(answer, {"ok": False, "message": message})
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
