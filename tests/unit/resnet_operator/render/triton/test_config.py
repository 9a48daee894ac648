"""Numbers of the serving pod that follow from the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import an_artifact, resolved, tensor

from resnet_operator.render.triton.config import (
    config_pbtxt,
    intra_op_threads,
    output_types,
    shared_memory_bytes,
)

MIB = 2**20
PICTURE = 3 * 224 * 224 * 4


@dataclass(frozen=True)
class Shm:
    reason: str
    bytes: int
    spec: dict[str, Any] = field(default_factory=dict)
    artifact: dict[str, Any] = field(default_factory=dict)


SHM = (
    Shm("Triton's own minimum", 64 * MIB),
    Shm(
        "two of the largest batch, in and out, and 4 MiB for each instance",
        8 * (2 * 8 * (PICTURE + 1000 * 4) + 4 * MIB),
        {"serving": {"instancesPerChip": 8}},
    ),
    Shm(
        "answers in half precision leave as single precision",
        16 * (2 * 8 * (PICTURE // 2 + 1_000_000 * 4) + 4 * MIB),
        {"accelerator": {"count": 16}},
        {
            "inputs": (tensor("i", 3, 224, 224, data_type="FP16"),),
            "outputs": (tensor("o", 1_000_000, data_type="FP16"),),
        },
    ),
    Shm(
        "a type that is not known counts as the largest",
        2 * 64 * 8 * 1_000_000 + 4 * MIB + 2 * 64 * 4,
        {"conversion": {"batchSizes": [64]}},
        {
            "inputs": (tensor("i", 1_000_000, data_type="FROM_NEXT_YEAR"),),
            "outputs": (tensor("o", 1),),
        },
    ),
)


@pytest.mark.parametrize("case", SHM, ids=lambda case: case.reason)
def test_shared_memory(case: Shm) -> None:
    found = shared_memory_bytes(resolved=resolved(case.spec), artifact=an_artifact(**case.artifact))
    assert found == case.bytes, case.reason


THREADS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("nothing said: one", {}, 1),
    ("the limit", {"limits": {"cpu": 3}}, 3),
    ("the request where there is no limit", {"requests": {"cpu": "2"}}, 2),
    ("a part of a CPU is one thread", {"limits": {"cpu": "250m"}}, 1),
    ("one and a half are two", {"limits": {"cpu": "1500m"}}, 2),
)


@pytest.mark.parametrize(("reason", "resources", "threads"), THREADS)
def test_threads(reason: str, resources: dict[str, Any], threads: int) -> None:
    assert intra_op_threads(resolved({"serving": {"resources": resources}})) == threads, reason


def test_one_number_a_sample_has_one_dimension_for_clients() -> None:
    """ArgMax gives [N]; Triton refuses an empty `dims`."""
    made = an_artifact(
        inputs=(tensor("picture", 3, 32, 32), tensor("threshold")),
        outputs=(tensor("class", data_type="INT64"), tensor("scores", 10)),
    )
    assert [(seen.name, seen.dims) for seen in output_types(made)] == [
        ("class", (1,)),
        ("scores", (10,)),
    ]
    text = config_pbtxt(resolved=resolved(), artifact=made)
    assert (
        'output [ { name: "class" data_type: TYPE_INT64 dims: [ 1 ] reshape { shape: [ ] } } ]'
        in text
    )
    assert 'output [ { name: "scores" data_type: TYPE_FP32 dims: [ 10 ] } ]' in text
    assert (
        'input [ { name: "threshold" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } } ]'
        in text
    )
